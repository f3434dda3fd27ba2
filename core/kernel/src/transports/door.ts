import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ErrorView, type Log, type RelayDoor, TowlineError } from '@towline/contract';
import { answerUnreadable } from '../http/errors.ts';
import { STRANGER_DEADLINE_MS } from '../http/server.ts';
import { type LinkEntrance, notForRequests, refusableResponse, type UpgradeArrival } from '../http/upgrade.ts';

/** Connections that may wait for the head of their request at a time: 500 a second until their deadline, twice. */
const MAX_WAITING = 5_000;
/** What may be asked for here, word for word: a path that is written in another way is another path. */
const LINK_PATH = /^\/v1\/links\/(device|client)$/;
/** What a proxy says of whom it forwards for. No proxy stands before a transport's own listener: its word is that of the peer. */
const FORWARDED = Object.freeze(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-real-ip']);

/** What a door works with. */
export interface DoorParts {
  readonly entrance: Pick<LinkEntrance, 'take'>;
  readonly log: Log;
}

/** The way in for connections that a transport accepted by itself. */
export interface ConnectionDoor {
  readonly accept: RelayDoor['accept'];
  /** Connections that are open through it. */
  readonly size: number;
  /** Ends every connection; whatever comes later is ended at once. */
  close(): void;
}

interface Guest {
  readonly made: NonNullable<UpgradeArrival['made']>;
  /** Ends whoever sends no request in time. */
  readonly deadline: NodeJS.Timeout;
  /** One request a connection: what follows the first is not looked at. */
  asked: boolean;
}

/**
 * Makes a door: an HTTP server that listens nowhere and is handed its connections. It takes one request a connection,
 * for a link; everything else about it is as on the port of the API.
 */
export function createDoor({ entrance, log }: DoorParts): ConnectionDoor {
  const guests = new Map<Duplex, Guest>();
  let waiting = 0;
  let closed = false;
  const server = createServer();
  const ask = (connection: Duplex): Guest | null => {
    const guest = guests.get(connection);
    if (guest === undefined || guest.asked) return null;
    guest.asked = true;
    waiting -= 1;
    return guest;
  };
  const refuseRequest = (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    if (ask(socket) === null) return;
    response.once('finish', () => socket.end(() => socket.destroy()));
    answer(response, isForLinks(request) ? notForRequests() : notServed());
  };
  const refuseUpgrade = (request: IncomingMessage, connection: Duplex) => {
    const response = refusableResponse(request, connection);
    if (response === null) connection.destroy();
    else answer(response, notServed());
  };
  server.on('request', refuseRequest);
  // Otherwise such a request would be answered by Node, with the connection left open.
  server.on('checkContinue', refuseRequest);
  server.on('checkExpectation', refuseRequest);
  server.on('upgrade', (request: IncomingMessage, connection: Duplex, head: Buffer) => {
    const guest = ask(connection);
    if (guest === null) return;
    if (!isForLinks(request)) return refuseUpgrade(request, connection);
    clearTimeout(guest.deadline);
    for (const name of FORWARDED) delete request.headers[name];
    entrance.take({ request, socket: connection, head, made: guest.made });
  });
  server.on('clientError', answerUnreadable);

  const admit = (connection: Duplex, made: Guest['made']) => {
    const deadline = setTimeout(() => connection.destroy(), STRANGER_DEADLINE_MS);
    guests.set(connection, { made, deadline, asked: false });
    waiting += 1;
    connection.once('close', () => {
      clearTimeout(deadline);
      if (guests.get(connection)?.asked === false) waiting -= 1;
      guests.delete(connection);
    });
    showPeer(connection, made.peer.address);
    server.emit('connection', connection);
    // Who hands it over may have read ahead and paused it.
    if (connection.isPaused()) connection.resume();
  };
  return {
    accept(connection, peer, upgrade) {
      // For the connection's whole life: no listener of this process may be missing when it fails.
      connection.on('error', () => connection.destroy());
      if (connection.destroyed) return;
      if (isIP(peer.address) === 0) log.error('a transport named no address for a connection, which is closed', { address: peer.address });
      if (closed || waiting >= MAX_WAITING || isIP(peer.address) === 0) return void connection.destroy();
      admit(connection, { peer, upgrade });
    },
    get size() {
      return guests.size;
    },
    close() {
      closed = true;
      for (const connection of guests.keys()) connection.destroy();
    },
  };
}

/** Limits, records and hooks go by this address; that of the private socket is nobody's. */
function showPeer(connection: Duplex, address: string): void {
  Object.defineProperty(connection, 'remoteAddress', { value: address, configurable: true, enumerable: true });
}

function isForLinks({ method, url }: IncomingMessage): boolean {
  return method === 'GET' && LINK_PATH.test(url ?? '');
}

function notServed(): TowlineError {
  return new TowlineError('not_found', 'Only links are served on this connection.', { hint: 'The API is on the TCP port of the relay.' });
}

function answer(response: ServerResponse, error: TowlineError): void {
  const body = JSON.stringify({ error: error.toPublic() } satisfies ErrorView);
  response.writeHead(error.status, {
    Connection: 'close',
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
}
