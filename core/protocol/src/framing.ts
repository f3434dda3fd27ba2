import { TowlineError } from './errors/towline-error.ts';

/**
 * Messages in a byte stream: four bytes of length, big endian, then the message.
 * Used for control streams and for the answer that precedes a session.
 */
export function frameMessage(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(4 + message.length);
  framed.writeUInt32BE(message.length, 0);
  framed.set(message, 4);
  return framed;
}

/** Cuts a byte stream into the messages that {@link frameMessage} put into it. */
export class MessageSplitter {
  readonly #maxBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes held that are not a whole message yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Takes bytes in. @throws TowlineError `protocol_error` as soon as an announced length is over the limit. */
  push(bytes: Uint8Array): void {
    this.#pending.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    this.#pendingBytes += bytes.length;
    this.#announced();
  }

  /** The next whole message, or null when more bytes are needed. */
  next(): Buffer | null {
    const length = this.#announced();
    if (length === null || this.#pendingBytes < 4 + length) return null;
    const all = this.#joined();
    this.#hold(all.subarray(4 + length));
    return all.subarray(4, 4 + length);
  }

  /** Whatever is held, for a stream that goes on with something else than messages. */
  rest(): Buffer {
    const rest = this.#joined();
    this.#hold(Buffer.alloc(0));
    return rest;
  }

  #announced(): number | null {
    if (this.#pendingBytes < 4) return null;
    if (this.#pending[0]!.length < 4) this.#hold(this.#joined());
    const length = this.#pending[0]!.readUInt32BE(0);
    if (length > this.#maxBytes) {
      throw new TowlineError('protocol_error', `The peer announced a message of ${length} bytes, where ${this.#maxBytes} are allowed.`);
    }
    return length;
  }

  #joined(): Buffer {
    return this.#pending.length === 1 ? this.#pending[0]! : Buffer.concat(this.#pending);
  }

  #hold(bytes: Buffer): void {
    this.#pending = bytes.length === 0 ? [] : [bytes];
    this.#pendingBytes = bytes.length;
  }
}
