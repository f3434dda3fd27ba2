/** Changes closer than this are one, milliseconds: an editor writes beside, renames and sets times. */
const QUIET_MS = 80;
/** Changes that go on and on are told at least so often, milliseconds. */
const LONGEST_WAIT_MS = 400;

/** Gathers changes of a moment. */
export interface Pending {
  note(): void;
  clear(): void;
  /** Whether something was noted and not cleared. */
  isNoted(): boolean;
  /** Waits for a change, and then until it is quiet. False when none came in that time, or the signal aborted. */
  wait(longestMs: number): Promise<boolean>;
  close(): void;
}

/** See {@link Pending}. */
export function createPending(signal: AbortSignal): Pending {
  let [firstAt, lastAt] = [0, 0];
  let wake = () => {};
  const onAbort = () => wake();
  signal.addEventListener('abort', onAbort, { once: true });
  const sleep = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (signal.aborted) wake();
    });
  return {
    note() {
      lastAt = performance.now();
      if (firstAt !== 0) return;
      firstAt = lastAt;
      wake();
    },
    clear() {
      firstAt = 0;
    },
    isNoted: () => firstAt !== 0,
    async wait(longestMs) {
      if (firstAt === 0 && longestMs > 0) await sleep(longestMs);
      if (firstAt === 0) return false;
      for (;;) {
        const leftMs = Math.min(lastAt + QUIET_MS, firstAt + LONGEST_WAIT_MS) - performance.now();
        if (leftMs <= 0 || signal.aborted) return true;
        await sleep(leftMs);
      }
    },
    close: () => signal.removeEventListener('abort', onAbort),
  };
}
