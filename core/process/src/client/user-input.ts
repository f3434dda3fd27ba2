import type { Readable, Writable } from 'node:stream';

/** Looks at input on its way: returns what is to be sent. */
export type InputFilter = (bytes: Buffer) => Buffer;

/** Sends the input of this program to the device, at the pace of the session. */
export class UserInput {
  readonly #source: Readable;
  readonly #device: Writable;
  readonly #filter: InputFilter;
  #stopped = false;

  constructor(source: Readable, device: Writable, filter: InputFilter = (bytes) => bytes) {
    this.#source = source;
    this.#device = device;
    this.#filter = filter;
    source.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onEnd);
    device.on('drain', this.#onRoom);
    if (source.readableEnded) this.#onEnd();
  }

  /** Reads no more, so that this program can end. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#source.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onEnd);
    this.#device.off('drain', this.#onRoom);
    this.#source.pause();
  }

  readonly #onData = (chunk: Buffer | string): void => {
    const bytes = this.#filter(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    const writable = bytes.length === 0 || this.#device.write(bytes);
    if (!writable && !this.#stopped) this.#source.pause();
  };

  readonly #onRoom = (): void => {
    if (!this.#stopped) this.#source.resume();
  };

  /** The end of the input, or its loss, as when the terminal is gone. */
  readonly #onEnd = (): void => {
    if (this.#stopped) return;
    this.stop();
    this.#device.end();
  };
}
