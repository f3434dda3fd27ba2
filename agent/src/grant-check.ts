import type { KeyObject } from 'node:crypto';
import {
  type DeviceId,
  type DeviceOpen,
  deviceOpen,
  type Grant,
  type GrantKeyRecord,
  parsePublicKey,
  type RelayOpen,
  TowlineError,
  verifyGrant,
} from '@towline/protocol';

/**
 * Openings that may be remembered at once. A grant lives two minutes at most, so this is 800 openings a second
 * without a pause; each costs about 150 bytes.
 */
const MAX_REMEMBERED = 100_000;

/** What grants of one link are judged by. */
export interface GrantCheckOptions {
  readonly device: DeviceId;
  /** Nonce of this link's challenge. Grants of other links fail by it, so spent openings need no longer memory than the link. */
  readonly nonce: string;
  /** The relay's time now, Unix milliseconds. */
  readonly relayNowMs: () => number;
  /** How many openings are remembered; {@link MAX_REMEMBERED} unless told. */
  readonly maxRemembered?: number;
}

/** A stream that the relay vouched for. */
export interface GrantedOpen {
  readonly grant: Grant;
  readonly open: DeviceOpen;
}

/** Judges the grants of one link: signed by a key the device holds, for this device, link and message, and used once. */
export class GrantCheck {
  readonly #options: GrantCheckOptions;
  readonly #spent = new Map<string, number>();
  #keys: ReadonlyMap<string, KeyObject> = new Map();

  constructor(options: GrantCheckOptions) {
    this.#options = options;
  }

  /** Replaces the keys that are believed. Without any, every grant is refused. */
  useKeys(records: readonly GrantKeyRecord[]): void {
    const keys = records.map((record) => [record.id, parsePublicKey(record.key)] as const);
    this.#keys = new Map(keys.filter((pair): pair is readonly [string, KeyObject] => pair[1] !== null));
  }

  /**
   * Decodes the open message after its grant was found good, and spends the grant.
   * @throws TowlineError `grant_invalid`, `grant_expired`, `grant_replayed`, `rate_limited`, `protocol_error`.
   */
  admit({ grant: text, open }: RelayOpen): GrantedOpen {
    const nowMs = this.#options.relayNowMs();
    const { device, nonce } = this.#options;
    const grant = verifyGrant(text, { device, nonce, open, nowMs, keyOf: (id) => this.#keys.get(id) ?? null });
    this.#spend(grant, nowMs);
    const message = deviceOpen.decode(Buffer.from(open, 'utf8'));
    if (message.protocol !== grant.protocol) throw new TowlineError('grant_invalid', 'The grant is for another kind of stream.');
    return { grant, open: message };
  }

  #spend({ opening, expires_ms: expiresMs }: Grant, nowMs: number): void {
    if (this.#spent.has(opening)) throw new TowlineError('grant_replayed');
    // Oldest first: the first that has not expired ends the search, so an opening is never forgotten too early.
    for (const [old, oldExpiresMs] of this.#spent) {
      if (oldExpiresMs > nowMs) break;
      this.#spent.delete(old);
    }
    if (this.#spent.size >= (this.#options.maxRemembered ?? MAX_REMEMBERED)) {
      throw new TowlineError('rate_limited', 'The device was asked for too many streams within two minutes.');
    }
    this.#spent.set(opening, expiresMs);
  }
}
