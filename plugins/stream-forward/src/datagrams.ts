import { TowlineError } from '@towline/protocol';
import { MAX_DATAGRAM } from './limits.ts';

/** Bytes of the length before each datagram. */
const HEAD = 2;

/** A datagram as it travels on a channel: two bytes of length (big endian), then its bytes. One of no bytes is one, too. */
export function encodeDatagram(bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD + bytes.length);
  frame.writeUInt16BE(bytes.length, 0);
  frame.set(bytes, HEAD);
  return frame;
}

/** Cuts the bytes of a channel into datagrams. Holds one at most. */
export class DatagramSplitter {
  readonly #take: (datagram: Buffer) => void;
  #held: Buffer = Buffer.alloc(0);

  constructor(take: (datagram: Buffer) => void) {
    this.#take = take;
  }

  /** @throws TowlineError `protocol_error` for one that is longer than a datagram can be. */
  push(bytes: Buffer): void {
    let rest = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    while (rest.length >= HEAD) {
      const length = rest.readUInt16BE(0);
      if (length > MAX_DATAGRAM) throw new TowlineError('protocol_error', `The peer sent a datagram of ${length} bytes.`);
      if (rest.length < HEAD + length) break;
      this.#take(rest.subarray(HEAD, HEAD + length));
      rest = rest.subarray(HEAD + length);
    }
    this.#held = rest;
  }
}
