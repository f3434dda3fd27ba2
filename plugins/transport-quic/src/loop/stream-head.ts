import { checkStreamHead, TowlineError } from '@towline/protocol';
import type { NativeConnection } from '../binding/quiche.ts';

const LENGTH_BYTES = 2;

/** What a stream begins with: two bytes of length, big endian, then what its opener says. @throws TowlineError as checkStreamHead. */
export function encodeStreamHead(head: Uint8Array): Buffer {
  checkStreamHead(head);
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + head.length);
  bytes.writeUInt16BE(head.length, 0);
  bytes.set(head, LENGTH_BYTES);
  return bytes;
}

/** The head of a stream that is arriving. It takes exactly its own bytes out of quiche and leaves the rest. */
export class IncomingHead {
  readonly #maxBytes: number;
  #bytes = Buffer.alloc(LENGTH_BYTES);
  #filled = 0;
  #length: number | null = null;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes taken so far. */
  get received(): number {
    return this.#filled + (this.#length === null ? 0 : LENGTH_BYTES);
  }

  /** The head once it is whole, else null. @throws TowlineError `protocol_error`, and what the binding throws of a reset. */
  read(native: NativeConnection, id: number): Buffer | null {
    for (;;) {
      const got = native.streamRecv(id, this.#bytes.subarray(this.#filled));
      if (got === null) return null;
      this.#filled += got[0];
      const whole = this.#filled === this.#bytes.length;
      // A stream that ends cleanly has one byte behind its head at least.
      if (got[1]) throw new TowlineError('protocol_error', 'A stream ended before its head did.');
      if (!whole) return null;
      if (this.#length !== null) return this.#bytes;
      this.#length = this.#bytes.readUInt16BE(0);
      if (this.#length === 0 || this.#length > this.#maxBytes)
        throw new TowlineError('protocol_error', 'The head of a stream has no proper length.');
      this.#bytes = Buffer.allocUnsafe(this.#length);
      this.#filled = 0;
    }
  }
}
