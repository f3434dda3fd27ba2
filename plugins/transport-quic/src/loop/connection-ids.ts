import { createHmac, randomBytes } from 'node:crypto';
import type { NativeConnection } from '../binding/quiche.ts';

/** Length of our connection ids, bytes: the most that QUIC allows, so that nobody guesses one (RFC 9000 section 5.1). */
export const CONNECTION_ID_BYTES = 20;
/**
 * Ids that the peer may give us, and with them the changes of address that a connection outlives: quiche 0.18 has as
 * many places for paths, and frees none.
 */
export const ACTIVE_CONNECTION_IDS = 128;
/** Changes of address after which a connection is better made anew, before those places are used up. */
export const MAX_ADDRESS_CHANGES = 120;
/** Ids of ours that the peer holds at a time, as long as it uses one of them. */
export const GIVEN_IDS = 4;

/** A fresh random connection id. */
export function newConnectionId(): Buffer {
  return randomBytes(CONNECTION_ID_BYTES);
}

/** A connection id as a key of a map. */
export function idKey(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1');
}

/** The id a packet with a short header is sent to, as a key. The packet must be longer than that. */
export function shortHeaderKey(packet: Buffer): string {
  return packet.toString('latin1', 1, 1 + CONNECTION_ID_BYTES);
}

/** Token by which the peer recognises a stateless reset for this id (RFC 9000 section 10.3): only the holder of the key can make it. */
export function resetToken(key: Buffer, id: Uint8Array): Buffer {
  return createHmac('sha256', key).update('stateless reset').update(id).digest().subarray(0, 16);
}

/** A reset token as the binding takes it. */
export function tokenNumber(token: Buffer): bigint {
  return (token.readBigUInt64BE(0) << 64n) | token.readBigUInt64BE(8);
}

/**
 * Gives the peer spare ids as far as it may hold them; it needs one for each change of address. Told are those that came.
 */
export function renewConnectionIds(
  native: NativeConnection,
  key: Buffer,
  { added, wanted = GIVEN_IDS }: { readonly added: (id: Buffer) => void; readonly wanted?: number },
): void {
  const room = Math.min(native.sourceCidsLeft(), wanted - native.activeSourceCids());
  for (let left = room; left > 0; left -= 1) {
    const id = newConnectionId();
    native.newSourceCid(id, tokenNumber(resetToken(key, id)), false);
    added(id);
  }
}
