/** Parts below this many bytes are copied: a view of them would keep the whole read they came with alive. */
const COPY_BELOW_BYTES = 4_096;
const FIRST_BLOCK_BYTES = 64;
const LARGEST_BLOCK_BYTES = 16_384;
/**
 * Chunks that wait are handed over together up to so many bytes: TLS brings 16 KiB at most at a time, cut again where frames begin, and
 * every chunk costs its reader more than the copy, most of all when each is written by itself to a socket.
 */
const JOIN_UP_TO_BYTES = 65_536;

/**
 * Bytes of one stream that arrived and were not taken yet. A peer that sends a byte at a time costs memory in
 * proportion to its bytes: small parts are gathered in blocks, whatever reads they came with.
 */
export class Inbox {
  #chunks: Buffer[] = [];
  #block: Buffer | null = null;
  #blockUsed = 0;
  #bytes = 0;

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  append(part: Buffer): void {
    this.#bytes += part.length;
    if (part.length < COPY_BELOW_BYTES) return this.#gather(part);
    this.#seal();
    this.#chunks.push(part);
  }

  /** The oldest bytes held, in one piece, or null. */
  shift(): Buffer | null {
    const chunks = this.shiftChunks();
    return chunks.length > 1 ? join(chunks) : (chunks[0] ?? null);
  }

  /** The oldest bytes held, as they came; none when there are none. */
  shiftChunks(): readonly Buffer[] {
    if (this.#bytes <= JOIN_UP_TO_BYTES || this.#chunks.length === 0) this.#seal();
    const chunks = this.#chunks.splice(0, this.#countJoined());
    for (const { length } of chunks) this.#bytes -= length;
    return chunks;
  }

  /** How many of the oldest chunks are handed over together. */
  #countJoined(): number {
    let bytes = 0;
    let count = 0;
    for (const { length } of this.#chunks) {
      bytes += length;
      if (count > 0 && bytes > JOIN_UP_TO_BYTES) break;
      count += 1;
    }
    return count;
  }

  clear(): void {
    this.#chunks = [];
    this.#block = null;
    this.#blockUsed = 0;
    this.#bytes = 0;
  }

  #gather(part: Buffer): void {
    if (!this.#block || this.#blockUsed + part.length > this.#block.length) this.#beginBlock(part.length);
    this.#block!.set(part, this.#blockUsed);
    this.#blockUsed += part.length;
  }

  /** Blocks double while nobody reads, so that one key press costs little and a thousand cost few objects. */
  #beginBlock(atLeast: number): void {
    const wanted = this.#block ? Math.min(this.#block.length * 2, LARGEST_BLOCK_BYTES) : FIRST_BLOCK_BYTES;
    this.#seal();
    this.#block = Buffer.allocUnsafeSlow(Math.max(wanted, atLeast));
  }

  #seal(): void {
    if (this.#block && this.#blockUsed > 0) this.#chunks.push(this.#block.subarray(0, this.#blockUsed));
    this.#block = null;
    this.#blockUsed = 0;
  }
}

function join(chunks: readonly Buffer[]): Buffer {
  const joined = Buffer.allocUnsafeSlow(chunks.reduce((bytes, { length }) => bytes + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}
