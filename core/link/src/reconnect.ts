import { setTimeout as wait } from 'node:timers/promises';
import type { Link } from '@towline/contract';
import { type ErrorCode, type TowlineError, toTowlineError } from '@towline/protocol';
import { retryAfterMs } from './relay-answer.ts';
import { beginServing, type LinkPlace, type LinkServing, type ServedLink } from './served-link.ts';
import { pause, type RetiringLink, retireLink, type Sleep, seekBetter } from './take-over.ts';

/** Shortest wait before dialling again, milliseconds. */
const MIN_DELAY_MS = 500;
/** Longest wait, unless the relay asks for more, milliseconds: row A6 wants devices back soon. */
const MAX_DELAY_MS = 15_000;
/** A link that lived so long, milliseconds, shows that the way is good: backing off starts anew. */
const SETTLED_AFTER_MS = 10_000;
/** A link that was lost before it had lived so long, milliseconds, does not show that its way is good. */
export const PROVEN_AFTER_MS = 60_000;
/** Codes of a link that failed by what lies between its ends. */
export const LOST_ON_THE_WAY: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['link_lost', 'link_silent', 'timeout']);
/** Setbacks beyond this many make no difference. */
const MAX_SETBACKS = 6;

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
  /** A better link took over from `from`, which is kept until its streams are over. */
  | { readonly state: 'moved'; readonly link: Link; readonly from: Link }
  /** `from` was lost, and the link that it had taken over from is still there and stands in its place again. */
  | { readonly state: 'moved-back'; readonly link: Link; readonly from: Link }
  /** A better link was tried in vain. */
  | { readonly state: 'staying'; readonly link: Link; readonly error: TowlineError }
  | { readonly state: 'waiting'; readonly delayMs: number; readonly error: TowlineError };

/** Makes a link. Gives up when the signal aborts. */
export type DialLink = (signal: AbortSignal) => Promise<Link>;

/** What {@link keepLinked} takes. */
export interface KeepLinkedOptions {
  readonly dial: DialLink;
  /** How a better link than the present one is made; null when none is thinkable. Without it, none is looked for. */
  readonly betterThan?: (present: Link) => DialLink | null;
  /**
   * Works on a link. May return while the link goes on; a rejection ends the link with that error.
   * The signal aborts when the link is over: return then, for the next attempt waits for it.
   */
  readonly serve: (link: Link, signal: AbortSignal, place: LinkPlace) => Promise<void>;
  readonly onState: (state: LinkState) => void;
  readonly policy: ReconnectPolicy;
  /** Errors that no waiting heals, as `device_removed`. */
  readonly hopeless: ReadonlySet<ErrorCode>;
  /** Monotonic time, milliseconds. `performance.now` by default. */
  readonly nowMs?: () => number;
  /** A timer by default. */
  readonly sleep?: Sleep;
  /** Spreads the attempts at a better link. `Math.random` by default. */
  readonly random?: () => number;
  readonly signal: AbortSignal;
}

/**
 * Keeps one link up: dials, serves, and dials again after a wait, until the signal aborts; the link is closed and the
 * promise resolves then. While a better link is thinkable it is tried in the background. One that the peer takes up is
 * served beside the present link and stands in its place from then on; the present one retires: it is kept until its
 * streams are over, and stands for this side again if the better one is lost before that. Whatever else an attempt comes
 * to, the present link goes on.
 * @throws TowlineError one of `hopeless`, from dialling, from serving or from the CLOSE of a peer.
 */
export async function keepLinked(options: KeepLinkedOptions): Promise<void> {
  await new LinkKeeper(options).run();
}

class LinkKeeper {
  readonly #options: KeepLinkedOptions;
  readonly #stop = new AbortController();
  readonly #sleep: Sleep;
  readonly #serving: LinkServing;
  /** At most one retires at a time. */
  #retiring: RetiringLink | null = null;
  #fatal: TowlineError | null = null;
  /** How often in a row the best link there could be was lost soon after it had come up. */
  #setbacks = 0;

  constructor(options: KeepLinkedOptions) {
    this.#options = options;
    this.#sleep = options.sleep ?? ((ms, until) => wait(ms, undefined, { signal: until }));
    this.#serving = { serve: options.serve, hopeless: options.hopeless, signal: this.#stop.signal };
  }

  async run(): Promise<void> {
    const { signal } = this.#options;
    const onStop = () => this.#stop.abort();
    if (signal.aborted) onStop();
    signal.addEventListener('abort', onStop, { once: true });
    try {
      await this.#linkAgainAndAgain();
    } finally {
      signal.removeEventListener('abort', onStop);
      this.#stop.abort();
      await this.#retiring?.over;
    }
    if (this.#fatal !== null && !signal.aborted) throw this.#fatal;
  }

  async #linkAgainAndAgain(): Promise<void> {
    const { hopeless, policy, onState } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const error = await this.#linkOnce();
      if (signal.aborted) return;
      if (hopeless.has(error.code)) throw error;
      const delayMs = policy.nextDelayMs(retryAfterMs(error));
      onState({ state: 'waiting', delayMs, error });
      await pause(delayMs, { sleep: this.#sleep, signal });
    }
  }

  /** Dials, and serves that link and those that take its place; resolves with why that is over. */
  async #linkOnce(): Promise<TowlineError> {
    const { dial, onState, policy, nowMs = () => performance.now() } = this.#options;
    onState({ state: 'dialling' });
    let link: Link;
    try {
      link = await dial(this.#stop.signal);
    } catch (error) {
      return toTowlineError(error);
    }
    const since = nowMs();
    onState({ state: 'linked', link });
    const error = await this.#stayOn(beginServing(link, false, this.#serving));
    policy.noteLink(nowMs() - since);
    return error;
  }

  async #stayOn(first: ServedLink): Promise<TowlineError> {
    const { onState, hopeless, betterThan, nowMs = () => performance.now() } = this.#options;
    let present = first;
    let sinceMs = nowMs();
    let tookOver = betterThan?.(first.link) === null;
    for (;;) {
      const better = await this.#nextBetter(present);
      if (better !== null) {
        this.#retire(present);
        onState({ state: 'moved', link: better.link, from: present.link });
        [present, sinceMs, tookOver] = [better, nowMs(), true];
        continue;
      }
      const error = await present.over;
      if (tookOver) this.#countSetback(error, nowMs() - sinceMs);
      const older = hopeless.has(error.code) ? null : this.#takeBack();
      if (older === null) return error;
      onState({ state: 'moved-back', link: older.link, from: present.link });
      [present, sinceMs, tookOver] = [older, nowMs(), false];
    }
  }

  /** A network that lets a better link up and then swallows it must not have this side move to and fro for ever. */
  #countSetback({ code }: TowlineError, livedMs: number): void {
    if (livedMs >= PROVEN_AFTER_MS) this.#setbacks = 0;
    else if (LOST_ON_THE_WAY.has(code)) this.#setbacks = Math.min(MAX_SETBACKS, this.#setbacks + 1);
  }

  /** The link that takes the place of the present one, or null once that is over. */
  async #nextBetter({ link, taken, over }: ServedLink): Promise<ServedLink | null> {
    const { betterThan, onState, random = Math.random } = this.#options;
    const dial = (await taken) ? (betterThan?.(link) ?? null) : null;
    if (dial === null) {
      await over;
      return null;
    }
    const gone = new AbortController();
    void over.then(() => gone.abort());
    await Promise.race([over, this.#retiring?.over]);
    return seekBetter({
      dial,
      serve: (better) => beginServing(better, true, this.#serving),
      onFailure: (error) => onState({ state: 'staying', link, error }),
      sleep: this.#sleep,
      random,
      setbacks: this.#setbacks,
      signal: gone.signal,
    });
  }

  #retire(served: ServedLink): void {
    const retiring = retireLink(served, this.#sleep);
    this.#retiring = retiring;
    void retiring.over.then((error) => {
      if (this.#retiring === retiring) this.#retiring = null;
      if (error === null || !this.#options.hopeless.has(error.code)) return;
      this.#fatal = error;
      this.#stop.abort();
    });
  }

  #takeBack(): ServedLink | null {
    const served = this.#stop.signal.aborted ? null : (this.#retiring?.takeBack() ?? null);
    if (served !== null) this.#retiring = null;
    return served;
  }
}
