import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { cancellation, explainRequestFault, notTowline, readRefusal, type UpgradeRequest } from '@towline/link';
import { type ClientOptions, WebSocket } from 'ws';
import { SOCKET_OPTIONS, SUBPROTOCOL } from './message-limits.ts';
import { createWebSocketStream } from './websocket-stream.ts';

/**
 * Asks for a WebSocket on a connection that was verified; resolves with the link bytes in it. The connection is destroyed
 * on every other way out. @throws TowlineError as `requestUpgrade` of @towline/link.
 */
export async function requestWebSocket(socket: TLSSocket, request: UpgradeRequest, signal: AbortSignal): Promise<Duplex> {
  try {
    return await exchange(socket, request, signal);
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? cancellation(signal) : explainRequestFault(error, request.relay);
  }
}

function exchange(socket: TLSSocket, { relay, role, credential }: UpgradeRequest, signal: AbortSignal): Promise<Duplex> {
  signal.throwIfAborted();
  const options = {
    ...SOCKET_OPTIONS,
    createConnection: () => socket,
    followRedirects: false,
    headers: { Host: relay.host, [credential.header]: credential.value },
  } satisfies ClientOptions;
  return new Promise((resolve, reject) => {
    const websocket = new WebSocket(new URL(`/v1/links/${role}`, relay), SUBPROTOCOL, options);
    const onAbort = () => refuse(cancellation(signal));
    const settle = () => signal.removeEventListener('abort', onAbort);
    const refuse = (error: unknown) => {
      settle();
      reject(error);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    websocket.once('open', () => {
      settle();
      resolve(createWebSocketStream(websocket));
    });
    websocket.on('error', (error) => refuse(explainHandshake(error)));
    websocket.on('unexpected-response', (_request, response) => {
      readRefusal(response, `switch to a WebSocket with ${SUBPROTOCOL}`).then(refuse, refuse);
    });
  });
}

/** What the network or the parser fails with has a code; without one it is what ws finds wrong with an answer. */
function explainHandshake(error: NodeJS.ErrnoException): Error {
  return error.code === undefined ? notTowline(`a WebSocket that cannot be used (${error.message})`, error) : error;
}
