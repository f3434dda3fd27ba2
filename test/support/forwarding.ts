import { createHash, type Hash } from 'node:crypto';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { type Program, STEP_MS } from './process.ts';
import type { TestRelay, TestSystem, TowlineOptions } from './system.ts';

/** A server of a test and the connections it has. */
export interface TestServer extends AsyncDisposable {
  readonly server: Server;
  readonly port: number;
  readonly sockets: Set<Socket>;
}

/** Serves connections, half-open ones included, on loopback unless told otherwise. */
export async function serveTcp(onConnection: (socket: Socket) => void, listen: ListenOptions = {}): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
    onConnection(socket);
  });
  await once(server.listen(listen.path === undefined ? { host: '127.0.0.1', port: 0, ...listen } : listen), 'listening');
  const address = server.address() as AddressInfo | string;
  return {
    server,
    port: typeof address === 'string' ? 0 : address.port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Sends back what it is sent. */
export const echoTcp = (listen?: ListenOptions) => serveTcp((socket) => void socket.pipe(socket), listen);

/** A server of datagrams that sends each back. */
export interface TestDatagrams extends AsyncDisposable {
  readonly port: number;
  /** Ports that datagrams came from. */
  readonly sources: Set<number>;
}

/** Sends back each datagram. */
export async function echoUdp(host = '127.0.0.1'): Promise<TestDatagrams> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const sources = new Set<number>();
  socket.on('message', (datagram, from) => {
    sources.add(from.port);
    socket.send(datagram, from.port, from.address);
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    sources,
    async [Symbol.asyncDispose]() {
      socket.close();
      await once(socket, 'close');
    },
  };
}

/** A running `towline DEVICE forward` or `socks`. */
export interface TestForward extends AsyncDisposable {
  readonly program: Program;
  /** Local ports, in the order in which they were asked for. */
  readonly ports: readonly number[];
  /** Events of that name so far. */
  events(name: string): Record<string, unknown>[];
  /** The next event of that name after those that were taken, once it has been told. */
  event(name: string): Promise<Record<string, unknown>>;
  /** Interrupts it; answers the figures that it ends with, one for each port. */
  finish(): Promise<{ readonly code: number | null; readonly figures: Record<string, unknown>[] }>;
}

/** Starts a forward with `--json` and waits until it is ready. */
export async function startForward(
  system: TestSystem,
  relay: TestRelay,
  words: readonly string[],
  options: TowlineOptions & { readonly verb?: string; readonly device?: string } = {},
): Promise<TestForward> {
  const { verb = 'forward', device = 'pi', ...rest } = options;
  const program = system.startTowline(relay, ['--json', device, verb, ...words], rest);
  await program.saw(/"event":"ready"/);
  const all = () =>
    program.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const events = (name: string) => all().filter(({ event }) => event === name);
  const taken = new Map<string, number>();
  return {
    program,
    ports: events('listening').map(({ places }) => Number(/:(\d+)$/.exec((places as string[])[0]!)?.[1])),
    events,
    async event(name) {
      const at = taken.get(name) ?? 0;
      taken.set(name, at + 1);
      await program.saw(new RegExp(`(?:"event":"${name}"[^]*){${at + 1}}`));
      return events(name)[at]!;
    },
    async finish() {
      program.child.kill('SIGINT');
      const { code } = await program.finished;
      return { code, figures: events('statistics')[0]!.forwards as Record<string, unknown>[] };
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Connects to a local port. */
export async function dial(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

/** Everything a connection brings, and how it ended: `end`, or the code of its error. */
export function drain(socket: Socket): Promise<{ readonly bytes: Buffer; readonly end: string }> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the connection is still open after ${STEP_MS} ms`)), STEP_MS);
    const settle = (end: string) => {
      clearTimeout(timer);
      resolve({ bytes: Buffer.concat(chunks), end });
    };
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk));
    socket.on('end', () => settle('end'));
    socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
  });
}

/** Sends a text, ends, and answers what comes back. */
export async function roundTrip(port: number, text: string, host?: string): Promise<string> {
  const socket = await dial(port, host);
  const all = drain(socket);
  socket.end(text);
  const { bytes, end } = await all;
  return end === 'end' ? bytes.toString() : end;
}

/** A local socket for datagrams that asks one server. */
export interface Asker extends Disposable {
  readonly socket: DatagramSocket;
  /** Sends a datagram again until something comes back. */
  ask(datagram: Buffer | string): Promise<Buffer>;
}

/** Makes it. */
export function createAsker(port: number, host = '127.0.0.1'): Asker {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  return {
    socket,
    async ask(datagram) {
      const answered = once(socket, 'message', { signal: AbortSignal.timeout(STEP_MS) }) as Promise<[Buffer]>;
      const send = () => socket.send(datagram, port, host);
      const again = setInterval(send, 500);
      send();
      try {
        return (await answered)[0];
      } finally {
        clearInterval(again);
      }
    },
    [Symbol.dispose]: () => socket.close(),
  };
}

/** Writes so many bytes to a stream, no faster than it takes them; answers their hash. */
export async function writeBytes(socket: Socket, bytes: number): Promise<string> {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(65_536);
  for (let left = bytes, mark = 0; left > 0; left -= piece.length, mark += 1) {
    const part = Buffer.from(piece.fill(mark & 0xff).subarray(0, Math.min(left, piece.length)));
    part.writeUInt32BE(mark, 0);
    hash.update(part);
    if (!socket.write(part)) await once(socket, 'drain');
  }
  return hash.digest('hex');
}

/** Hash of everything a connection brings until its end. */
export async function hashOf(socket: Socket): Promise<string> {
  const hash: Hash = createHash('sha256');
  for await (const chunk of socket) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
