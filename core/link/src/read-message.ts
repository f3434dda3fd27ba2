import type { Duplex } from 'node:stream';
import { frameMessage, MessageSplitter, TowlineError, toTowlineError } from '@towline/protocol';

/** Writes one message with its length before it. */
export function writeMessage(stream: Duplex, message: Uint8Array): void {
  stream.write(frameMessage(message));
}

/**
 * Reads exactly one message off a stream; the bytes behind it stay readable.
 * @throws TowlineError `timeout` when the signal aborts, `session_broken` when the stream ends before, `protocol_error`, or the stream's own error.
 */
export function readMessage(stream: Duplex, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const splitter = new MessageSplitter(maxBytes);
  return new Promise((resolve, reject) => {
    const stop = () => {
      stream.off('readable', read).off('error', fail).off('end', ended).off('close', ended);
      signal.removeEventListener('abort', late);
    };
    const fail = (error: unknown) => {
      stop();
      reject(toTowlineError(error));
    };
    const ended = () => fail(new TowlineError('session_broken', 'The peer ended the stream before it answered.'));
    const late = () => fail(new TowlineError('timeout', 'The peer did not answer in time.', { cause: signal.reason }));
    const read = () => {
      try {
        const message = takeMessage(stream, splitter);
        if (message === null) return;
        stop();
        resolve(message);
      } catch (error) {
        fail(error);
      }
    };
    if (signal.aborted) return late();
    signal.addEventListener('abort', late, { once: true });
    stream.on('readable', read).on('error', fail).on('end', ended).on('close', ended);
    read();
  });
}

/** Reads what is there; puts back what lies behind the message. */
function takeMessage(stream: Duplex, splitter: MessageSplitter): Buffer | null {
  for (let bytes = stream.read() as Buffer | null; bytes !== null; bytes = stream.read() as Buffer | null) {
    splitter.push(bytes);
    const message = splitter.next();
    if (message === null) continue;
    const rest = splitter.rest();
    if (rest.length > 0) stream.unshift(rest);
    return message;
  }
  return null;
}
