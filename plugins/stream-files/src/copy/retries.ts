/** How long a transfer that was interrupted waits for the way to the device to come back, milliseconds. */
export const GIVE_UP_MS = 120_000;
/** Pauses between attempts, milliseconds: they double up to the longest. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** When a transfer that was interrupted is tried again. */
export interface Retries {
  /** The way to the device works. */
  works(): void;
  /** It broke, or has not come back. Milliseconds to wait before the next attempt; null when it was away for too long. */
  next(): number | null;
}

/**
 * Counts the time from the break on, not from the last byte before it: a transfer that compares what is there moves nothing for minutes, and
 * all is well. `now` is a clock in milliseconds.
 */
export function createRetries({ giveUpMs, now }: { readonly giveUpMs: number; readonly now: () => number }): Retries {
  let awaySince: number | null = null;
  let pauseMs = FIRST_PAUSE_MS;
  return {
    works() {
      awaySince = null;
      pauseMs = FIRST_PAUSE_MS;
    },
    next() {
      awaySince ??= now();
      if (now() - awaySince > giveUpMs) return null;
      const pause = pauseMs;
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      return pause;
    },
  };
}
