import { TowlineError } from '@towline/protocol/plain';
import { BLOCK_BYTES, HASH_BYTES, MAX_DATA_PAYLOAD, MAX_HASHES_IN_FRAME, MAX_JSON_PAYLOAD } from '../limits.ts';

/** Types of frames: one byte of type, three of length (big endian), then the payload. */
export const Frame = Object.freeze({
  // From whoever sends files.
  /** JSON: something of the tree, with a number of its own. */
  entry: 0x01,
  /** Number of a folder of which everything was announced. */
  leave: 0x02,
  /** JSON: something that is left out, and why. */
  omitted: 0x03,
  /** Everything was announced. */
  listed: 0x04,
  /** JSON: how much it will be. */
  total: 0x05,
  /** JSON: something in a folder that is listed. */
  listing: 0x06,
  /** JSON: something of a watched tree may have changed. */
  changed: 0x07,
  /** Number of a file and where its content begins. */
  begin: 0x10,
  /** Content of the file that was begun. */
  data: 0x11,
  /** Length of a run of zeros in it. */
  hole: 0x12,
  /** Number of the file and SHA-256 of its whole content. */
  end: 0x13,
  /** JSON: the file cannot be sent, or not to its end. */
  failed: 0x14,
  // From whoever receives them.
  /** JSON: where the copy goes. */
  ready: 0x20,
  /** JSON: a file is wanted, from where on. */
  want: 0x21,
  /** Number of a file and hashes of blocks that the receiver has of it. */
  blocks: 0x22,
  /** Number of a file of which nothing more is wanted. */
  drop: 0x23,
  /** JSON: what became of an entry. */
  settled: 0x24,
  /** Everything is settled. */
  done: 0x25,
  /** JSON: something was removed, because the sender lacks it, or would be. */
  removed: 0x26,
  // From either.
  /** JSON: nothing can be done at all, and why. */
  fault: 0x30,
});

/** Bytes of the head of a frame. */
export const FRAME_HEAD = 4;
/** Shortest and longest payload of each type. */
const LENGTHS = new Map<number, readonly [least: number, most: number]>([
  ...[
    Frame.entry,
    Frame.listing,
    Frame.omitted,
    Frame.total,
    Frame.failed,
    Frame.ready,
    Frame.want,
    Frame.settled,
    Frame.removed,
    Frame.changed,
    Frame.fault,
  ].map((type): [number, readonly [number, number]] => [type, [2, MAX_JSON_PAYLOAD]]),
  [Frame.leave, [4, 4]],
  [Frame.listed, [0, 0]],
  [Frame.begin, [12, 12]],
  [Frame.data, [1, MAX_DATA_PAYLOAD]],
  [Frame.hole, [8, 8]],
  [Frame.end, [4 + HASH_BYTES, 4 + HASH_BYTES]],
  [Frame.blocks, [4 + HASH_BYTES, 4 + MAX_HASHES_IN_FRAME * HASH_BYTES]],
  [Frame.drop, [4, 4]],
  [Frame.done, [0, 0]],
]);

/** One frame. Content comes in pieces as it arrives, without being copied; the rest comes whole. */
export interface FrameEvent {
  readonly type: number;
  readonly payload: Buffer;
}

/** Head of a frame. */
export function encodeHead(type: number, length: number): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD);
  head.writeUInt32BE(headOf(type, length));
  return head;
}

/** Head of a frame as a number of four bytes. */
export function headOf(type: number, length: number): number {
  return ((type << 24) | length) >>> 0;
}

/** Cuts a stream of bytes into frames. Never holds more than one frame that is no content. */
export class FrameDecoder {
  #head = 0;
  #headBytes = 0;
  #left = 0;
  #parts: Buffer[] = [];

  /** Whether the bytes end between two frames. */
  get isBetweenFrames(): boolean {
    return this.#headBytes === 0;
  }

  /** Takes bytes in. @throws TowlineError `protocol_error` for a type or a length that cannot be. */
  *push(bytes: Buffer): Generator<FrameEvent> {
    let at = 0;
    while (at < bytes.length || (this.#headBytes === FRAME_HEAD && this.#left === 0)) {
      if (this.#headBytes < FRAME_HEAD) {
        at = this.#readHead(bytes, at);
        continue;
      }
      const part = bytes.subarray(at, at + this.#left);
      at += part.length;
      this.#left -= part.length;
      const event = this.#take(part);
      if (event !== null) yield event;
    }
  }

  #readHead(bytes: Buffer, from: number): number {
    let at = from;
    while (this.#headBytes < FRAME_HEAD && at < bytes.length) {
      this.#head = (this.#head * 256 + bytes[at]!) >>> 0;
      this.#headBytes += 1;
      at += 1;
    }
    if (this.#headBytes === FRAME_HEAD) {
      this.#left = this.#head & 0xffffff;
      checkHead(this.#head >>> 24, this.#left);
    }
    return at;
  }

  #take(part: Buffer): FrameEvent | null {
    const type = this.#head >>> 24;
    const isContent = type === Frame.data;
    if (!isContent) this.#parts.push(part);
    if (this.#left > 0) return isContent ? { type, payload: part } : null;
    const payload = isContent ? part : this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#head = 0;
    this.#headBytes = 0;
    this.#parts = [];
    return { type, payload };
  }
}

function checkHead(type: number, length: number): void {
  const [least, most] = LENGTHS.get(type) ?? [1, 0];
  if (length < least || length > most)
    throw new TowlineError('protocol_error', `The peer sent a frame of type ${type} with ${length} bytes among files.`);
}

/** The number of an entry. */
export function encodeNumber(id: number): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(id);
  return payload;
}

/** Payload of `begin`. */
export function encodeBegin(id: number, from: number): Buffer {
  const payload = Buffer.allocUnsafe(12);
  payload.writeUInt32BE(id);
  writeLength(payload, from, 4);
  return payload;
}

/** Payload of `hole`. */
export function encodeLength(length: number): Buffer {
  const payload = Buffer.allocUnsafe(8);
  writeLength(payload, length, 0);
  return payload;
}

/** Writes a length or position of eight bytes. */
export function writeLength(into: Buffer, length: number, at: number): void {
  into.writeUInt32BE(Math.floor(length / 2 ** 32), at);
  into.writeUInt32BE(length % 2 ** 32, at + 4);
}

/** A length or position of eight bytes. One that is not exact as a number becomes infinite, which nothing fits. */
export function decodeLength(payload: Buffer, at: number): number {
  const length = payload.readUInt32BE(at) * 2 ** 32 + payload.readUInt32BE(at + 4);
  return Number.isSafeInteger(length) ? length : Number.POSITIVE_INFINITY;
}

/** Blocks of which a file of so many bytes consists. */
export function blocksOf(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES);
}
