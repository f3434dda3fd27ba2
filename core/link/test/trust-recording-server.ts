import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import * as tls from 'node:tls';

/** A server on loopback that records what it is sent inside TLS. */
export interface RecordingServer extends AsyncDisposable {
  readonly port: number;
  /** All application bytes of all connections so far. */
  received(): Buffer;
  /** TCP connections so far. */
  connections(): number;
  /** Resolves when every connection so far is over, so that nothing can still be on its way. */
  quiet(): Promise<void>;
}

/** Starts a TLS server with this certificate chain. */
export async function startRecordingServer(options: tls.TlsOptions, address = '127.0.0.1'): Promise<RecordingServer> {
  const chunks: Buffer[] = [];
  const server = tls.createServer(options, (socket) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
  });
  server.on('tlsClientError', () => undefined);
  return record(server, address, chunks);
}

/** Starts a plain TCP server that does as told with each connection; what it receives is not recorded. */
export async function startPlainServer(serve: (socket: Socket) => void): Promise<RecordingServer> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  return record(server, '127.0.0.1', []);
}

async function record(server: ReturnType<typeof createServer>, address: string, chunks: Buffer[]): Promise<RecordingServer> {
  const open = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections += 1;
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.listen(0, address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => Buffer.concat(chunks),
    connections: () => connections,
    async quiet() {
      await Promise.all([...open].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
