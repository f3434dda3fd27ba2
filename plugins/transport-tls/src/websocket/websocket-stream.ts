import { Duplex } from 'node:stream';
import { type ErrorCode, TowlineError } from '@towline/contract';
import { TokenBucket } from '@towline/link';
import type { RawData, WebSocket } from 'ws';
import { AVERAGED_OVER_SECONDS, IDLE_FRAMES_PER_SECOND, MAX_SENT_BYTES } from './message-limits.ts';

/** Status codes of closing (RFC 6455 section 7.4.1). */
const NORMAL = 1_000;
const TEXT_REFUSED = 1_003;
const NO_STATUS = 1_005;
const FLOODED = 1_008;

/**
 * The bytes that an open WebSocket carries in binary messages; their boundaries mean nothing. A write is done when the
 * system took its bytes, and reading stops while the reader is behind, so either end can make the other wait. `end` is
 * the peer's closing handshake; a connection that ends in any other way is an `error`. Made in the turn in which the
 * WebSocket opens, or bytes are missed. The wrapper that ws brings ends cleanly when the connection breaks, takes text
 * for bytes, and makes a message of every write, so it is not used.
 */
export function createWebSocketStream(socket: WebSocket): Duplex {
  let refused = false;
  const stream = new Duplex({
    read: () => socket.resume(),
    write: (chunk: Buffer, _encoding, done) => sendAll(socket, chunk, done),
    writev: (writes, done) => sendAll(socket, Buffer.concat(writes.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => {
      socket.close(NORMAL);
      done();
    },
    destroy: (error, done) => {
      // One that was refused is told why; ws cuts the connection when the answer to that takes too long.
      if (!refused) socket.terminate();
      done(error);
    },
  });
  // Stays for the stream's life: an error before the link listens must not end the process; the link sees the close.
  stream.on('error', () => undefined);

  const refuse = (status: number, code: ErrorCode, message: string) => {
    if (stream.destroyed) return;
    refused = true;
    socket.close(status);
    stream.destroy(new TowlineError(code, message));
  };
  const idle = new TokenBucket(IDLE_FRAMES_PER_SECOND, AVERAGED_OVER_SECONDS, performance.now());
  const countIdle = () => {
    if (!idle.take(performance.now())) refuse(FLOODED, 'link_flooded', 'The peer sends too many WebSocket frames that bring nothing.');
  };
  socket.on('ping', countIdle);
  socket.on('pong', countIdle);
  socket.on('message', (data: RawData, isBinary) => {
    if (!isBinary) return refuse(TEXT_REFUSED, 'protocol_error', 'The peer sends text where a link has bytes.');
    const bytes = data as Buffer;
    if (bytes.length === 0) return countIdle();
    if (!stream.destroyed && !stream.push(bytes)) socket.pause();
  });
  // What ws reports is a breach of its protocol or of our limits, which it has answered.
  socket.on('error', (cause) => {
    refused = true;
    stream.destroy(new TowlineError('protocol_error', 'The peer breaks the rules of WebSocket.', { cause }));
  });
  socket.on('close', (status) => {
    if (status === NORMAL || status === NO_STATUS) stream.push(null);
    else stream.destroy(new TowlineError('link_lost', undefined, { detail: `WebSocket closed with status ${status}` }));
  });
  return stream;
}

/** Sends bytes in messages that are not too large; `done` when the last was handed to the system. */
function sendAll(socket: WebSocket, bytes: Buffer, done: (error?: Error | null) => void): void {
  let from = 0;
  for (; from + MAX_SENT_BYTES < bytes.length; from += MAX_SENT_BYTES) socket.send(bytes.subarray(from, from + MAX_SENT_BYTES));
  socket.send(bytes.subarray(from), done);
}
