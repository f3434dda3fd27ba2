import type { Duplex } from 'node:stream';
import { TowlineError, toTowlineError } from '@towline/protocol';
import { MuxStream } from './mux/mux-stream.ts';

/** How two joined streams ended. */
export interface JoinEnd {
  /** What broke one of them; null when both ended cleanly. */
  readonly error: TowlineError | null;
}

/** How two streams are joined. */
export interface JoinOptions {
  /** Puts what broke the second one into words for the first. */
  readonly explain?: (error: TowlineError) => TowlineError;
  /** Resets the one that is left when the other broke; at once by default. */
  readonly reset?: (left: Duplex, error: TowlineError) => void;
}

/**
 * Joins two byte streams: what one reads the other writes, at the pace of the slower, each direction ending by
 * itself. When one breaks the other is reset with the same code. Resolves when both are over; never rejects.
 */
export function joinStreams(one: Duplex, other: Duplex, options: JoinOptions = {}): Promise<JoinEnd> {
  const { explain = (error) => error, reset = (left, why) => left.destroy(why) } = options;
  return new Promise((resolve) => {
    let error: TowlineError | null = null;
    let open = 2;
    const watch = (stream: Duplex, peer: Duplex) => {
      const over = () => {
        // A stream that is over before both directions ended broke, also when nobody said why.
        if (stream.errored || !stream.readableEnded || !stream.writableFinished) {
          const cause = stream.errored ? toTowlineError(stream.errored) : new TowlineError('cancelled');
          error ??= stream === other ? explain(cause) : cause;
          reset(peer, error);
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
  if (from instanceof MuxStream && to instanceof MuxStream && from.leadTo(to)) return;
  from.on('data', (chunk: Buffer) => {
    if (!to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
}
