import { randomBytes } from 'node:crypto';
import { CONNECTION_ID_BYTES, resetToken } from './connection-ids.ts';

/**
 * Lengths of a reset, bytes: like a small packet. It is shorter than what it answers, or two servers could bounce resets
 * for ever, and one of less than 38 does not look like a packet (RFC 9000 section 10.3). A client's shortest has 42.
 */
const LONGEST_BYTES = 42;
const SHORTEST_BYTES = 38;

/** The stateless reset that answers a packet with a short header of an unknown connection, or null where none may. */
export function statelessReset(packet: Buffer, key: Buffer): Buffer | null {
  const length = Math.min(LONGEST_BYTES, packet.length - 1);
  if (length < SHORTEST_BYTES) return null;
  const id = packet.subarray(1, 1 + CONNECTION_ID_BYTES);
  const bytes = randomBytes(length);
  // A short header: the first bit clear, the second set.
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  resetToken(key, id).copy(bytes, length - 16);
  return bytes;
}
