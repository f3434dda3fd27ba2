import type { NativeConnection } from '../binding/quiche.ts';

/** Longest reason that surely fits into the packet that closes a connection, bytes. */
const MAX_REASON_BYTES = 800;

/** How a connection came to its end. `by` peer: it said so; `lost`: nobody said anything. */
export interface ConnectionEnd {
  readonly by: 'self' | 'peer' | 'lost';
  /** Whether `code` is a number of the link protocol and not one of QUIC. */
  readonly isApp: boolean;
  readonly code: number;
  readonly reason: string;
}

/** Nobody said anything. */
export const LOST: ConnectionEnd = Object.freeze({ by: 'lost', isApp: false, code: 0, reason: '' });

/** What quiche knows of the end of a connection that is over. */
export function endOf(native: NativeConnection): ConnectionEnd {
  const peer = native.peerError();
  if (peer) return { by: 'peer', isApp: peer.isApp, code: peer.errorCode, reason: Buffer.from(peer.reason).toString('utf8') };
  const local = native.localError();
  if (!local || native.isTimedOut()) return LOST;
  return { by: 'self', isApp: local.isApp, code: local.errorCode, reason: Buffer.from(local.reason).toString('utf8') };
}

/** Has quiche say that the connection is over. What it said of its own accord is kept: it is the first reason. */
export function closeNative(native: NativeConnection, { isApp, code, reason }: ConnectionEnd): void {
  try {
    native.close(isApp, code, cut(reason));
  } catch {
    // Closed already.
  }
}

function cut(reason: string): Buffer {
  const bytes = Buffer.from(reason);
  if (bytes.length <= MAX_REASON_BYTES) return bytes;
  let end = MAX_REASON_BYTES;
  // Not in the middle of a character.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
