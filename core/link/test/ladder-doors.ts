import { once } from 'node:events';
import { createServer } from 'node:https';
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { DialRequest, DialTransport, Link } from '@towline/contract';
import { createLink } from '../src/mux/create-link.ts';
import { createRelayConnector } from '../src/trust/relay-connector.ts';
import { acceptUpgrade } from '../src/upgrade/accept-upgrade.ts';
import { requestUpgrade } from '../src/upgrade/request-upgrade.ts';
import { makeTestPair } from './trust-certificates.ts';

/** CA and leaf of every relay here, made once. */
export const pair = makeTestPair();
const stranger = makeTestPair();

/** What answers on a port. */
export interface Door extends AsyncDisposable {
  readonly port: number;
  /** TCP connections so far. */
  connections(): number;
  /** The relay's ends of the links that were made. */
  readonly links: readonly Link[];
  /** Resolves when every connection so far is over. */
  quiet(): Promise<void>;
  /** Resolves once there were so many connections. */
  connected(count: number): Promise<void>;
  /** Lets upgrades through that wait. */
  release(): void;
}

/** How a door answers requests for a link. */
export type DoorKind =
  /** Makes the link. */
  | { readonly answer: 'link' }
  /** Makes it once released. */
  | { readonly answer: 'late' }
  /** Takes the connection and says nothing. */
  | { readonly answer: 'nothing' }
  /** Another program's page. */
  | { readonly answer: 'html'; readonly status?: string }
  /** The relay refuses. */
  | { readonly answer: 'refusal'; readonly status: string; readonly error: object; readonly headers?: string }
  /** A certificate of another CA. */
  | { readonly answer: 'stranger' };

/** Opens a door on loopback. */
export async function openDoor(kind: DoorKind): Promise<Door> {
  const certificate = kind.answer === 'stranger' ? stranger : pair;
  const server = kind.answer === 'nothing' ? createNetServer() : createServer({ cert: certificate.chainPem, key: certificate.leaf.keyPem });
  const sockets = new Set<Socket>();
  const links: Link[] = [];
  const waiting: (() => void)[] = [];
  let connections = 0;
  let released = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    released = resolve;
  });
  server.on('connection', (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
    // Read to nowhere: the end of a connection is only seen behind its bytes.
    if (kind.answer === 'nothing') socket.resume();
    for (const look of waiting.splice(0)) look();
  });
  server.on('tlsClientError', () => undefined);
  server.on('upgrade', async (request, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    if (kind.answer === 'late') await held;
    if (kind.answer === 'link' || kind.answer === 'late') {
      if (!socket.destroyed) links.push(createLink(await acceptUpgrade(request, socket, head), { role: 'opener' }));
    } else if (kind.answer === 'html') {
      socket.end(`HTTP/1.1 ${kind.status ?? '403 Forbidden'}\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>`);
    } else if (kind.answer === 'refusal') {
      const body = JSON.stringify({ error: kind.error });
      socket.end(
        `HTTP/1.1 ${kind.status}\r\nContent-Type: application/json\r\n${kind.headers ?? ''}Content-Length: ${body.length}\r\n\r\n${body}`,
      );
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => connections,
    links,
    async quiet() {
      await Promise.all([...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    },
    async connected(count) {
      while (connections < count) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    release: () => released(),
    async [Symbol.asyncDispose]() {
      released();
      await Promise.all(links.map((link) => link.close('link_closed', 'The test is over.', 0)));
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const probe = connect(port, '127.0.0.1');
  await once(probe, 'error');
  return port;
}

/** A transport that dials a port of its own as the TLS transport dials the relay. */
export function rungTo(name: string, port: number, heedless = false): DialTransport {
  return {
    name,
    async dial({ signal, ...request }: DialRequest) {
      const relay = new URL(`https://localhost:${port}`);
      const until = heedless ? new AbortController().signal : signal;
      const connector = createRelayConnector({ relay, trust: request.trust, environment: {}, warn: () => undefined });
      const socket = await connector.connect(until);
      return createLink(await requestUpgrade(socket, { ...request, relay }, until), { role: 'acceptor' });
    },
  };
}

/** What a dial of a device is asked with. */
export function ladderRequest(signal: AbortSignal = new AbortController().signal) {
  return { role: 'device', credential: { header: 'X-API-Key', value: 'twl_d_secret' }, trust: { ca: pair.ca.pem }, signal } as const;
}
