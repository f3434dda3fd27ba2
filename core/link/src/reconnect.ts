import { setTimeout as wait } from 'node:timers/promises';
import type { Link, LinkEnd } from '@towline/contract';
import { type ErrorCode, TowlineError, toTowlineError } from '@towline/protocol';
import { retryAfterMs } from './relay-answer.ts';

/** Shortest wait before dialling again, milliseconds. */
const MIN_DELAY_MS = 500;
/** Longest wait, unless the relay asks for more, milliseconds: row A6 wants devices back soon. */
const MAX_DELAY_MS = 15_000;
/** A link that lived so long, milliseconds, shows that the way is good: backing off starts anew. */
const SETTLED_AFTER_MS = 10_000;

/** How long to wait between attempts. */
export interface ReconnectPolicy {
  /** Wait before the next attempt, milliseconds; the longer, the more attempts came before. `askedMs` is a wait the relay asked for. */
  nextDelayMs(askedMs?: number): number;
  /** Tells how long a link lived that is now over, milliseconds. */
  noteLink(livedMs: number): void;
}

/**
 * Backoff with full jitter: evenly spread over 0.5 s up to a bound that doubles from 1 s to 15 s, so that ten thousand
 * devices do not come back in step. A wait the relay asked for is kept and the jitter comes on top, for the same reason.
 * `random` gives numbers from 0 up to, but not including, 1.
 */
export function createReconnectPolicy(random: () => number): ReconnectPolicy {
  let attempts = 0;
  return {
    nextDelayMs(askedMs = 0) {
      attempts = Math.min(attempts + 1, 10);
      const bound = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** attempts);
      return askedMs + MIN_DELAY_MS + random() * (bound - MIN_DELAY_MS);
    },
    noteLink(livedMs) {
      if (livedMs >= SETTLED_AFTER_MS) attempts = 0;
    },
  };
}

/** What {@link keepLinked} is at. */
export type LinkState =
  | { readonly state: 'dialling' }
  | { readonly state: 'linked'; readonly link: Link }
  | { readonly state: 'waiting'; readonly delayMs: number; readonly error: TowlineError };

/** What {@link keepLinked} takes. */
export interface KeepLinkedOptions {
  /** Makes a link. Gives up when the signal aborts. */
  readonly dial: (signal: AbortSignal) => Promise<Link>;
  /**
   * Works on a link. May return while the link goes on; a rejection ends the link with that error.
   * The signal aborts when the link is over: return then, for the next attempt waits for it.
   */
  readonly serve: (link: Link, signal: AbortSignal) => Promise<void>;
  readonly onState: (state: LinkState) => void;
  readonly policy: ReconnectPolicy;
  /** Errors that no waiting heals, as `device_removed`. */
  readonly hopeless: ReadonlySet<ErrorCode>;
  /** Monotonic time, milliseconds. `performance.now` by default. */
  readonly nowMs?: () => number;
  /** Waits; rejects when the signal aborts. A timer by default. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
  readonly signal: AbortSignal;
}

/**
 * Keeps one link up: dials, serves, and dials again after a wait, until the signal aborts; the link is closed and the
 * promise resolves then. @throws TowlineError one of `hopeless`, from dialling, from serving or from the peer's CLOSE.
 */
export async function keepLinked(options: KeepLinkedOptions): Promise<void> {
  const { onState, policy, hopeless, signal, sleep = (ms, until) => wait(ms, undefined, { signal: until }) } = options;
  while (!signal.aborted) {
    const error = await linkOnce(options);
    if (signal.aborted) return;
    if (hopeless.has(error.code)) throw error;
    const delayMs = policy.nextDelayMs(retryAfterMs(error));
    onState({ state: 'waiting', delayMs, error });
    await sleep(delayMs, signal).catch((fault: unknown) => {
      if (!signal.aborted) throw fault;
    });
  }
}

/** Dials and serves one link; resolves with why that is over. */
async function linkOnce(options: KeepLinkedOptions): Promise<TowlineError> {
  const { dial, onState, policy, signal, nowMs = () => performance.now() } = options;
  onState({ state: 'dialling' });
  let link: Link;
  try {
    link = await dial(signal);
  } catch (error) {
    return toTowlineError(error);
  }
  const since = nowMs();
  onState({ state: 'linked', link });
  const error = await serveUntilClosed(link, options);
  policy.noteLink(nowMs() - since);
  return error;
}

async function serveUntilClosed(link: Link, { serve, signal, hopeless }: KeepLinkedOptions): Promise<TowlineError> {
  const over = new AbortController();
  let stopping: Promise<void> | undefined;
  const onStop = () => {
    stopping = link.close('link_closed', 'This side stops.');
  };
  if (signal.aborted) onStop();
  signal.addEventListener('abort', onStop, { once: true });
  try {
    const served = serveLink(link, serve, over.signal);
    const end = await link.closed;
    over.abort();
    return chooseReason(await served, end, hopeless);
  } finally {
    signal.removeEventListener('abort', onStop);
    await stopping;
  }
}

/** Resolves with what serving failed with while the link was up; the link is told and closed then. */
async function serveLink(link: Link, serve: KeepLinkedOptions['serve'], over: AbortSignal): Promise<TowlineError | undefined> {
  try {
    await serve(link, over);
    return undefined;
  } catch (error) {
    if (over.aborted) return undefined;
    const fault = toTowlineError(error);
    await link.close(fault.code, fault.message);
    return fault;
  }
}

/** Serving often fails because the link ends, so what the peer said of that comes first, unless only the fault is hopeless. */
function chooseReason(fault: TowlineError | undefined, end: LinkEnd, hopeless: ReadonlySet<ErrorCode>): TowlineError {
  const ended = new TowlineError(end.code, end.message);
  if (fault === undefined || hopeless.has(end.code)) return ended;
  return end.by === 'peer' && !hopeless.has(fault.code) ? ended : fault;
}
