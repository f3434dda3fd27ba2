import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import {
  CONTROL_PROTOCOL,
  clientToRelay,
  type ErrorCode,
  encodeDataHead,
  encodeJson,
  encodeOpen,
  errorCodeOfWire,
  FrameDecoder,
  frameMessage,
  MessageSplitter,
  type OpenAnswer,
  openAnswer,
} from '@towline/protocol';
import { STEP_MS } from './process.ts';
import type { TestRelay } from './system.ts';

/** A TCP connection to a relay on which nothing was said. Its errors are of no interest, its end is. */
export async function openTcp(relay: TestRelay): Promise<Socket> {
  const socket = connectTcp({ port: relay.port, host: '127.0.0.1' });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** A TLS connection to a relay, whoever that is. */
export async function openTls(relay: TestRelay, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port: relay.port, host: '127.0.0.1', rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  socket.on('error', () => {});
  return socket;
}

/** Resolves when a connection is over. Reads what comes until then. */
export function whenOver(socket: Socket): Promise<void> {
  socket.resume();
  return new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once('close', () => resolve());
    // A peer that ends its side is answered in kind; sockets of this process may be half open.
    socket.once('end', () => socket.destroy());
  });
}

/** Resolves as the promise does. @throws Error when that takes longer than a step may. */
export async function inTime<Value>(promise: Promise<Value>, what: string, deadlineMs: number = STEP_MS): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${deadlineMs} ms`)), deadlineMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** What was answered to a request for an upgrade. */
export interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** Asks for an upgrade with a head of the test's making and reads the answer's head, and whatever comes with it. */
export async function askUpgrade(socket: TLSSocket, lines: readonly string[]): Promise<RawAnswer> {
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let text = '';
  const read = (async () => {
    for (;;) {
      const bytes = socket.read() as Buffer | null;
      if (bytes !== null) text += bytes.toString('latin1');
      if (text.includes('\r\n\r\n') || socket.destroyed || socket.readableEnded) return;
      await Promise.race([once(socket, 'readable'), once(socket, 'close'), once(socket, 'end')]);
    }
  })();
  await inTime(read, 'the answer to an upgrade');
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text };
}

/** The head of a request for a link. */
export function linkRequest(role: 'client' | 'device', key: string | null): string[] {
  return [
    `GET /v1/links/${role} HTTP/1.1`,
    'Host: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: towline/1',
    ...(key === null ? [] : [`X-API-Key: ${key}`]),
  ];
}

/** A frame from the relay. */
export interface RawFrame {
  readonly type: 'open' | 'data' | 'fin' | 'reset' | 'credit' | 'ping' | 'pong' | 'close';
  readonly stream: number;
  readonly bytes?: Buffer;
  readonly code?: ErrorCode;
}

/** An upgraded connection on which a test writes what it likes. */
export interface RawLink extends Disposable {
  readonly socket: TLSSocket;
  /** All frames that came, DATA in parts. Empty while the link is paused. */
  readonly frames: readonly RawFrame[];
  /** Resolves when the relay hung up: with the code of its CLOSE, or null when it said nothing. */
  readonly ended: Promise<ErrorCode | null>;
  /** Writes at the pace at which the relay reads. Resolves early when the link is over. */
  write(...bytes: readonly Uint8Array[]): Promise<void>;
  /** Resolves with the first frame that fits. @throws Error when the link ends before, or it takes too long. */
  saw(what: string, fits: (frame: RawFrame) => boolean): Promise<RawFrame>;
}

/** Makes a link by hand, with a valid credential and nothing else. */
export async function openRawLink(relay: TestRelay, role: 'client' | 'device', key: string): Promise<RawLink> {
  const socket = await openTls(relay);
  const { status, text } = await askUpgrade(socket, linkRequest(role, key));
  if (status !== 101) throw new Error(`no upgrade: ${text}`);
  return new RawFrames(socket);
}

class RawFrames implements RawLink {
  readonly socket: TLSSocket;
  readonly frames: RawFrame[] = [];
  readonly ended: Promise<ErrorCode | null>;
  readonly #watchers = new Set<() => void>();
  #closeCode: ErrorCode | null = null;

  constructor(socket: TLSSocket) {
    this.socket = socket;
    const add = (frame: RawFrame) => void this.frames.push(frame);
    const decoder = new FrameDecoder({
      onOpen: (stream, bytes) => add({ type: 'open', stream, bytes }),
      onData: (stream, bytes) => add({ type: 'data', stream, bytes }),
      onFin: (stream) => add({ type: 'fin', stream }),
      onReset: (stream, wire) => add({ type: 'reset', stream, code: errorCodeOfWire(wire, 'internal') }),
      onCredit: (stream) => add({ type: 'credit', stream }),
      onPing: () => add({ type: 'ping', stream: 0 }),
      onPong: () => add({ type: 'pong', stream: 0 }),
      onClose: (wire) => {
        this.#closeCode = errorCodeOfWire(wire, 'internal');
        add({ type: 'close', stream: 0, code: this.#closeCode });
      },
    });
    socket.on('data', (bytes: Buffer) => {
      decoder.push(bytes);
      for (const watcher of this.#watchers) watcher();
    });
    this.ended = whenOver(socket).then(() => {
      for (const watcher of this.#watchers) watcher();
      return this.#closeCode;
    });
  }

  async write(...bytes: readonly Uint8Array[]): Promise<void> {
    for (const part of bytes) {
      if (this.socket.destroyed || this.socket.writableEnded) return;
      if (!this.socket.write(part)) await Promise.race([once(this.socket, 'drain'), this.ended]);
    }
  }

  saw(what: string, fits: (frame: RawFrame) => boolean): Promise<RawFrame> {
    let look: () => void = () => {};
    const seen = new Promise<RawFrame>((resolve, reject) => {
      look = () => {
        const frame = this.frames.find(fits);
        if (frame !== undefined) resolve(frame);
        else if (this.socket.destroyed) reject(new Error(`${what}: the link ended before, with ${this.#closeCode}`));
      };
      this.#watchers.add(look);
      look();
    });
    return inTime(seen, what).finally(() => this.#watchers.delete(look));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** One DATA frame. */
export function dataFrame(stream: number, payload: Uint8Array): Buffer {
  return Buffer.concat([encodeDataHead(stream, payload.length), payload]);
}

/** The control stream of a client, stream 1, with its hello. */
export function helloFrames(stream = 1): Buffer {
  const hello = frameMessage(clientToRelay.encode({ type: 'hello', level: 1, version: 'raw' }));
  return Buffer.concat([encodeOpen(stream, encodeJson({ protocol: CONTROL_PROTOCOL })), dataFrame(stream, hello)]);
}

/** Opens a client's link and says hello, as it should be. */
export async function openGreetedLink(relay: TestRelay, key: string): Promise<RawLink> {
  const link = await openRawLink(relay, 'client', key);
  await link.write(helloFrames());
  await link.saw('the welcome', ({ type, stream }) => type === 'data' && stream === 1);
  return link;
}

/** What the relay answered to an opening, once that is whole. */
export async function answerOn(link: RawLink, stream: number): Promise<OpenAnswer> {
  let answer: Buffer | null = null;
  await link.saw(`the answer on stream ${stream}`, () => {
    const splitter = new MessageSplitter(300_000);
    for (const frame of link.frames) if (frame.type === 'data' && frame.stream === stream) splitter.push(frame.bytes!);
    answer = splitter.next();
    return answer !== null;
  });
  return openAnswer.decode(answer!);
}
