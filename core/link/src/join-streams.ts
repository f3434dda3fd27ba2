import type { Duplex } from 'node:stream';
import { TowlineError, toTowlineError } from '@towline/contract';

/** How two joined streams ended. */
export interface JoinEnd {
  /** What broke one of them; null when both ended cleanly. */
  readonly error: TowlineError | null;
}

/**
 * Joins two byte streams: what one reads the other writes, at the pace of the slower, each direction ending by
 * itself. When one breaks the other is reset with the same code, the second one's as `explain` puts it for the first. Resolves
 * when both are over; never rejects.
 */
export function joinStreams(
  one: Duplex,
  other: Duplex,
  explain: (error: TowlineError) => TowlineError = (error) => error,
): Promise<JoinEnd> {
  return new Promise((resolve) => {
    let error: TowlineError | null = null;
    let open = 2;
    const watch = (stream: Duplex, peer: Duplex) => {
      const over = () => {
        // A stream that is over before both directions ended broke, also when nobody said why.
        if (stream.errored || !stream.readableEnded || !stream.writableFinished) {
          const cause = stream.errored ? toTowlineError(stream.errored) : new TowlineError('cancelled');
          error ??= stream === other ? explain(cause) : cause;
          peer.destroy(error);
        }
        open -= 1;
        if (open === 0) resolve({ error });
      };
      stream.on('error', () => {});
      if (stream.closed) over();
      else stream.once('close', over);
    };
    carry(one, other);
    carry(other, one);
    watch(one, other);
    watch(other, one);
  });
}

function carry(from: Duplex, to: Duplex): void {
  from.on('data', (chunk: Buffer) => {
    if (!to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
}
