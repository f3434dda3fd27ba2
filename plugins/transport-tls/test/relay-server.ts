import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { DialRequest } from '@towline/contract';
import { makeTestPair } from '../../../core/link/test/trust-certificates.ts';

/** A CA and a leaf for localhost, made once for all tests of a file. */
export const pair = makeTestPair();

/** An HTTPS server on loopback, as the relay has one. */
export interface RelayServer extends AsyncDisposable {
  readonly server: Server;
  readonly relay: URL;
  /** Requests of any kind so far. */
  readonly requests: IncomingMessage[];
}

/** Starts a server that does as told with each upgrade. Other requests are answered with 404 in HTML. */
export async function startRelay(onUpgrade: (request: IncomingMessage, socket: TLSSocket, head: Buffer) => unknown): Promise<RelayServer> {
  const sockets = new Set<Duplex>();
  const requests: IncomingMessage[] = [];
  const server = createServer({ cert: pair.chainPem, key: pair.leaf.keyPem });
  server.on('secureConnection', (socket: TLSSocket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    requests.push(request);
    onUpgrade(request, socket as TLSSocket, head);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    relay: new URL(`https://localhost:${(server.address() as AddressInfo).port}`),
    requests,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A request to dial this relay. */
export function dialRequest(relay: URL, extra: Partial<DialRequest> = {}): DialRequest {
  return {
    relay,
    role: 'device',
    credential: { header: 'X-API-Key', value: 'twl_d_secret' },
    trust: { ca: pair.ca.pem },
    signal: new AbortController().signal,
    ...extra,
  };
}
