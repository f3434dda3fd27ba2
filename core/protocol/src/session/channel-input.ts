import { Readable } from 'node:stream';
import type { TowlineError } from '../errors/towline-error.ts';

/** What the peer sends on one channel. Holds what was not read yet, counted; the session's window bounds it. */
export class ChannelInput extends Readable {
  readonly #onRead: () => void;
  #chunks: Buffer[] = [];
  #heldBytes = 0;
  #wanted = false;
  #endHanded = false;
  #end: { readonly error: TowlineError | null } | null = null;

  constructor(onRead: () => void) {
    // Node holds one chunk at most; the rest waits here, where it is counted.
    super({ highWaterMark: 1 });
    this.#onRead = onRead;
    this.on('error', () => {});
  }

  /** Bytes received and not yet handed to the reader. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether the peer has ended the channel, or the session is over. */
  get ended(): boolean {
    return this.#end !== null;
  }

  deliver(bytes: Buffer): void {
    if (this.destroyed) return;
    this.#chunks.push(bytes);
    this.#heldBytes += bytes.length;
    this.#hand();
  }

  /** Nothing more comes: the reader sees the end, or the error, after what was received before. */
  finish(error: TowlineError | null): void {
    if (this.#end !== null) return;
    this.#end = { error };
    this.#hand();
  }

  /** Drops what nobody will read. */
  discard(): void {
    this.#chunks = [];
    this.#heldBytes = 0;
  }

  /** Node asks for more before it has taken what it holds, so that an error is due only after that. */
  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    this.#handEnd();
    return chunk;
  }

  override _read(): void {
    this.#wanted = true;
    this.#hand();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.discard();
    callback(error);
    this.#onRead();
  }

  #hand(): void {
    let handed = false;
    while (this.#chunks.length > 0 && !this.destroyed && (this.#wanted || this.readableLength === 0)) {
      const chunk = this.#chunks.shift()!;
      this.#heldBytes -= chunk.length;
      this.#wanted = this.push(chunk);
      handed = true;
    }
    this.#handEnd();
    if (handed) this.#onRead();
  }

  #handEnd(): void {
    if (this.#end === null || this.#chunks.length > 0 || this.#endHanded) return;
    const { error } = this.#end;
    // A clean end waits behind what Node holds by itself; an error would throw that away.
    if (error !== null && this.readableLength > 0) return;
    this.#endHanded = true;
    if (error === null) this.push(null);
    else this.destroy(error);
  }
}
