import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What a client sends, held back. */
export interface Held {
  /** Resolves when it has come. */
  readonly came: Promise<void>;
  /** Sends it on. */
  release(): void;
}

/** A way to a server of loopback on which connections can break, stand still or lose what matters. */
export interface FaultyWay extends AsyncDisposable {
  readonly port: number;
  /** Breaks all connections, and each that comes. */
  cut(): void;
  /** Nothing goes either way any more; connections that come are taken, and hear nothing. */
  stall(): void;
  /** Ends {@link cut} and {@link stall}. What stood still goes on. */
  restore(): void;
  /** Holds back what a client sends from the next piece on that contains these bytes. */
  holdNext(bytes: Buffer): Held;
  /** Lets the next piece with these bytes through and breaks the connection when its answer comes: done, and nobody is told. */
  loseAnswerTo(bytes: Buffer): Promise<void>;
}

interface Rule {
  readonly bytes: Buffer;
  apply(connection: Connection, piece: Buffer): void;
}

interface Connection {
  readonly near: Socket;
  readonly far: Socket;
  /** Where what the client sends goes instead of to the server. */
  kept: Buffer[] | undefined;
  /** Takes the next answer instead of the client. */
  onAnswer: (() => void) | undefined;
}

/** Opens a way to a port of loopback. */
export async function openFaultyWay(port: number): Promise<FaultyWay> {
  const connections = new Set<Connection>();
  const rules: Rule[] = [];
  let state: 'open' | 'cut' | 'stalled' = 'open';
  const end = ({ near, far }: Connection) => {
    near.destroy();
    far.destroy();
  };
  const server = createServer((near) => {
    if (state === 'cut') return void near.destroy();
    const connection: Connection = { near, far: connect(port, '127.0.0.1'), kept: undefined, onAnswer: undefined };
    connections.add(connection);
    const { far } = connection;
    if (state === 'stalled') for (const socket of [near, far]) socket.pause();
    near.on('data', (piece: Buffer) => send(connection, piece, rules));
    far.on('data', (piece: Buffer) => (connection.onAnswer ? connection.onAnswer() : near.write(piece)));
    for (const socket of [near, far]) socket.on('error', () => end(connection)).once('close', () => end(connection));
    near.once('close', () => connections.delete(connection));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      state = 'cut';
      for (const connection of connections) end(connection);
    },
    stall() {
      state = 'stalled';
      for (const { near, far } of connections) for (const socket of [near, far]) socket.pause();
    },
    restore() {
      state = 'open';
      for (const { near, far } of connections) for (const socket of [near, far]) socket.resume();
    },
    holdNext: (bytes) => holdNext(rules, bytes),
    loseAnswerTo: (bytes) =>
      new Promise((resolve) => {
        rules.push({ bytes, apply: (connection, piece) => loseAnswer(connection, piece, () => resolve(end(connection))) });
      }),
    [Symbol.asyncDispose]: () => close(server, connections, end),
  };
}

function send(connection: Connection, piece: Buffer, rules: Rule[]): void {
  if (connection.kept) return void connection.kept.push(piece);
  const at = rules.findIndex(({ bytes }) => piece.includes(bytes));
  if (at === -1) return void connection.far.write(piece);
  const [rule] = rules.splice(at, 1);
  rule!.apply(connection, piece);
}

function holdNext(rules: Rule[], bytes: Buffer): Held {
  let held: Connection | undefined;
  const came = new Promise<void>((resolve) => {
    const apply = (connection: Connection, piece: Buffer) => {
      held = connection;
      connection.kept = [piece];
      resolve();
    };
    rules.push({ bytes, apply });
  });
  return {
    came,
    release() {
      for (const piece of held?.kept ?? []) held!.far.write(piece);
      if (held) held.kept = undefined;
    },
  };
}

function loseAnswer(connection: Connection, piece: Buffer, onLost: () => void): void {
  connection.onAnswer = onLost;
  connection.far.write(piece);
}

async function close(server: Server, connections: ReadonlySet<Connection>, end: (connection: Connection) => void): Promise<void> {
  for (const connection of connections) end(connection);
  server.close();
  await once(server, 'close');
}
