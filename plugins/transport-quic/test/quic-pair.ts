import { randomBytes } from 'node:crypto';
import type { LinkPair, LinkPairLimits } from '@towline/conformance/link';
import type { Link } from '@towline/contract';
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

/** How a pair is made. */
export interface PairOptions {
  readonly quiche?: Quiche;
  readonly serverQuiche?: Quiche;
  readonly tuning?: QuicTuning;
  readonly serverLimits?: ServerLimits;
  readonly serverSocket?: () => Promise<DatagramSocket>;
  readonly clientSocket?: (server: HostPort) => Promise<DatagramSocket>;
}

/** Two ends of one connection, in this process. */
export interface ConnectionPair {
  readonly server: QuicServer;
  readonly near: QuicConnection;
  readonly far: QuicConnection;
  readonly dialled: DialledConnection;
  sever(): void;
  dispose(): Promise<void>;
}

const made = makeTestPair();
const certificate = { certPem: made.chainPem, keyPem: made.leaf.keyPem, caPem: made.ca.pem };

/** A server and a connection to it whose handshake is done. */
export async function connectPair(options: PairOptions = {}): Promise<ConnectionPair> {
  const quiche = options.quiche ?? loadQuiche().quiche;
  const sockets: DatagramSocket[] = [];
  const keep = (socket: DatagramSocket) => {
    sockets.push(socket);
    return socket;
  };
  const serverSocket = keep(await (options.serverSocket?.() ?? openUdpSocket({ bind: { host: '127.0.0.1', port: 0 } })));
  const accepted = createArrival<QuicConnection>();
  const server = createQuicServer({
    quiche: options.serverQuiche ?? quiche,
    socket: serverSocket,
    certificate,
    secret: randomBytes(32),
    onConnection: accepted.arrive,
    ...(options.tuning ? { tuning: options.tuning } : {}),
    ...(options.serverLimits ? { limits: options.serverLimits } : {}),
  });
  const peer = serverSocket.local;
  const dialled = await connectQuic({
    quiche,
    config: clientConfig(quiche, [certificate.caPem], options.tuning ?? {}),
    serverName: 'localhost',
    peer,
    openSocket: async () => keep(await (options.clientSocket?.(peer) ?? openUdpSocket({ connect: peer }))),
    secret: randomBytes(32),
  });
  const near = dialled.connection;
  await Promise.race([
    near.established,
    near.closed.then((end) => {
      throw new Error(`no connection: ${JSON.stringify(end)}`);
    }),
  ]);
  return {
    server,
    near,
    far: await accepted.arrived,
    dialled,
    sever: () => sockets.forEach((socket) => void socket.close()),
    async dispose() {
      near.close(0, 'the test is over');
      await server.close('link_closed', 'the test is over');
      near.abandon();
    },
  };
}

/** A link between two ends in this process. The dialler opens streams, as a client does, or accepts them, as a device does. */
export async function linkPair(role: 'client' | 'device', limits: LinkPairLimits = {}, options: PairOptions = {}): Promise<LinkPair> {
  const pair = await connectPair({ ...options, tuning: { idleMs: 2_000, ...options.tuning } });
  const signal = AbortSignal.timeout(5_000);
  const accepted = acceptRequest(pair.far, signal).then((request) => request.accept(limits));
  const credential = { header: 'X-API-Key', value: 'twl_test' } as const;
  const [dialled, accepting]: [Link, Link] = await Promise.all([requestLink(pair.near, { role, credential }, signal, limits), accepted]);
  const [opener, acceptor] = role === 'client' ? [dialled, accepting] : [accepting, dialled];
  return { opener, acceptor, sever: pair.sever, dispose: pair.dispose };
}

function createArrival<Value>(): { readonly arrived: Promise<Value>; readonly arrive: (value: Value) => void } {
  let arrive!: (value: Value) => void;
  const arrived = new Promise<Value>((resolve) => {
    arrive = resolve;
  });
  return { arrived, arrive };
}
