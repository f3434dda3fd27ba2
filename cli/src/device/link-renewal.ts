import { type ControlChannel, TokenBucket } from '@towline/link';
import { type ClientToRelay, type RelayToClient, toTowlineError } from '@towline/protocol';
import { shown } from '../output/terminal-text.ts';
import { durationText } from '../output/times.ts';
import type { UserCredential } from '../relay/credential.ts';

/** How long before its end a credential is renewed, milliseconds: time for a provider that is down to come back. */
const AHEAD_MS = 120_000;
/** A short-lived one is renewed when a quarter of its life is left. */
const AHEAD_PART = 0.25;
/** Pauses after a renewal that failed, milliseconds: a quarter of what is left, within these. */
const RETRY_MS = Object.freeze({ least: 5_000, most: 60_000 });
/** Renewals in a second, averaged over a minute: as many as a relay takes. One that ends each at once must not flood the provider. */
const RENEWALS_PER_SECOND = 0.1;
const BURST_SECONDS = 60;
/** Longest timer of Node, milliseconds; what is due later is looked at again. */
const LONGEST_TIMER_MS = 2_147_483_647;

type Welcome = Extract<RelayToClient, { type: 'welcome' }>;

/** What {@link keepRenewed} goes by. */
export interface RenewalOptions {
  readonly control: Pick<ControlChannel<ClientToRelay, RelayToClient>, 'send'>;
  /** What the link was dialled with. */
  readonly credential: UserCredential;
  readonly welcome: Welcome;
  /** The credential in place of this one: renewed, or as it is where it could not be. */
  readonly renew: (replacing: UserCredential) => Promise<UserCredential>;
  readonly warn: (text: string) => void;
}

/** The renewal of a link's credential. Disposing it waits for one that is under way: it may hold a new refresh token. */
export interface LinkRenewal extends AsyncDisposable {
  /** Takes a control message; others than its own are left alone. */
  take(message: RelayToClient): void;
}

/**
 * Renews the token of a link ahead of its end, and hands the new one to the relay, so that sessions outlive it. What fails is
 * tried again until the relay closes the link; each reason is said once.
 */
export function keepRenewed(options: RenewalOptions): LinkRenewal {
  return new Renewal(options);
}

class Renewal implements LinkRenewal {
  readonly #options: RenewalOptions;
  /** Time of the relay less our steady clock, milliseconds. */
  readonly #offset: number;
  readonly #said = new Set<string>();
  readonly #bucket = new TokenBucket(RENEWALS_PER_SECOND, BURST_SECONDS, performance.now());
  #credential: UserCredential;
  #offered: { readonly id: number; readonly credential: UserCredential } | undefined;
  #endsAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  #id = 0;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#credential = options.credential;
    this.#offset = options.welcome.time_ms - performance.now();
    this.#plan(options.welcome.expires_at_ms);
  }

  take(message: RelayToClient): void {
    if (message.type !== 'credential_result' || message.id !== this.#offered?.id) return;
    const { credential } = this.#offered;
    this.#offered = undefined;
    if (message.code !== undefined) return this.#warn(shown(message.message ?? message.code, 300));
    this.#credential = credential;
    this.#said.clear();
    this.#plan(message.expires_at_ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #left(): number {
    return this.#endsAt - this.#offset - performance.now();
  }

  /** Plans the renewal of a credential that ends then, in the relay's time. */
  #plan(endsAt: number | undefined): void {
    this.#endsAt = endsAt ?? Number.POSITIVE_INFINITY;
    clearTimeout(this.#timer);
    const left = this.#left();
    if (left !== Number.POSITIVE_INFINITY) this.#wait(left - Math.min(AHEAD_MS, left * AHEAD_PART));
  }

  #wait(ms: number): void {
    if (this.#stopped) return;
    const pause = Math.min(Math.max(ms, 0), LONGEST_TIMER_MS);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (pause < ms) this.#wait(ms - pause);
      else this.#running = this.#renew();
    }, pause);
    this.#timer.unref();
  }

  async #renew(): Promise<void> {
    if (!this.#bucket.take(performance.now())) return this.#wait(RETRY_MS.least);
    const replacing = this.#credential;
    try {
      const credential = await this.#options.renew(replacing);
      // The answer to the offer before came meanwhile, and has planned anew.
      if (replacing !== this.#credential) return;
      if (credential.value !== this.#credential.value) this.#offer(credential);
      else this.#warn('it cannot be renewed; run `towline login` in another terminal');
    } catch (error) {
      this.#warn(toTowlineError(error).message);
    }
    // The answer to an offer plans anew; without one it is made again.
    this.#wait(Math.min(Math.max(this.#left() * AHEAD_PART, RETRY_MS.least), RETRY_MS.most));
  }

  #offer(credential: UserCredential): void {
    this.#id += 1;
    this.#offered = { id: this.#id, credential };
    if (!this.#stopped)
      this.#options.control.send({ type: 'credential', id: this.#id, header: credential.header, value: credential.value });
  }

  #warn(why: string): void {
    if (this.#stopped || this.#said.has(why)) return;
    this.#said.add(why);
    this.#options.warn(`the login of this session ends in ${durationText(this.#left())}: ${why}`);
  }
}
