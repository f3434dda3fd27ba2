/** Runs a work when there is a place for it. Rejects with the reason of the signal as soon as that aborts. */
export type Turns = <Value>(work: () => Promise<Value>, signal: AbortSignal) => Promise<Value>;

/**
 * Lets so many works run at a time, for works that cannot be taken back, as the look-up of a name: whoever leaves gets away at once,
 * but the place is kept until the work itself is over. Whoever leaves while waiting is forgotten.
 */
export function createTurns(places: number): Turns {
  const waiting = new Set<() => void>();
  let free = places;
  const release = () => {
    const [next] = waiting;
    if (next === undefined) free += 1;
    else next();
  };
  const takePlace = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const take = () => {
        waiting.delete(take);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => waiting.delete(take);
      waiting.add(take);
      signal.addEventListener('abort', leave, { once: true });
    });
  return async (work, signal) => {
    signal.throwIfAborted();
    const running = (async () => {
      if (free > 0) free -= 1;
      else await takePlace(signal);
      try {
        signal.throwIfAborted();
        return await work();
      } finally {
        release();
      }
    })();
    return await orAborted(running, signal);
  };
}

function orAborted<Value>(running: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    const settled = () => signal.removeEventListener('abort', leave);
    signal.addEventListener('abort', leave, { once: true });
    running.then(resolve, reject).finally(settled);
  });
}
