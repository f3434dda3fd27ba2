import { checkStreamHead, MAX_STREAM_HEAD, TowlineError } from '@towline/protocol';
import type { NativeConnection } from '../binding/quiche.ts';

const LENGTH_BYTES = 2;
/** What is read at once; the bytes are copied out of it. */
const SCRATCH = Buffer.allocUnsafeSlow(Math.max(MAX_STREAM_HEAD, LENGTH_BYTES));

/** What a stream begins with: two bytes of length, big endian, then what its opener says. @throws TowlineError as checkStreamHead. */
export function encodeStreamHead(head: Uint8Array): Buffer {
  checkStreamHead(head);
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + head.length);
  bytes.writeUInt16BE(head.length, 0);
  bytes.set(head, LENGTH_BYTES);
  return bytes;
}

/**
 * The head of a stream that is arriving. It takes exactly its own bytes out of quiche and leaves the rest; it takes
 * no more memory than has arrived, whatever length was announced.
 */
export class IncomingHead {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #received = 0;
  #length: number | null = null;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes taken so far. */
  get received(): number {
    return this.#received;
  }

  /** The head once it is whole, else null. @throws TowlineError `protocol_error`, and what the binding throws of a reset. */
  read(native: NativeConnection, id: number): Buffer | null {
    for (;;) {
      const wanted = LENGTH_BYTES + (this.#length ?? 0) - this.#received;
      const got = native.streamRecv(id, SCRATCH.subarray(0, wanted));
      if (got === null) return null;
      const [taken, fin] = got;
      this.#received += taken;
      this.#parts.push(Buffer.from(SCRATCH.subarray(0, taken)));
      // A stream that ends cleanly has one byte behind its head at least.
      if (fin) throw new TowlineError('protocol_error', 'A stream ended before its head did.');
      if (taken < wanted) return null;
      const whole = this.#take();
      if (this.#length !== null) return whole;
      this.#length = whole.readUInt16BE(0);
      if (this.#length === 0 || this.#length > this.#maxBytes)
        throw new TowlineError('protocol_error', 'The head of a stream has no proper length.');
    }
  }

  #take(): Buffer {
    const bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    this.#parts = [];
    return bytes;
  }
}
