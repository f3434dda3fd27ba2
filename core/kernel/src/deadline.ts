import type { TowlineError } from '@towline/contract';

/** What {@link runWithDeadline} takes besides the work. */
export interface Deadline {
  readonly ms: number;
  /** Makes the error for work that is not done in time. */
  readonly onTimeout: () => TowlineError;
  /** Gives the work up from outside; its reason is what is thrown. */
  readonly signal?: AbortSignal;
}

/**
 * Runs work that may hang. The signal it is given aborts when time is up or `deadline.signal` says so; then the
 * wait is over even when the work does not listen, and what it answers later is dropped.
 */
export async function runWithDeadline<T>(work: (signal: AbortSignal) => Promise<T> | T, deadline: Deadline): Promise<T> {
  const given = new AbortController();
  const giveUp = () => given.abort(deadline.signal?.reason);
  if (deadline.signal?.aborted) giveUp();
  deadline.signal?.addEventListener('abort', giveUp, { once: true });
  const timer = setTimeout(() => given.abort(deadline.onTimeout()), deadline.ms);
  try {
    return await raceAbort(work, given.signal);
  } finally {
    clearTimeout(timer);
    deadline.signal?.removeEventListener('abort', giveUp);
  }
}

function raceAbort<T>(work: (signal: AbortSignal) => Promise<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    // A settled promise ignores later answers, so work that ends after its deadline leaves no unhandled rejection.
    new Promise<T>((begin) => begin(work(signal))).then(resolve, reject);
  });
}
