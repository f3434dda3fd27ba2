/** For whom a work is done, and until when somebody waits for it. */
export interface Asker {
  /** Stands for the user. */
  readonly account: string;
  readonly signal: AbortSignal;
}

/** Runs a work when there is a place for it. Rejects with the reason of the signal as soon as that aborts. */
export type Turns = <Value>(work: () => Promise<Value>, asker: Asker) => Promise<Value>;

/** How many works run at a time. */
export interface TurnLimits {
  readonly places: number;
  /** Of one account; with fewer than there are places, one account cannot keep all others waiting. */
  readonly each: number;
}

/**
 * Lets so many works run at a time, for works that cannot be taken back, as the look-up of a name: whoever leaves gets away at once,
 * but the place is kept until the work itself is over. Accounts that wait take turns, however much one of them asks for; whoever
 * leaves while waiting is forgotten.
 */
export function createTurns(limits: TurnLimits): Turns {
  const places = createQueue(limits);
  return async (work, { account, signal }) => {
    signal.throwIfAborted();
    const running = (async () => {
      await places.take(account, signal);
      try {
        signal.throwIfAborted();
        return await work();
      } finally {
        places.release(account);
      }
    })();
    return await orAborted(running, signal);
  };
}

interface Queue {
  /** Resolves when the account has a place; never when it leaves before. */
  take(account: string, signal: AbortSignal): Promise<void>;
  release(account: string): void;
}

function createQueue({ places, each }: TurnLimits): Queue {
  // The account that is due first comes first.
  const waiting = new Map<string, Set<() => void>>();
  const held = new Map<string, number>();
  let free = places;
  const hold = (account: string, change: 1 | -1) => {
    const count = (held.get(account) ?? 0) + change;
    free -= change;
    if (count === 0) held.delete(account);
    else held.set(account, count);
  };
  const serveNext = () => {
    const due = free > 0 ? [...waiting].find(([account]) => (held.get(account) ?? 0) < each) : undefined;
    if (due === undefined) return;
    const [account, row] = due;
    const [begin] = row;
    waiting.delete(account);
    row.delete(begin!);
    if (row.size > 0) waiting.set(account, row);
    hold(account, 1);
    begin!();
  };
  return {
    take(account, signal) {
      return new Promise((resolve) => {
        const row = waiting.get(account) ?? new Set();
        const begin = () => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        const leave = () => {
          row.delete(begin);
          if (row.size === 0 && waiting.get(account) === row) waiting.delete(account);
        };
        row.add(begin);
        waiting.set(account, row);
        signal.addEventListener('abort', leave, { once: true });
        serveNext();
      });
    },
    release(account) {
      hold(account, -1);
      serveNext();
    },
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
