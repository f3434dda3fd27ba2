import type { Readable, Writable } from 'node:stream';
import { INPUT_AHEAD } from '../input-credit.ts';

/** Looks at input on its way: returns what is to be sent. */
export type InputFilter = (bytes: Buffer) => Buffer;

/** Sends the input of this program to the device, no further ahead than the device allows. */
export class UserInput {
  readonly #source: Readable;
  readonly #device: Writable;
  readonly #filter: InputFilter;
  #sent = 0;
  #taken = 0;
  #stopped = false;

  constructor(source: Readable, device: Writable, filter: InputFilter = (bytes) => bytes) {
    this.#source = source;
    this.#device = device;
    this.#filter = filter;
    source.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onEnd);
    device.on('drain', this.#onRoom);
    if (source.readableEnded) this.#onEnd();
  }

  /** The program on the device has taken so many bytes in all. */
  taken(bytes: number): void {
    this.#taken = Math.max(this.#taken, bytes);
    this.#onRoom();
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
    const read = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    const room = INPUT_AHEAD - (this.#sent - this.#taken);
    const bytes = this.#filter(read.subarray(0, room));
    this.#sent += bytes.length;
    const writable = bytes.length === 0 || this.#device.write(bytes);
    if (this.#stopped) return;
    if (!writable || read.length >= room) this.#source.pause();
    if (read.length > room) this.#source.unshift(read.subarray(room));
  };

  readonly #onRoom = (): void => {
    if (!this.#stopped && !this.#device.writableNeedDrain && this.#sent - this.#taken < INPUT_AHEAD) this.#source.resume();
  };

  /** The end of the input, or its loss, as when the terminal is gone. */
  readonly #onEnd = (): void => {
    if (this.#stopped) return;
    this.stop();
    this.#device.end();
  };
}
