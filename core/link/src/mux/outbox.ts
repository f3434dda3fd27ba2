import { encodeDataHead } from '@towline/protocol';

/** Called when written bytes were handed on, or could not be. */
export type WriteDone = (error?: Error | null) => void;

/** A frame of so few bytes, or of so many small chunks, is cheaper to copy into one buffer than to write in pieces. */
const COPY_BELOW_BYTES = 4_096;
const COPY_BELOW_BYTES_PER_CHUNK = 1_024;

/** What one write handed over and the link did not send yet. Node hands over the next write when this one is done. */
export class Outbox {
  #chunks: readonly Buffer[] = [];
  #index = 0;
  #offset = 0;
  #bytes = 0;
  #done: WriteDone | null = null;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the last write is over, so that the next may come. */
  get isFree(): boolean {
    return this.#done === null;
  }

  put(chunks: readonly Buffer[], done: WriteDone): void {
    this.#chunks = chunks;
    this.#index = 0;
    this.#offset = 0;
    this.#bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#done = done;
  }

  /** Writes the next `size` bytes as one DATA frame. */
  writeFrame(stream: number, size: number, write: (bytes: Buffer) => void): void {
    const parts = this.#take(size);
    const head = encodeDataHead(stream, size);
    if (size < COPY_BELOW_BYTES || size < parts.length * COPY_BELOW_BYTES_PER_CHUNK) write(Buffer.concat([head, ...parts]));
    else {
      write(head);
      for (const part of parts) write(part);
    }
  }

  /** The callback of the write, once. */
  takeDone(): WriteDone | null {
    const done = this.#done;
    this.#done = null;
    return done;
  }

  /** Forgets the bytes; the callback can still be taken. */
  clear(): void {
    this.#chunks = [];
    this.#bytes = 0;
  }

  #take(size: number): Buffer[] {
    const parts: Buffer[] = [];
    this.#bytes -= size;
    for (let left = size; left > 0; ) {
      const chunk = this.#chunks[this.#index]!;
      const part = chunk.subarray(this.#offset, this.#offset + left);
      parts.push(part);
      left -= part.length;
      this.#offset += part.length;
      if (this.#offset === chunk.length) {
        this.#index += 1;
        this.#offset = 0;
      }
    }
    if (this.#bytes === 0) this.#chunks = [];
    return parts;
  }
}
