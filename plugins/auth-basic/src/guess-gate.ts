/** Hashes that are computed at once. The thread pool has four threads, and files and names need some of them. */
const AT_ONCE = 2;
/** Requests that wait for one. More would wait for longer than anybody does. */
const MAX_WAITING = 16;

/** Lets few at once do what is dear, and few wait. */
export interface GuessGate {
  /** Runs the work when it is its turn; null when too many wait already. */
  run<Result>(work: () => Promise<Result>): Promise<Result | null>;
}

/** Makes a gate. */
export function createGuessGate(): GuessGate {
  let running = 0;
  const waiting: (() => void)[] = [];
  return {
    async run(work) {
      if (running >= AT_ONCE) {
        if (waiting.length >= MAX_WAITING) return null;
        await new Promise<void>((resolve) => waiting.push(resolve));
      } else running += 1;
      try {
        return await work();
      } finally {
        // The place goes to who waits longest, without a moment in which somebody new could take it.
        const next = waiting.shift();
        if (next === undefined) running -= 1;
        else next();
      }
    },
  };
}
