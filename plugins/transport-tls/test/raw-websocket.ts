import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { pair, type RelayServer } from './relay-server.ts';

/** Kinds of frames (RFC 6455 section 5.2). */
export const OPCODE = Object.freeze({ continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 });

/** What a frame is made with, right or wrong. A client's frame is masked. */
export interface RawFrameOptions {
  readonly fin?: boolean;
  readonly mask?: boolean;
  /** Bits 4 to 6 of the first byte. */
  readonly reserved?: number;
  /** Length that the head names; that of the payload unless told. */
  readonly length?: bigint;
}

/** One frame. */
export function frame(opcode: number, payload: Uint8Array = Buffer.alloc(0), options: RawFrameOptions = {}): Buffer {
  const { fin = true, mask = true, reserved = 0, length = BigInt(payload.length) } = options;
  const key = mask ? randomBytes(4) : Buffer.alloc(0);
  const masked = mask ? payload.map((byte, index) => byte ^ key[index % 4]!) : payload;
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | reserved | opcode]), lengthField(length, mask), key, masked]);
}

function lengthField(length: bigint, mask: boolean): Buffer {
  const flag = mask ? 0x80 : 0;
  if (length < 126n) return Buffer.from([flag | Number(length)]);
  const field = Buffer.alloc(length < 65_536n ? 3 : 9);
  field[0] = flag | (length < 65_536n ? 126 : 127);
  if (length < 65_536n) field.writeUInt16BE(Number(length), 1);
  else field.writeBigUInt64BE(length, 1);
  return field;
}

/** The head of a proper request for a WebSocket; `changes` replaces headers, null leaves one out. */
export function requestHead(changes: Readonly<Record<string, string | null>> = {}): string {
  const headers: Record<string, string | null> = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    'Sec-WebSocket-Protocol': 'towline.1',
    ...changes,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
  return `GET /v1/links/device HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** The 101 to a request with this key. */
export function answerHead(key: string, more = 'Sec-WebSocket-Protocol: towline.1\r\n'): string {
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n${more}\r\n`;
}

/** A frame that came. */
export interface SeenFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A WebSocket made by hand, on which a test writes what it likes. */
export interface RawWebSocket {
  readonly socket: TLSSocket;
  /** The head of the answer. */
  readonly head: string;
  /** All frames up to the closing one, which is answered by hanging up, or to the end. Nothing is read before this is called. */
  frames(): Promise<SeenFrame[]>;
}

/** Connects and asks for a WebSocket. */
export async function openRawWebSocket({ relay }: RelayServer, changes?: Parameters<typeof requestHead>[0]): Promise<RawWebSocket> {
  const socket = connect({ host: '127.0.0.1', port: Number(relay.port), servername: 'localhost', ca: pair.ca.pem });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(requestHead(changes));
  const { head, rest } = await readHead(socket);
  if (rest.length > 0) socket.unshift(rest);
  return { socket, head, frames: () => readFrames(socket) };
}

async function readHead(socket: TLSSocket): Promise<{ readonly head: string; readonly rest: Buffer }> {
  let bytes = Buffer.alloc(0);
  while (bytes.indexOf('\r\n\r\n') < 0) {
    const more = socket.read() as Buffer | null;
    if (more !== null) bytes = Buffer.concat([bytes, more]);
    else if (socket.readableEnded || socket.destroyed) break;
    else await Promise.race([once(socket, 'readable'), once(socket, 'end'), once(socket, 'close')]);
  }
  const end = bytes.indexOf('\r\n\r\n');
  return end < 0
    ? { head: bytes.toString(), rest: Buffer.alloc(0) }
    : { head: bytes.toString('latin1', 0, end), rest: bytes.subarray(end + 4) };
}

/** Reads until the connection is over, however that comes about. */
export async function readAll(socket: TLSSocket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.once('end', () => socket.end());
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  return Buffer.concat(chunks);
}

async function readFrames(socket: TLSSocket): Promise<SeenFrame[]> {
  let bytes = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (closeStatus(decodeFrames(bytes)) !== undefined) socket.end();
  });
  await readAll(socket);
  return decodeFrames(bytes);
}

/** The frames in these bytes. */
export function decodeFrames(bytes: Buffer): SeenFrame[] {
  const frames: SeenFrame[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const opcode = bytes[at]! & 0x0f;
    const short = bytes[at + 1]! & 0x7f;
    const from = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    frames.push({ opcode, payload: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return frames;
}

/** Status of the closing frame among these, if one came. */
export function closeStatus(frames: readonly SeenFrame[]): number | undefined {
  const payload = frames.find(({ opcode }) => opcode === OPCODE.close)?.payload;
  return payload === undefined ? undefined : payload.length < 2 ? 1_005 : payload.readUInt16BE(0);
}
