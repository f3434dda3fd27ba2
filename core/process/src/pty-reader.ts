import { Readable } from 'node:stream';
import { ReadStream } from 'node:tty';

/** What one read takes at most; the kernel holds about as much for a terminal. */
const READ_SIZE = 16_384;

/**
 * Output of a terminal, read from its master side, which it owns and closes. Holds nothing back from a reader
 * that is slow: when the reader has no room, the kernel keeps the bytes and the program waits. That is so also after the
 * program has exited; the end comes when the last byte was read and nobody has the terminal open any more.
 */
export class PtyReader extends Readable {
  readonly #master: ReadStream;
  readonly #onClosing: () => void;

  /** `onClosing` is called before the descriptor is closed: from then on its number may mean something else. */
  constructor(fd: number, onClosing: () => void) {
    super({ highWaterMark: READ_SIZE });
    this.#onClosing = onClosing;
    // With a buffer of its own the stream keeps nothing, so an error cannot take unread bytes with it.
    const onread = { buffer: Buffer.allocUnsafe(READ_SIZE), callback: (bytes: number, buffer: Uint8Array) => this.#take(bytes, buffer) };
    this.#master = new ReadStream(fd, { onread } as ConstructorParameters<typeof ReadStream>[1]);
    this.#master.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
    this.#master.on('end', () => this.push(null));
  }

  override _read(): void {
    this.#master.resume();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#onClosing();
    this.#master.destroy();
    done(error);
  }

  /** Takes what was read; false stops the reading until the next `_read`. */
  #take(bytes: number, buffer: Uint8Array): boolean {
    return this.push(Buffer.from(buffer.subarray(0, bytes)));
  }

  #fail(error: NodeJS.ErrnoException): void {
    // How Linux says that the other side of a terminal is closed.
    if (error.code === 'EIO') this.push(null);
    else this.destroy(error);
  }
}
