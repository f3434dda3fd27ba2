import { randomBytes } from 'node:crypto';
import type { ByteStream, Link } from '@towline/contract';
import type { LinkLimits } from '@towline/link';
import { makeTestPair } from '../../../core/link/test/trust-certificates.ts';
import { loadQuiche } from '../src/binding/load-quiche.ts';
import type { HostPort, Quiche } from '../src/binding/quiche.ts';
import { acceptRequest } from '../src/link/accept-request.ts';
import { requestLink } from '../src/link/request-link.ts';
import type { DatagramSocket } from '../src/loop/datagram-socket.ts';
import { connectQuic, type DialledConnection } from '../src/loop/quic-client.ts';
import { clientConfig, type QuicTuning } from '../src/loop/quic-config.ts';
import type { QuicConnection } from '../src/loop/quic-connection.ts';
import { createQuicServer, type QuicServer, type ServerLimits } from '../src/loop/quic-server.ts';
import { openUdpSocket } from '../src/loop/udp-socket.ts';

const made = makeTestPair();
/** What test servers present, and the CA behind it. */
export const certificate = { certPem: made.chainPem, keyPem: made.leaf.keyPem, caPem: made.ca.pem };
export const { quiche } = loadQuiche();

/** Limits that no case runs into by accident. */
export const WIDE: Partial<LinkLimits> = { openingsPerSecond: 1_000_000, controlFramesPerSecond: 1_000_000 };

/** Waits until something holds. Rejects with what it waited for after `ms`. */
export async function until(holds: () => boolean, what: string, ms = 15_000): Promise<void> {
  const lateMs = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > lateMs) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((again) => setTimeout(again, 5));
  }
}

/** Rejects when the promise does not settle within `ms`. */
export async function within<Value>(promise: Promise<Value>, what: string, ms = 15_000): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** How a test server is made. */
export interface TestServerOptions {
  readonly socket?: DatagramSocket;
  readonly secret?: Buffer;
  readonly limits?: ServerLimits;
  readonly tuning?: QuicTuning;
  readonly quiche?: Quiche;
  readonly onConnection?: (connection: QuicConnection) => void;
}

/** A server, with the connections that came, in their order. */
export interface TestServer {
  readonly server: QuicServer;
  readonly local: HostPort;
  readonly connections: QuicConnection[];
  /** The next connection that comes, or that came and nobody took. */
  next(): Promise<QuicConnection>;
  close(): Promise<void>;
}

/** Starts a server on a loopback socket of its own where none is given. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const socket = options.socket ?? (await openUdpSocket({ bind: { host: '127.0.0.1', port: 0 } }));
  const connections: QuicConnection[] = [];
  let taken = 0;
  const server = createQuicServer({
    quiche: options.quiche ?? quiche,
    socket,
    certificate,
    secret: options.secret ?? randomBytes(32),
    onConnection: (connection) => {
      connections.push(connection);
      options.onConnection?.(connection);
    },
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.tuning ? { tuning: options.tuning } : {}),
  });
  return {
    server,
    local: socket.local,
    connections,
    async next() {
      const index = taken;
      taken += 1;
      await until(() => connections.length > index, `connection ${index} at the server`);
      return connections[index]!;
    },
    close: () => server.close('link_closed', 'the test is over'),
  };
}

/** How a test client dials. */
export interface TestDial {
  readonly tuning?: QuicTuning;
  readonly openSocket?: () => Promise<DatagramSocket>;
  readonly quiche?: Quiche;
  readonly keepAliveMs?: number;
}

/** Dials, and waits for the handshake. @throws an Error with the end of the connection. */
export async function dial(peer: HostPort, options: TestDial = {}): Promise<DialledConnection> {
  const dialled = await dialOnly(peer, options);
  const { connection } = dialled;
  const end = await within(Promise.race([connection.established, connection.closed]), 'a handshake');
  if (end) throw new Error(`no connection: ${JSON.stringify(end)}`);
  return dialled;
}

/** Dials without waiting. */
export function dialOnly(peer: HostPort, options: TestDial = {}): Promise<DialledConnection> {
  const binding = options.quiche ?? quiche;
  return connectQuic({
    quiche: binding,
    config: clientConfig(binding, [certificate.caPem], options.tuning ?? {}),
    serverName: 'localhost',
    peer,
    openSocket: options.openSocket ?? (() => openUdpSocket({ connect: peer })),
    secret: randomBytes(32),
    ...(options.keepAliveMs === undefined ? {} : { keepAliveMs: options.keepAliveMs }),
  });
}

/** Both ends of a link and of the connection below it. The dialler opens streams. */
export interface LinkedPair {
  readonly opener: Link;
  readonly acceptor: Link;
  readonly near: QuicConnection;
  readonly far: QuicConnection;
  readonly dialled: DialledConnection;
}

/** Dials a server and makes a link of it. */
export async function link(on: TestServer, limits: Partial<LinkLimits> = WIDE, options: TestDial = {}): Promise<LinkedPair> {
  const dialled = await dial(on.local, options);
  const far = await on.next();
  return { ...(await makeLink(dialled.connection, far, limits)), near: dialled.connection, far, dialled };
}

/** Makes a link of a connection whose handshake is done. */
export async function makeLink(
  near: QuicConnection,
  far: QuicConnection,
  limits: Partial<LinkLimits> = WIDE,
): Promise<Pick<LinkedPair, 'opener' | 'acceptor'>> {
  const signal = AbortSignal.timeout(15_000);
  const credential = { header: 'X-API-Key', value: 'twl_test' } as const;
  const accepted = acceptRequest(far, signal).then((request) => request.accept(limits));
  const [opener, acceptor] = await Promise.all([requestLink(near, { role: 'client', credential }, signal, limits), accepted]);
  return { opener, acceptor };
}

/** Sends a text there and back over a stream of its own. The other end answers streams with the head `echo`, see {@link serveEcho}. */
export async function echo(opener: Link, text = 'is anybody there'): Promise<string> {
  const stream = opener.openStream(Buffer.from('echo'));
  stream.end(text);
  return (await within(readAll(stream), 'an echo')).toString();
}

/** Answers streams with the head `echo`, and hands the others on. */
export function serveEcho(acceptor: Link, others: (stream: ByteStream) => void = (stream) => void stream.destroy()): void {
  acceptor.onStream((stream) => {
    if (stream.head.toString() !== 'echo') return others(stream);
    stream.pipe(stream);
  });
}

/** Reads up to the clean end. Rejects with the error of a stream that breaks. */
export function readAll(stream: ByteStream): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    stream.on('data', (bytes: Buffer) => parts.push(bytes));
    stream.once('end', () => resolve(Buffer.concat(parts)));
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('closed without an end and without an error')));
  });
}

/** The error a stream breaks with. */
export function errorOf(stream: ByteStream): Promise<unknown> {
  return within(
    new Promise((resolve) => {
      if (stream.errored) return resolve(stream.errored);
      stream.once('error', resolve);
      stream.once('close', () => resolve(undefined));
    }),
    'the error of a stream',
  );
}
