/** Delays before the second restart and the last of ever longer ones, milliseconds. */
const FIRST_MS = 500;
const LONGEST_MS = 15_000;
/** Who was up for so long is not failing, milliseconds. */
const SETTLED_MS = 30_000;

/** How long to wait before the edge is started again. */
export interface RestartDelay {
  /** Milliseconds before the next start, after a life of `upMs`: none the first time, then ever more. */
  next(upMs: number): number;
}

/** Restarts at once, then after 0.5 s and doubling up to 15 s; at once again after a life of half a minute. */
export function createRestartDelay(): RestartDelay {
  let failures = 0;
  return {
    next(upMs) {
      if (upMs >= SETTLED_MS) failures = 0;
      failures += 1;
      return failures === 1 ? 0 : Math.min(FIRST_MS * 2 ** (failures - 2), LONGEST_MS);
    },
  };
}
