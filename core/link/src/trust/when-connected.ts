import type { Socket } from 'node:net';

/** What {@link whenConnected} waits for, and how it fails. */
export interface Connecting {
  /** `connect` for TCP alone, `secureConnect` for TLS. */
  readonly event: 'connect' | 'secureConnect';
  readonly signal: AbortSignal;
  /** Puts the socket's error into words. */
  readonly explain: (error: Error) => Error;
}

/** Resolves once a socket is connected; rejects with the reason of the signal or the error of the socket, which is destroyed then. */
export function whenConnected<Connection extends Socket>(socket: Connection, { event, signal, explain }: Connecting): Promise<Connection> {
  // Stays for the socket's life: an error between this promise and the owner's first listener must not end the process.
  socket.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    const onAbort = () => socket.destroy(signal.reason);
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off(event, onConnected);
    };
    const onError = (error: Error) => {
      settle();
      reject(signal.aborted ? signal.reason : explain(error));
    };
    const onConnected = () => {
      settle();
      resolve(socket);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once(event, onConnected);
  });
}
