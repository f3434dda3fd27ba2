import { randomBytes } from 'node:crypto';
import { CONNECTION_ID_BYTES, resetToken } from './connection-ids.ts';

/** Shortest packet that is answered by a reset, bytes: the answer must be shorter still, or two servers could bounce resets for ever. */
const MIN_ANSWERED_BYTES = 43;
/** Length of a reset, bytes: like a small packet (RFC 9000 section 10.3 asks for 38 and more to look like one). */
const RESET_BYTES = 42;

/** The stateless reset that answers a packet with a short header of an unknown connection, or null where none may. */
export function statelessReset(packet: Buffer, key: Buffer): Buffer | null {
  if (packet.length < MIN_ANSWERED_BYTES) return null;
  const id = packet.subarray(1, 1 + CONNECTION_ID_BYTES);
  const bytes = randomBytes(RESET_BYTES);
  // A short header: the first bit clear, the second set.
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  resetToken(key, id).copy(bytes, RESET_BYTES - 16);
  return bytes;
}
