import type { Duplex } from 'node:stream';
import { TowlineError, toTowlineError } from '@towline/protocol';

const LENGTH_BYTES = 4;
/** After any of these, reading again may bring something: bytes, the end, or an error. */
const EVENTS = ['readable', 'end', 'error', 'close'] as const;

/**
 * Reads exactly one message off a stream; the bytes behind it, and its end, are left for the next reader.
 * @throws TowlineError `timeout` when the signal aborts, `session_broken` when the stream ends before, `protocol_error`, or the stream's own error.
 */
export async function readMessage(stream: Duplex, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const length = (await readExactly(stream, LENGTH_BYTES, signal)).readUInt32BE(0);
  if (length > maxBytes) {
    throw new TowlineError('protocol_error', `The peer announced a message of ${length} bytes, where ${maxBytes} are allowed.`);
  }
  return length === 0 ? Buffer.alloc(0) : readExactly(stream, length, signal);
}

/** Never takes more than it needs: a read that empties an ended stream would make it report that end before anybody listens. */
function readExactly(stream: Duplex, bytes: number, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      for (const event of EVENTS) stream.off(event, look);
      signal.removeEventListener('abort', look);
    };
    const look = () => {
      try {
        const taken = takeExactly(stream, bytes, signal);
        if (taken === null) return;
        stop();
        resolve(taken);
      } catch (error) {
        stop();
        reject(error);
      }
    };
    // Added once: a stream tells each new listener of the bytes it has, and where those are too few, that would never end.
    for (const event of EVENTS) stream.on(event, look);
    signal.addEventListener('abort', look, { once: true });
    look();
  });
}

/** Null while there is too little to read. */
function takeExactly(stream: Duplex, bytes: number, signal: AbortSignal): Buffer | null {
  if (signal.aborted) throw new TowlineError('timeout', 'The peer did not answer in time.', { cause: signal.reason });
  if (stream.errored) throw toTowlineError(stream.errored);
  const taken: Buffer | null = stream.read(bytes);
  if (taken?.length === bytes) return taken;
  if (taken || stream.readableEnded || stream.destroyed) {
    throw new TowlineError('session_broken', 'The peer ended the stream before it answered.');
  }
  return null;
}
