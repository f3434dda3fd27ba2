import { readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';

/** What one read takes at most; the kernel holds about as much for a terminal. */
const READ_SIZE = 16_384;
/** Wait between two looks at a terminal that is closed on the other side but has not said that it is empty, milliseconds. */
const LOOK_AGAIN_MS = 5;

/**
 * Output of a terminal, read from its master side, which it owns and closes. Holds nothing back from a reader
 * that is slow: when the reader has no room, the kernel keeps the bytes and the program waits. That is so also after the
 * program has exited; the end comes when the last byte was read and nobody has the terminal open any more.
 */
export class PtyReader extends Readable {
  readonly #fd: number;
  readonly #master: ReadStream;
  readonly #onClosing: () => void;
  #hungUp = false;
  #lookAgain: NodeJS.Timeout | undefined;

  /** `onClosing` is called before the descriptor is closed: from then on its number may mean something else. */
  constructor(fd: number, onClosing: () => void) {
    super({ highWaterMark: READ_SIZE });
    this.#fd = fd;
    this.#onClosing = onClosing;
    // With a buffer of its own the stream keeps nothing, so an error cannot take unread bytes with it. Half open,
    // it leaves the descriptor to us at its end.
    const onread = { buffer: Buffer.allocUnsafe(READ_SIZE), callback: (bytes: number, buffer: Uint8Array) => this.#take(bytes, buffer) };
    this.#master = new ReadStream(fd, { onread, allowHalfOpen: true } as ConstructorParameters<typeof ReadStream>[1]);
    this.#master.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
    this.#master.on('end', () => {
      this.#hungUp = true;
      this.#readRest();
    });
  }

  override _read(): void {
    if (this.#hungUp) this.#readRest();
    else this.#master.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#lookAgain);
    this.#onClosing();
    this.#master.destroy();
    done(error);
  }

  /** Takes what was read; false stops the reading until the next `_read`. */
  #take(bytes: number, buffer: Uint8Array): boolean {
    return this.push(Buffer.from(buffer.subarray(0, bytes)));
  }

  /**
   * Reads on where libuv has stopped. It takes a hang-up after a short read for the end, as it is with pipes; reads from a terminal
   * are always short, and several of them may still wait. The descriptor does not block.
   */
  #readRest(): void {
    clearTimeout(this.#lookAgain);
    if (this.destroyed || this.readableEnded) return;
    const buffer = Buffer.allocUnsafe(READ_SIZE);
    try {
      const bytes = readSync(this.#fd, buffer);
      this.push(bytes === 0 ? null : buffer.subarray(0, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') this.#lookAgain = setTimeout(() => this.#readRest(), LOOK_AGAIN_MS);
      else this.#fail(error as NodeJS.ErrnoException);
    }
  }

  #fail(error: NodeJS.ErrnoException): void {
    // How Linux says that the other side of a terminal is closed and nothing is left.
    if (error.code === 'EIO') this.push(null);
    else this.destroy(error);
  }
}
