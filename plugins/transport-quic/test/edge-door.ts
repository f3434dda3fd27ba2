import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Link, Log, PeerAddress, RelayDoor, TransportListener } from '@towline/contract';
import { createLink, type LinkLimits } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { makeTestPair } from '../../../core/link/test/trust-certificates.ts';
import { loadQuiche } from '../src/binding/load-quiche.ts';
import { requestLink } from '../src/link/request-link.ts';
import { connectQuic } from '../src/loop/quic-client.ts';
import { clientConfig, type QuicTuning } from '../src/loop/quic-config.ts';
import type { QuicConnection } from '../src/loop/quic-connection.ts';
import { openUdpSocket } from '../src/loop/udp-socket.ts';
import { type ListenSettings, listenQuic } from '../src/relay/listen-quic.ts';

/** The edge's program as it is built. */
export const EDGE_PROGRAM = fileURLToPath(new URL('../dist/edge/main.js', import.meta.url));
const made = makeTestPair();
export const certificate = { certPem: made.chainPem, keyPem: made.leaf.keyPem };
const CA = made.ca.pem;

/** A log that keeps its lines. */
export function keepingLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const keep = (message: string, fields?: object) => void lines.push(`${message} ${JSON.stringify(fields ?? {})}`);
  return { lines, debug: keep, info: keep, warn: keep, error: keep };
}

/** A link that came through the door, and who it is from. */
export interface ArrivedLink {
  readonly link: Link;
  readonly role: string;
  readonly credential: string;
  readonly peer: PeerAddress;
}

/** What a door does with a request: a refusal, or null to let it in. */
export type Judge = (request: IncomingMessage) => { readonly error: TowlineError; readonly retryAfterS?: number } | null;

/** The relay's side of the door: a small HTTP server that makes links as the kernel does. */
export interface TestDoor {
  readonly accept: RelayDoor['accept'];
  /** Limits of the links that come from here on. */
  limits: Partial<LinkLimits>;
  /** The next link; they arrive in order. */
  next(): Promise<ArrivedLink>;
  close(): void;
}

/** Makes a door. Without a judge everybody is let in. */
export function createTestDoor(judge: Judge = () => null): TestDoor {
  const server = createServer((_request, response) => response.writeHead(404).end());
  const guests = new Map<Duplex, Parameters<RelayDoor['accept']>>();
  const arrived: ArrivedLink[] = [];
  const waiting: ((link: ArrivedLink) => void)[] = [];
  server.on('upgrade', async (request, socket, head) => {
    const [, peer, upgrade] = guests.get(socket)!;
    const refusal = judge(request);
    if (refusal !== null) return refuse(socket, refusal);
    const role = request.url!.split('/').at(-1)!;
    const duplex = await upgrade.complete(request, socket, head);
    const link = createLink(duplex, { role: role === 'device' ? 'opener' : 'acceptor', limits: door.limits });
    const made = { link, role, credential: String(request.headers['x-api-key'] ?? request.headers.authorization), peer };
    const taker = waiting.shift();
    if (taker) taker(made);
    else arrived.push(made);
  });
  const door: TestDoor = {
    limits: {},
    accept(connection, peer, upgrade) {
      guests.set(connection, [connection, peer, upgrade]);
      connection.once('close', () => guests.delete(connection));
      server.emit('connection', connection);
    },
    next: () => new Promise((resolve) => (arrived.length > 0 ? resolve(arrived.shift()!) : waiting.push(resolve))),
    close() {
      for (const connection of guests.keys()) connection.destroy();
    },
  };
  return door;
}

function refuse(socket: Duplex, { error, retryAfterS }: NonNullable<ReturnType<Judge>>): void {
  const body = JSON.stringify({ error: error.toPublic() });
  const wait = retryAfterS === undefined ? '' : `Retry-After: ${retryAfterS}\r\n`;
  socket.end(
    `HTTP/1.1 ${error.status} Refused\r\nConnection: close\r\nContent-Type: application/json\r\n${wait}Content-Length: ${body.length}\r\n\r\n${body}`,
  );
}

/** A relay's QUIC listener with its edge, on a port of its own. */
export interface TestRelay extends AsyncDisposable {
  readonly port: number;
  readonly door: TestDoor;
  readonly listener: TransportListener;
  readonly log: ReturnType<typeof keepingLog>;
  readonly dataDir: string;
  /** Process number of the edge that serves now. */
  edgePid(): number;
}

/** Starts one. */
export async function startTestRelay(
  settings: { readonly judge?: Judge; readonly port?: number; readonly dataDir?: string } & Partial<ListenSettings> = {},
): Promise<TestRelay> {
  const { judge, port = await freePort(), dataDir = await mkdtemp(join(tmpdir(), 'tq-')), ...rest } = settings;
  const door = createTestDoor(judge);
  const log = keepingLog();
  const listener = await listenQuic(
    { host: '127.0.0.1', port, certificate, accept: door.accept },
    { dataDir, maxConnections: 1_000, log, program: EDGE_PROGRAM, ...rest },
  );
  return {
    port,
    door,
    listener,
    log,
    dataDir,
    edgePid: () => JSON.parse(readFileSync(join(dataDir, 'quic-edge.json'), 'utf8')).pid,
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      door.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A port number that neither TCP nor UDP uses at the moment. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createTcpServer().listen(0, '127.0.0.1');
    await new Promise((listening) => server.once('listening', listening));
    const { port } = server.address() as AddressInfo;
    await new Promise((closed) => server.close(closed));
    if (await isFree(port)) return port;
  }
}

/** Whether a UDP socket can be bound to this port. */
export async function isFree(port: number): Promise<boolean> {
  try {
    const socket = await openUdpSocket({ bind: { host: '127.0.0.1', port } });
    socket.close();
    return true;
  } catch {
    return false;
  }
}

/** A QUIC connection to an edge whose handshake is done. */
export async function connectEdge(port: number, tuning: QuicTuning = {}): Promise<QuicConnection> {
  const { quiche } = loadQuiche();
  const peer = { host: '127.0.0.1', port };
  const { connection } = await connectQuic({
    quiche,
    config: clientConfig(quiche, [CA], tuning),
    serverName: 'localhost',
    peer,
    openSocket: () => openUdpSocket({ connect: peer }),
    secret: randomBytes(32),
  });
  const lost = connection.closed.then((end) => {
    throw new TowlineError('relay_unreachable', `No connection: ${JSON.stringify(end)}`);
  });
  await Promise.race([connection.established, lost]);
  return connection;
}

/** A link to an edge, and the connection under it. @throws what the relay refused with. */
export async function dialWithConnection(
  port: number,
  role: 'device' | 'client' = 'client',
  { tuning, limits }: { readonly tuning?: QuicTuning; readonly limits?: Partial<LinkLimits> } = {},
) {
  const connection = await connectEdge(port, tuning);
  const credential = { header: 'X-API-Key', value: 'twl_test' } as const;
  const link = await requestLink(connection, { role, credential }, AbortSignal.timeout(10_000), limits);
  return { connection, link };
}

/** A link to an edge. @throws what the relay refused with. */
export async function dialEdge(...how: Parameters<typeof dialWithConnection>): Promise<Link> {
  return (await dialWithConnection(...how)).link;
}

/** Waits until something is so. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const giveUpMs = performance.now() + deadlineMs;
  while (!(await isSo())) {
    if (performance.now() > giveUpMs) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await new Promise((again) => setTimeout(again, 20));
  }
}
