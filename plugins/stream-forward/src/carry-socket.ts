import type { Socket } from 'node:net';
import { isTowlineError, type Session, type SessionResult } from '@towline/protocol';
import { FLUSH_MS } from './limits.ts';

/** How a carried connection ended. */
export type CarriedEnd =
  /** Both directions came to their end. */
  | { readonly end: 'complete' }
  /** The socket of this side failed, as by a reset. */
  | { readonly end: 'socket'; readonly error: NodeJS.ErrnoException }
  /** The session ended it, or the other side did. */
  | { readonly end: 'session' };

/**
 * Joins a socket to channel 0 of a session, each direction at the pace of the slower and ending by itself. A session that breaks, or
 * whose result is a failure, resets the socket: a program must not take the half of something for the whole. Resolves when the
 * socket is closed; never rejects.
 */
export function carrySocket(socket: Socket, session: Session): Promise<CarriedEnd> {
  return new Promise((resolve) => {
    const carrying = new Carrying(socket, session);
    const over = () => {
      carrying.stop();
      resolve(carrying.end);
    };
    if (socket.closed) over();
    else socket.once('close', over);
  });
}

/**
 * Breaks a connection so that its peer sees that it did not end well: what waits to be sent is dropped, but for what a clean end stands
 * behind already. A unix socket has no reset, and is closed.
 */
export function resetSocket(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.writableEnded && !socket.writableFinished) {
    // The system refuses to reset what it is about to end.
    const timer = setTimeout(() => socket.destroy(), FLUSH_MS);
    socket.once('close', () => clearTimeout(timer)).once('finish', () => resetSocket(socket));
    return;
  }
  // Node's own resetAndDestroy() sends all that waits, and a clean end, before the reset.
  if (socket.remoteAddress !== undefined) Object.assign(socket, { resetAndClosing: true });
  socket.destroy();
}

/**
 * Calls back unless the end was a reset. Where bytes and a reset came together, Node tells of the bytes and of an end; reading once more
 * tells of the reset. It comes with the next look for events, which is over by the second of two immediates.
 */
function afterTrueEnd(socket: Socket, ended: () => void): void {
  (socket as { readonly _handle?: { readStart?(): unknown } | null })._handle?.readStart?.();
  setImmediate(() => setImmediate(() => socket.errored || ended()));
}

class Carrying {
  readonly #socket: Socket;
  readonly #session: Session;
  #wasReset = false;
  #inputEnded = false;
  readonly #onAbort = () => this.#sessionOver();

  constructor(socket: Socket, session: Session) {
    this.#socket = socket;
    this.#session = session;
    const [input, output] = [session.input(0), session.output(0)];
    socket.on('data', (chunk: Buffer) => {
      if (!output.write(chunk)) socket.pause();
    });
    output.on('drain', () => socket.resume());
    socket.on('end', () => afterTrueEnd(socket, () => output.end()));
    input.on('data', (chunk: Buffer) => {
      if (!socket.write(chunk)) input.pause();
    });
    socket.on('drain', () => input.resume());
    input.on('end', () => this.#ended());
    // Why the session broke is the reason of its signal, and the fault of the socket is told by its close.
    socket.on('error', () => {});
    session.signal.addEventListener('abort', this.#onAbort, { once: true });
    if (session.signal.aborted) this.#onAbort();
    socket.resume();
  }

  get end(): CarriedEnd {
    const { errored, readableEnded, writableFinished } = this.#socket;
    if (this.#wasReset) return { end: 'session' };
    if (errored) return { end: 'socket', error: errored };
    return readableEnded && writableFinished ? { end: 'complete' } : { end: 'session' };
  }

  stop(): void {
    this.#session.signal.removeEventListener('abort', this.#onAbort);
  }

  /** The other side sends no more: by its own end, or because the session is over and all that came before was handed on. */
  #ended(): void {
    this.#inputEnded = true;
    if (this.#session.signal.aborted && !this.#endedWell()) this.#reset();
    else this.#socket.end();
  }

  #sessionOver(): void {
    const isBroken = isTowlineError(this.#session.signal.reason);
    if (isBroken || (this.#inputEnded && !this.#endedWell())) this.#reset();
  }

  /** Whether the result says that nothing is missing, and nothing is on the way that nobody takes. */
  #endedWell(): boolean {
    const reason: unknown = this.#session.signal.reason;
    return !isTowlineError(reason) && (reason as SessionResult).reason === 'ended' && this.#socket.readableEnded;
  }

  #reset(): void {
    this.#wasReset = true;
    resetSocket(this.#socket);
  }
}
