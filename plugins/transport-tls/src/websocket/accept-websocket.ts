import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { TowlineError } from '@towline/contract';
import { type WebSocket, WebSocketServer } from 'ws';
import { SOCKET_OPTIONS, SUBPROTOCOL } from './message-limits.ts';
import { createWebSocketStream } from './websocket-stream.ts';

/** Tokens of comma-separated headers. */
const tokensOf = (header: string | undefined) => (header ?? '').split(',').map((token) => token.trim());

/**
 * Completes the upgrade of a request that has been authenticated to a WebSocket that carries link bytes. A request that
 * asks for another WebSocket is answered with what is wrong. @throws TowlineError `protocol_error` then; `link_lost` when the peer has gone.
 */
export async function acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<Duplex> {
  const fault = findFault(request);
  if (fault !== undefined) {
    await answerFault(socket, fault);
    throw fault;
  }
  return openStream(request, socket, head);
}

/** What ws would refuse itself, in our words; and version 8, in which browsers name their page in another header than the one that is checked. */
function findFault({ method, headers }: IncomingMessage): TowlineError | undefined {
  if (method !== 'GET' || !/^[+/0-9A-Za-z]{22}==$/.test(headers['sec-websocket-key'] ?? ''))
    return new TowlineError('protocol_error', 'The request does not ask for a WebSocket as it should.');
  if (headers['sec-websocket-version'] !== '13') return new TowlineError('protocol_error', 'Of WebSocket only version 13 is spoken here.');
  if (tokensOf(headers['sec-websocket-protocol']).includes(SUBPROTOCOL)) return undefined;
  return new TowlineError('protocol_error', 'The WebSocket is for links only.', {
    hint: `Links ask for the subprotocol ${SUBPROTOCOL}; a proxy between must pass on Sec-WebSocket-Protocol.`,
  });
}

/** The request has left the HTTP server by now, so its answer is written by hand. */
function answerFault(socket: Duplex, fault: TowlineError): Promise<void> {
  const body = JSON.stringify({ error: fault.toPublic() });
  const head = [
    'HTTP/1.1 400 Bad Request',
    'Connection: close',
    'Sec-WebSocket-Version: 13',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return new Promise((resolve) => {
    socket.once('close', resolve);
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => resolve());
  });
}

/** One for each upgrade: it holds nothing but the options, and answers in the same turn. */
function openStream(request: IncomingMessage, socket: Duplex, head: Buffer): Duplex {
  const server = new WebSocketServer({
    ...SOCKET_OPTIONS,
    noServer: true,
    clientTracking: false,
    handleProtocols: () => SUBPROTOCOL,
  });
  let opened: Duplex | undefined;
  server.handleUpgrade(request, socket, head, (websocket: WebSocket) => {
    opened = createWebSocketStream(websocket);
  });
  if (opened === undefined) throw new TowlineError('link_lost', 'The peer went away while its link was made.');
  return opened;
}
