import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { createSecureContext, TLSSocket, type TlsOptions } from 'node:tls';
import { afterEach } from 'vitest';
import { type RecordingServer, startPlainServer } from './trust-recording-server.ts';

const proxies: AsyncDisposable[] = [];

afterEach(async () => {
  for (const proxy of proxies.splice(0)) await proxy[Symbol.asyncDispose]();
});

/** A proxy that a test wrote, on loopback. */
export interface TestProxy {
  readonly port: number;
  /** Connections so far, those to it and those it made, that are still open. */
  open(): number;
  /** All that was sent to it, on all connections, tunnels included. */
  received(): string;
}

/** Starts a proxy that answers each connection by hand; it ends with the test. */
export async function startAnswering(answer: (socket: Socket) => unknown): Promise<RecordingServer> {
  const server = await startPlainServer(answer);
  proxies.push(server);
  return server;
}

/** Answers the first bytes that come with this text. */
export function answering(text: string): (socket: Socket) => void {
  return (socket) => void socket.once('data', () => socket.write(text));
}

/** Starts a proxy that connects to wherever CONNECT asks, over TLS when it has a certificate; it ends with the test. */
export async function startForwarding(tls?: TlsOptions): Promise<TestProxy> {
  const chunks: Buffer[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };
  const http = createServer();
  http.on('connect', (request, socket: Socket, head: Buffer) => {
    const headers = request.rawHeaders.flatMap((name, index, all) => (index % 2 === 0 ? [`${name}: ${all[index + 1]}`] : []));
    chunks.push(Buffer.from(`CONNECT ${request.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`), head);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const { hostname, port } = new URL(`http://${request.url}`);
    const far = connect(Number(port), hostname.replace(/^\[|\]$/g, ''));
    keep(far);
    far.once('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      far.pipe(socket).pipe(far);
    });
    far.once('close', () => socket.destroy());
    socket.once('close', () => far.destroy());
  });
  const front = await startPlainServer((socket) => {
    keep(socket);
    const inner = tls === undefined ? socket : new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(tls) });
    inner.on('error', () => socket.destroy());
    http.emit('connection', inner);
  });
  proxies.push(front);
  return { port: front.port, open: () => sockets.size, received: () => Buffer.concat(chunks).toString('latin1') };
}

/** A port of loopback on which nothing listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
