import type { KeptLink, OpenedSession } from '@towline/contract';
import { TowlineError, toTowlineError } from '@towline/protocol';
import { MAX_OPENINGS, OPEN_MS, WAIT_MS } from '../limits.ts';
import { FORWARD_PROTOCOL, type ForwardBody } from '../messages.ts';

/** Pause before an opening that came too fast is made again, milliseconds. */
const TOO_FAST_MS = 100;

/** Opens sessions for connections, so many at a time; the others wait for their turn. */
export interface Openings {
  /** @throws TowlineError what it was refused with; `timeout` when it took too long; the reason of the signal. */
  open(body: ForwardBody, signal: AbortSignal): Promise<OpenedSession>;
}

/** Makes it on a link that is kept up. */
export function createOpenings(link: KeptLink): Openings {
  const waiting = new Set<() => void>();
  let free = MAX_OPENINGS;
  const release = () => {
    const [next] = waiting;
    if (next === undefined) free += 1;
    else next();
  };
  const takePlace = async (signal: AbortSignal) => {
    if (free > 0) free -= 1;
    else await waitForPlace(waiting, signal);
  };
  return {
    async open(body, signal) {
      await takePlace(signal);
      const limit = new AbortController();
      const stop = () => limit.abort(signal.reason);
      const timer = setTimeout(() => limit.abort(new TowlineError('timeout', 'The device did not answer in time.')), OPEN_MS);
      signal.addEventListener('abort', stop, { once: true });
      try {
        if (signal.aborted) throw signal.reason;
        return await openPatiently(link, body, limit.signal);
      } finally {
        clearTimeout(timer);
        signal.removeEventListener('abort', stop);
        release();
      }
    },
  };
}

function waitForPlace(waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (outcome: () => void) => () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', leave);
      waiting.delete(take);
      outcome();
    };
    const take = settle(resolve);
    const leave = settle(() => reject(signal.reason));
    const late = settle(() => reject(new TowlineError('timeout', 'Too many connections are being opened at once.')));
    const timer = setTimeout(late, OPEN_MS);
    waiting.add(take);
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
  });
}

/** A relay that has enough of this user's openings for the moment is asked again. */
async function openPatiently(link: KeptLink, body: ForwardBody, signal: AbortSignal): Promise<OpenedSession> {
  const untilMs = performance.now() + WAIT_MS;
  for (;;) {
    try {
      return await link.openSession(FORWARD_PROTOCOL, body, { signal, waitMs: WAIT_MS });
    } catch (error) {
      if (signal.aborted || toTowlineError(error).code !== 'rate_limited' || performance.now() > untilMs) throw error;
      await new Promise((later) => setTimeout(later, TOO_FAST_MS));
    }
  }
}
