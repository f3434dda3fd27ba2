import type { KeptLink, KeptLinkState, Link } from '@towline/contract';
import { cancellation, createReconnectPolicy, keepLinked, type LinkState } from '@towline/link';
import { type ErrorCode, TowlineError, toTowlineError } from '@towline/protocol';
import type { Context } from '../context.ts';
import { openSession } from './open-session.ts';
import { type DialledLink, dialRelay } from './relay-link.ts';

/** Errors that no waiting heals: somebody has to log in again, or was shown out. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'unauthenticated',
  'forbidden',
  'key_wrong_kind',
  'key_revoked',
  'key_expired',
  'user_disabled',
  'token_invalid',
  'token_expired',
  'config_invalid',
  'usage',
]);
/** Codes of an opening that failed with its link: it is made again on the next one. */
const LINK_GONE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['link_lost', 'link_closed', 'link_silent']);
/** Within this time the end of a link is noticed by all, milliseconds: its streams learn of it first. */
const NOTICE_MS = 1_000;

/** Makes a link to the relay and keeps it up. @throws TowlineError when the first one cannot be made: nothing is tried again then. */
export async function openKeptLink(context: Context, device: string, onState: (state: KeptLinkState) => void): Promise<KeptLink> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.host.signal, stop.signal]);
  const first = await dialRelay(context, signal);
  const present = new PresentLink();
  const keeper = new Keeper(first, (until) => dialRelay(context, until));
  const over = keepLinked({
    dial: (until) => keeper.dial(until),
    serve: (link, gone) => present.serve(link, gone),
    onState: (state) => report(state, onState, first.link),
    policy: createReconnectPolicy(Math.random),
    hopeless: HOPELESS,
    signal,
  });
  over.catch((error: unknown) => present.fail(toTowlineError(error)));
  return {
    over,
    openSession: async (protocol, body, { signal: until, waitMs }) => {
      const patience = { signal: until, untilMs: performance.now() + waitMs };
      for (;;) {
        const link = await present.get(patience);
        try {
          return await openSession(link, { device, protocol, body, signal: until });
        } catch (error) {
          if (until.aborted || !LINK_GONE.has(toTowlineError(error).code)) throw error;
          // The codes alone may also tell of the device's link.
          if (!(await present.isGone(link))) throw error;
        }
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await over.catch(() => undefined);
      await keeper.stop();
    },
  };
}

function report(state: LinkState, onState: (state: KeptLinkState) => void, first: Link): void {
  if (state.state === 'waiting') onState({ state: 'down', error: state.error, retryMs: state.delayMs });
  else if (state.state === 'linked' && state.link !== first) onState({ state: 'up' });
}

/** Dials; the first link was made before. */
class Keeper {
  readonly #dial: (signal: AbortSignal) => Promise<DialledLink>;
  #first: DialledLink | null;
  #last: DialledLink;

  constructor(first: DialledLink, dial: (signal: AbortSignal) => Promise<DialledLink>) {
    this.#first = first;
    this.#last = first;
    this.#dial = dial;
  }

  async dial(signal: AbortSignal): Promise<Link> {
    this.#last = this.#first ?? (await this.#dial(signal));
    this.#first = null;
    return this.#last.link;
  }

  /** Waits for what the control stream of the last link still does by itself. */
  async stop(): Promise<void> {
    await this.#last.control.stop();
  }
}

/** The link that is up, for those who wait for one. */
class PresentLink {
  #link: Link | null = null;
  #failure: TowlineError | null = null;
  #waiting = new Set<() => void>();

  serve(link: Link, gone: AbortSignal): Promise<void> {
    this.#set(link);
    return new Promise((resolve) => {
      const leave = () => {
        this.#set(null);
        resolve();
      };
      if (gone.aborted) leave();
      else gone.addEventListener('abort', leave, { once: true });
    });
  }

  fail(error: TowlineError): void {
    this.#failure = error;
    this.#set(null);
  }

  /** @throws TowlineError what ended the link for good, the reason of the signal, or `unavailable` when the link stays down. */
  async get({ signal, untilMs }: { readonly signal: AbortSignal; readonly untilMs: number }): Promise<Link> {
    while (this.#link === null) {
      if (this.#failure) throw this.#failure;
      if (signal.aborted) throw cancellation(signal);
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) throw new TowlineError('unavailable', 'The connection to the relay is down.');
      await this.#change(leftMs, signal);
    }
    return this.#link;
  }

  /** Whether that link is not the present one any more, or is about to be that. */
  async isGone(link: Link): Promise<boolean> {
    if (this.#link === link) await this.#change(NOTICE_MS);
    return this.#link !== link;
  }

  #set(link: Link | null): void {
    this.#link = link;
    for (const wake of [...this.#waiting]) wake();
  }

  #change(withinMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#waiting.delete(wake);
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.ceil(withinMs));
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}
