/** Smallest block, bytes: most control frames fit. */
const FIRST_BLOCK = 16;

/** Bytes of a frame that has not arrived whole, copied, in memory at most about twice what arrived. */
export class PartialPayload {
  #block: Buffer | null = null;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    const wanted = this.#length + bytes.length;
    if (!this.#block || this.#block.length < wanted) this.#grow(wanted);
    this.#block!.set(bytes, this.#length);
    this.#length = wanted;
  }

  /** Hands out what was collected and begins anew. */
  take(): Buffer {
    const whole = this.#block ? this.#block.subarray(0, this.#length) : Buffer.alloc(0);
    this.clear();
    return whole;
  }

  clear(): void {
    this.#block = null;
    this.#length = 0;
  }

  /** A whole payload gets a block of its size at once; one in pieces doubles, so that pieces cost no square of copies. */
  #grow(wanted: number): void {
    const bytes = this.#block ? Math.max(wanted, this.#block.length * 2) : Math.max(wanted, FIRST_BLOCK);
    const larger = Buffer.allocUnsafeSlow(bytes);
    if (this.#block) larger.set(this.#block.subarray(0, this.#length), 0);
    this.#block = larger;
  }
}
