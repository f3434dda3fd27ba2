import type { QuicConnection } from './quic-connection.ts';

/**
 * Bytes of packets that were taken from all peers which are not admitted, together. Quiche 0.18 keeps up to two hundred
 * times what a hostile one sends (tiny parts of thousands of streams, none of which it shows), an honest one sends 3 KB
 * and its credential.
 */
const MAX_BYTES = 2_097_152;

/** Keeps account of what strangers have sent. */
export interface StrangerBytes {
  /** Counts a packet of a connection. Above the bound the stranger that has sent most is abandoned. */
  count(connection: QuicConnection, bytes: number): void;
}

/** Makes an account that starts at nothing. */
export function createStrangerBytes(maxBytes: number = MAX_BYTES): StrangerBytes {
  const strangers = new Set<QuicConnection>();
  /** At least what they have sent: those that were admitted or have gone are taken out when it is too much. */
  let bytes = 0;
  const countAnew = (): QuicConnection | undefined => {
    let largest: QuicConnection | undefined;
    bytes = 0;
    for (const each of strangers) {
      if (each.isAdmitted || each.isClosed) strangers.delete(each);
      else {
        bytes += each.bytesIn;
        if (each.bytesIn > (largest?.bytesIn ?? 0)) largest = each;
      }
    }
    return largest;
  };
  return {
    count(connection, added) {
      if (connection.isAdmitted || connection.isClosed) return;
      strangers.add(connection);
      bytes += added;
      if (bytes <= maxBytes) return;
      const largest = countAnew();
      if (bytes <= maxBytes || largest === undefined) return;
      bytes -= largest.bytesIn;
      strangers.delete(largest);
      largest.turnAway();
    },
  };
}
