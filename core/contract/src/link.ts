import type { Duplex } from 'node:stream';
import type { ErrorCode } from '@towline/protocol';

/**
 * One byte stream of a link. `end()` is a clean end of this direction (FIN); the other stays open.
 * Only FIN makes the reader see `end`: a reset or a lost link is an `error` with a TowlineError.
 * `destroy(error)` resets the stream, the peer sees the error's code; without an error, `cancelled`.
 */
export interface ByteStream extends Duplex {
  /** What the opener said, up to 48 KiB. */
  readonly head: Buffer;
}

/** Why a link is over. */
export interface LinkEnd {
  readonly code: ErrorCode;
  readonly message: string;
  /** Who ended it. `lost`: nobody said anything. */
  readonly by: 'self' | 'peer' | 'lost';
}

/** Figures of a link. */
export interface LinkStats {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly openStreams: number;
  /** Monotonic time of the last byte received, milliseconds (performance.now). */
  readonly lastReceivedMs: number;
}

/**
 * One authenticated connection that carries many byte streams. One side opens streams and the other accepts
 * them: clients open towards the relay, the relay opens towards devices. The same on every transport.
 */
export interface Link {
  /** Opens a stream. Fails at once with `link_closed` when the link is over, `stream_limit` above the limit. */
  openStream(head: Uint8Array): ByteStream;
  /** Called for each stream the peer opens. Without a listener such streams are reset. */
  onStream(listener: (stream: ByteStream) => void): void;
  /** Resolves when the link is over and all its streams are. Never rejects. */
  readonly closed: Promise<LinkEnd>;
  /** Says why, sends what is queued within `graceMs` (250 by default), then ends the link. Idempotent. */
  close(code: ErrorCode, message?: string, graceMs?: number): Promise<void>;
  /** Round trip of a PING, milliseconds. Rejects when the link is over. */
  ping(signal: AbortSignal): Promise<number>;
  readonly stats: LinkStats;
}
