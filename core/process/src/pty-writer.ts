import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';

/** Waits of a writer whose terminal is full, milliseconds: nobody types faster, and a paste may take a moment. */
const FIRST_RETRY_MS = 2;
const LONGEST_RETRY_MS = 50;
/** The end-of-file character of a terminal in its usual mode, Ctrl-D. */
const END_OF_FILE = 0x04;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Input of a terminal, written to its master side. The descriptor does not block, so writing is done in place:
 * a write in another thread could hit a stranger's descriptor after the terminal was closed. Whatever is written after the
 * program closed the terminal is dropped. Ending it types the end-of-file character.
 */
export class PtyWriter extends Writable {
  readonly #fd: number;
  #retry: { readonly timer: NodeJS.Timeout; readonly done: (error?: Error | null) => void } | null = null;
  #lineBegun = false;

  constructor(fd: number) {
    super({ highWaterMark: 16_384 });
    this.#fd = fd;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const last = chunk.at(-1);
    if (last !== undefined) this.#lineBegun = last !== LINE_FEED && last !== CARRIAGE_RETURN;
    this.#put(chunk, FIRST_RETRY_MS, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    // The first one hands a line that has no end to the program, the second is read as the end.
    const characters = this.#lineBegun ? [END_OF_FILE, END_OF_FILE] : [END_OF_FILE];
    this.#put(Buffer.from(characters), FIRST_RETRY_MS, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#retry) {
      clearTimeout(this.#retry.timer);
      this.#retry.done(error);
    }
    done(error);
  }

  #put(bytes: Buffer, waitMs: number, done: (error?: Error | null) => void): void {
    this.#retry = null;
    const written = this.#tryWrite(bytes);
    if (written instanceof Error || written === bytes.length) return done(written instanceof Error ? written : null);
    const rest = bytes.subarray(written);
    const wait = written > 0 ? FIRST_RETRY_MS : waitMs;
    this.#retry = { done, timer: setTimeout(() => this.#put(rest, Math.min(wait * 2, LONGEST_RETRY_MS), done), wait) };
  }

  #tryWrite(bytes: Buffer): number | Error {
    try {
      return writeSync(this.#fd, bytes);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') return 0;
      return code === 'EIO' ? bytes.length : (error as Error);
    }
  }
}
