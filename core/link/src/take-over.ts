import type { Link } from '@towline/contract';
import { TowlineError, toTowlineError } from '@towline/protocol';
import { retryAfterMs } from './relay-answer.ts';
import type { ServedLink } from './served-link.ts';
import { startDeadline } from './trust/deadline.ts';

/** Bound of the first wait before a better link is tried, milliseconds: what kept it away may have been brief. */
const FIRST_WAIT_MS = 10_000;
/**
 * Bound of the longest wait, milliseconds. With the ten seconds that an attempt may take and the login behind it, a
 * device is on its best transport again within a minute of the end of what kept it away.
 */
const LONGEST_WAIT_MS = 40_000;
/** Bound of the longest wait when better links were lost again and again soon after they had come up, milliseconds. */
const LONGEST_WAIT_AFTER_SETBACKS_MS = 600_000;
/** Time for an attempt to dial, milliseconds. */
const ATTEMPT_MS = 10_000;
/** How often a link that retires is looked at, milliseconds. */
const LOOK_EVERY_MS = 1_000;
/** Looks in a row that must find no stream: the peer may have opened one before it learnt of the new link. */
const QUIET_LOOKS = 5;
/** Streams of a link that carries no work: the control stream. */
const IDLE_STREAMS = 1;

/** Waits so many milliseconds; rejects when the signal aborts. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<unknown>;

/** What a better link is looked for with. */
export interface SeekOptions {
  /** Dials by a better way than that of the present link. */
  readonly dial: (signal: AbortSignal) => Promise<Link>;
  /** Begins to serve a link beside the present one. */
  readonly serve: (link: Link) => ServedLink;
  /** Told of each attempt that came to nothing. */
  readonly onFailure: (error: TowlineError) => void;
  readonly sleep: Sleep;
  /** Gives numbers from 0 up to, but not including, 1. */
  readonly random: () => number;
  /** How often in a row a better link was lost soon after it had come up. All waits double with each beyond the first, the first wait with that one too. */
  readonly setbacks: number;
  /** Aborts when the present link is over. A link that is being taken up then is still waited for. */
  readonly signal: AbortSignal;
}

/**
 * Tries again and again, further and further apart, until the peer has taken up a better link. Resolves with that one,
 * or with null once the signal aborts. The present link is left alone.
 */
export async function seekBetter(options: SeekOptions): Promise<ServedLink | null> {
  const { random, signal, sleep, onFailure, setbacks } = options;
  const longestMs = Math.min(LONGEST_WAIT_AFTER_SETBACKS_MS, LONGEST_WAIT_MS * 2 ** Math.max(0, setbacks - 1));
  for (let attempts = 0, askedMs = 0; ; attempts += 1) {
    const bound = Math.min(longestMs, FIRST_WAIT_MS * 2 ** Math.min(attempts + setbacks, 10));
    // A quarter of it is left to chance, so that devices that lost a transport together do not try in step.
    if (!(await pause(askedMs + bound * (0.75 + 0.25 * random()), { sleep, signal }))) return null;
    const found = await attempt(options);
    if (!(found instanceof TowlineError)) return found;
    if (signal.aborted) return null;
    askedMs = retryAfterMs(found) ?? 0;
    onFailure(found);
  }
}

async function attempt({ dial, serve, signal }: SeekOptions): Promise<ServedLink | TowlineError> {
  const expired = () => new TowlineError('timeout', `No better link came up within ${ATTEMPT_MS / 1_000} s.`);
  const deadline = startDeadline(ATTEMPT_MS, expired, signal);
  let link: Link;
  try {
    link = await dial(deadline.signal);
  } catch (error) {
    return toTowlineError(error);
  } finally {
    deadline[Symbol.dispose]();
  }
  const served = serve(link);
  return (await served.taken) ? served : served.over;
}

/** A link that another has taken the place of. */
export interface RetiringLink {
  /** Why it is over; null when it was taken back. Never rejects. */
  readonly over: Promise<TowlineError | null>;
  /** Ends its retirement, since the other one was lost; null when it is over itself or about to be closed. */
  takeBack(): ServedLink | null;
}

/** Waits until no work is left on a link that another has taken the place of, then closes it. */
export function retireLink(served: ServedLink, sleep: Sleep): RetiringLink {
  const done = new AbortController();
  let kept = false;
  void served.over.then(() => done.abort());
  const closeWhenIdle = async () => {
    const idle = await untilIdle(served.link, sleep, done.signal);
    if (kept) return null;
    done.abort();
    if (idle) await served.link.close('link_closed', 'Another link has taken over, and no stream is left on this one.');
    return served.over;
  };
  return {
    over: closeWhenIdle(),
    takeBack() {
      if (done.signal.aborted) return null;
      kept = true;
      done.abort();
      return served;
    },
  };
}

/** Resolves with true once the link has been without work for some time, with false when the signal aborts. */
async function untilIdle(link: Link, sleep: Sleep, signal: AbortSignal): Promise<boolean> {
  for (let quiet = 0; quiet < QUIET_LOOKS; ) {
    if (!(await pause(LOOK_EVERY_MS, { sleep, signal }))) return false;
    quiet = link.stats.openStreams <= IDLE_STREAMS ? quiet + 1 : 0;
  }
  return true;
}

/** Waits; false when the signal aborted meanwhile. */
export async function pause(ms: number, { sleep, signal }: { readonly sleep: Sleep; readonly signal: AbortSignal }): Promise<boolean> {
  try {
    if (!signal.aborted) await sleep(ms, signal);
  } catch (fault) {
    if (!signal.aborted) throw fault;
  }
  return !signal.aborted;
}
