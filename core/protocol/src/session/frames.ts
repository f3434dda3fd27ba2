import { TowlineError } from '../errors/towline-error.ts';
import { MAX_SESSION_PAYLOAD } from '../limits.ts';

/**
 * Frames of a session: one byte of type, three of length (big endian), then the payload.
 * Numbered frames form one continuous sequence of bytes in each direction: the position of a direction is
 * the count of their encoded bytes, heads included. Unnumbered frames stand between them and are not counted.
 */
export const SessionFrame = Object.freeze({
  /** Unnumbered. Two positions of eight bytes: up to where the sender of this frame has the other direction, and up to where data may be sent. */
  ack: 0x01,
  /** Numbered. A JSON message. */
  message: 0x10,
  /** Numbered. One byte: the channel that has no more data in this direction. */
  fin: 0x11,
  /** Numbered, device to client, the last one: the result as JSON. */
  result: 0x12,
  /** Numbered. Data on channel 0; the types up to 0x7f are data on channels 1 to 63. */
  data: 0x40,
});

/** Highest number of a channel. */
export const MAX_CHANNEL = 63;
/** Largest message or result, bytes: they are for sizes, signals and codes, not for content. */
export const MAX_SESSION_MESSAGE = 16_384;
const HEAD = 4;
const ACK = 16;

/** Encoded length of a frame. */
export function frameLength(payloadLength: number): number {
  return HEAD + payloadLength;
}

/** Head of a frame. */
export function encodeHead(type: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD);
  head.writeUInt32BE(((type << 24) | length) >>> 0, 0);
  return head;
}

/** An ACK frame. */
export function encodeAck(received: number, allowed: number): Buffer {
  const frame = Buffer.allocUnsafe(HEAD + ACK);
  frame.writeUInt32BE(((SessionFrame.ack << 24) | ACK) >>> 0, 0);
  frame.writeBigUInt64BE(BigInt(received), HEAD);
  frame.writeBigUInt64BE(BigInt(allowed), HEAD + 8);
  return frame;
}

/** What a decoder finds. Data comes in pieces as it arrived, without being copied; the rest comes whole. */
export interface FrameSink {
  data(channel: number, bytes: Buffer): void;
  ack(received: number, allowed: number): void;
  message(bytes: Buffer): void;
  fin(channel: number): void;
  result(bytes: Buffer): void;
}

/** Decodes one direction of a session. Keeps its place across streams, so that a resumed one goes on inside a frame. */
export class SessionDecoder {
  readonly #sink: FrameSink;
  #head = 0;
  #headBytes = 0;
  #type = 0;
  #left = 0;
  #parts: Buffer[] = [];
  #position = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Bytes of numbered frames taken in so far. */
  get position(): number {
    return this.#position;
  }

  /** Takes bytes in. @throws TowlineError `protocol_error`; the session is over then. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) at = this.#headBytes < HEAD ? this.#readHead(bytes, at) : this.#readPayload(bytes, at);
  }

  #readHead(bytes: Buffer, from: number): number {
    let at = from;
    while (this.#headBytes < HEAD && at < bytes.length) {
      this.#head = (this.#head * 256 + bytes[at]!) >>> 0;
      this.#headBytes += 1;
      at += 1;
    }
    if (this.#headBytes === HEAD) {
      this.#type = this.#head >>> 24;
      this.#left = this.#head & 0xffffff;
      checkHead(this.#type, this.#left);
      if (isNumbered(this.#type)) this.#position += HEAD;
      if (this.#left === 0) this.#complete();
    }
    return at;
  }

  #readPayload(bytes: Buffer, from: number): number {
    const part = bytes.subarray(from, from + this.#left);
    this.#left -= part.length;
    if (isNumbered(this.#type)) this.#position += part.length;
    if (this.#type >= SessionFrame.data) this.#sink.data(this.#type - SessionFrame.data, part);
    else this.#parts.push(part);
    if (this.#left === 0) this.#complete();
    return from + part.length;
  }

  #complete(): void {
    const payload = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    const type = this.#type;
    this.#head = 0;
    this.#headBytes = 0;
    this.#parts = [];
    if (type === SessionFrame.ack) this.#sink.ack(Number(payload.readBigUInt64BE(0)), Number(payload.readBigUInt64BE(8)));
    else if (type === SessionFrame.message) this.#sink.message(payload);
    else if (type === SessionFrame.fin) this.#sink.fin(existingChannel(payload[0]!));
    else if (type === SessionFrame.result) this.#sink.result(payload);
  }
}

function existingChannel(channel: number): number {
  if (channel > MAX_CHANNEL) throw new TowlineError('protocol_error', `The peer ended channel ${channel}, which does not exist.`);
  return channel;
}

function isNumbered(type: number): boolean {
  return type >= SessionFrame.message;
}

function checkHead(type: number, length: number): void {
  const [min, max] = allowedLength(type);
  if (length < min || length > max) {
    throw new TowlineError('protocol_error', `The peer sent a session frame of type ${type} with ${length} bytes.`);
  }
}

/** Shortest and longest payload of a type; an impossible pair for a type that does not exist. */
function allowedLength(type: number): readonly [number, number] {
  if (type >= SessionFrame.data && type <= SessionFrame.data + MAX_CHANNEL) return [1, MAX_SESSION_PAYLOAD];
  switch (type) {
    case SessionFrame.ack:
      return [ACK, ACK];
    case SessionFrame.fin:
      return [1, 1];
    case SessionFrame.message:
    case SessionFrame.result:
      return [2, MAX_SESSION_MESSAGE];
    default:
      return [1, 0];
  }
}
