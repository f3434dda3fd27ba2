import type { Duplex } from 'node:stream';
import { type TowlineError, toTowlineError } from '@towline/contract';

/** How two joined streams ended. */
export interface JoinEnd {
  /** Bytes from the first to the second, framing of the session included. */
  readonly there: number;
  readonly back: number;
  /** What broke one of them; null when both ended cleanly. */
  readonly error: TowlineError | null;
}

/**
 * Joins two byte streams: what one reads the other writes, at the pace of the slower, each direction ending by
 * itself. When one breaks the other is reset with the same code. Resolves when both are over; never rejects.
 */
export function joinStreams(one: Duplex, other: Duplex): Promise<JoinEnd> {
  return new Promise((resolve) => {
    const bytes = { there: 0, back: 0 };
    let error: TowlineError | null = null;
    let open = 2;
    const fail = (cause: Error, peer: Duplex) => {
      error ??= toTowlineError(cause);
      if (!peer.destroyed) peer.destroy(error);
    };
    const closed = () => {
      open -= 1;
      if (open === 0) resolve({ ...bytes, error });
    };
    one.on('error', (cause) => fail(cause, other)).once('close', closed);
    other.on('error', (cause) => fail(cause, one)).once('close', closed);
    carry(one, other, (count) => (bytes.there += count));
    carry(other, one, (count) => (bytes.back += count));
  });
}

function carry(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
  from.on('data', (chunk: Buffer) => {
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
}
