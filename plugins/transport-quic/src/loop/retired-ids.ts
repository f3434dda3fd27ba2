import type { NativeConnection } from '../binding/quiche.ts';
import { ACTIVE_CONNECTION_IDS, CONNECTION_ID_BYTES, idKey, shortHeaderKey } from './connection-ids.ts';

/**
 * Ids of ours that the peer has given back. Quiche 0.18 closes the connection for a packet to one of them, although
 * such packets are no more than late: they were on their way when the peer changed its id.
 */
export class RetiredIds {
  readonly #native: NativeConnection;
  readonly #keys = new Set<string>();
  #fresh: Uint8Array[] = [];

  constructor(native: NativeConnection) {
    this.#native = native;
  }

  /** Whether a packet is to one of them. */
  isTo(packet: Buffer): boolean {
    if (this.#keys.size === 0 || packet.length <= CONNECTION_ID_BYTES || (packet[0]! & 0x80) !== 0) return false;
    return this.#keys.has(shortHeaderKey(packet));
  }

  /** To be called after each packet: the next one may be to an id that this one gave back. */
  note(): void {
    for (let id = this.#native.retiredScidNext(); id; id = this.#native.retiredScidNext()) {
      this.#keys.add(idKey(id));
      this.#fresh.push(id);
      // The peer has had so many at most since the oldest of them was in use.
      if (this.#keys.size > 2 * ACTIVE_CONNECTION_IDS) this.#keys.delete(this.#keys.values().next().value!);
    }
  }

  /** Those that were not taken yet. */
  take(): readonly Uint8Array[] {
    if (this.#fresh.length === 0) return this.#fresh;
    const taken = this.#fresh;
    this.#fresh = [];
    return taken;
  }
}
