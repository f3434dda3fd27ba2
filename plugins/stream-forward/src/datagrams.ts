import { TowlineError } from '@towline/protocol';
import { MAX_DATAGRAM } from './limits.ts';

/** Bytes of the length before each datagram. */
const HEAD = 2;
/** What is held for a datagram at first, bytes: most are smaller than this. */
const LEAST_HELD = 1_500;

/** A datagram as it travels on a channel: two bytes of length (big endian), then its bytes. One of no bytes is one, too. */
export function encodeDatagram(bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD + bytes.length);
  frame.writeUInt16BE(bytes.length, 0);
  frame.set(bytes, HEAD);
  return frame;
}

/**
 * Cuts the bytes of a channel into datagrams. Holds one at most, in no more than twice the bytes that came of it: a length that is
 * announced costs nothing. A byte is copied three times on average at most, however small the pieces are that it comes in.
 */
export class DatagramSplitter {
  readonly #take: (datagram: Buffer) => void;
  /** The beginning of a datagram, its length included; `#size` bytes of it are there. */
  #held: Buffer = Buffer.alloc(0);
  #size = 0;

  constructor(take: (datagram: Buffer) => void) {
    this.#take = take;
  }

  /** @throws TowlineError `protocol_error` for one that is longer than a datagram can be. */
  push(bytes: Buffer): void {
    let rest = this.#size === 0 ? bytes : this.#complete(bytes);
    for (let end = frameEnd(rest); end <= rest.length; end = frameEnd(rest)) {
      this.#take(rest.subarray(HEAD, end));
      rest = rest.subarray(end);
    }
    this.#hold(rest);
  }

  /** Adds to what is held until that is a datagram, and hands it on. Answers what is left of the bytes. */
  #complete(bytes: Buffer): Buffer {
    const body = this.#fill(bytes, HEAD);
    const end = frameEnd(this.#held.subarray(0, this.#size));
    const rest = this.#fill(body, end);
    if (this.#size < end) return rest;
    const datagram = this.#held.subarray(HEAD, end);
    // Whoever takes it may keep it.
    this.#held = Buffer.alloc(0);
    this.#size = 0;
    this.#take(datagram);
    return rest;
  }

  /** Takes as many bytes as it needs to hold so many; answers the others. */
  #fill(bytes: Buffer, size: number): Buffer {
    const missing = Math.max(0, size - this.#size);
    this.#hold(bytes.subarray(0, missing));
    return bytes.subarray(missing);
  }

  #hold(bytes: Buffer): void {
    const size = this.#size + bytes.length;
    if (size > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.min(HEAD + MAX_DATAGRAM, Math.max(LEAST_HELD, 2 * size)));
      this.#held.copy(larger, 0, 0, this.#size);
      this.#held = larger;
    }
    bytes.copy(this.#held, this.#size);
    this.#size = size;
  }
}

/** Where the datagram at the beginning of some bytes ends; beyond them while its length is not there. @throws TowlineError `protocol_error`. */
function frameEnd(bytes: Buffer): number {
  if (bytes.length < HEAD) return Number.POSITIVE_INFINITY;
  const length = bytes.readUInt16BE(0);
  if (length > MAX_DATAGRAM) throw new TowlineError('protocol_error', `The peer sent a datagram of ${length} bytes.`);
  return HEAD + length;
}
