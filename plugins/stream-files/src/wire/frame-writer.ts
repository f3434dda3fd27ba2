import type { Writable } from 'node:stream';
import { toTowlineError } from '@towline/protocol/plain';
import { FRAME_HEAD, headOf } from './frames.ts';

/** Bytes that are gathered at most before they are written: what a session carries in one frame, and a pipe holds. */
const GATHERED_BYTES = 65_536;
/** Bytes that are allocated at a time for what is gathered. Many small buffers would keep the collector busy. */
const BLOCK_BYTES = 131_072;
/** A payload from here on is written without being copied. */
const LARGE_PAYLOAD = 16_384;
/**
 * How long what was gathered may wait for more, milliseconds, where something was written just before. Each write goes through four processes, so
 * that a few large ones cost much less than many small ones; and a copy is never so deep in round trips that this is felt.
 */
const HOLD_MS = 4;

/** Writes frames, many small ones at once. Whoever has much to say waits for {@link FrameWriter.room} before each frame. */
export class FrameWriter {
  readonly #stream: Writable;
  #block: Buffer = Buffer.alloc(0);
  /** What is gathered lies between these two in the block. */
  #from = 0;
  #to = 0;
  #isDue = false;
  #lastWriteMs = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];

  constructor(stream: Writable) {
    this.#stream = stream;
    for (const event of ['drain', 'close', 'error']) stream.on(event, () => this.#wake());
  }

  /** Whether nothing reaches the peer any more. */
  get isBroken(): boolean {
    return this.#stream.destroyed;
  }

  /** Whether the stream takes more now: {@link FrameWriter.room} would not wait, nor throw. */
  get hasRoom(): boolean {
    return !this.#stream.writableNeedDrain && !this.#stream.destroyed;
  }

  /** Sends a frame whose payload is JSON. */
  sendJson(type: number, value: unknown): void {
    const text = JSON.stringify(value);
    const length = Buffer.byteLength(text);
    const frame = this.reserve(FRAME_HEAD + length);
    frame.writeUInt32BE(headOf(type, length));
    frame.write(text, FRAME_HEAD);
    this.advance(FRAME_HEAD + length);
  }

  /** Sends a frame. A large payload must not be changed afterwards. */
  send(type: number, payload?: Buffer): void {
    const length = payload?.length ?? 0;
    const isLarge = length >= LARGE_PAYLOAD;
    const frame = this.reserve(FRAME_HEAD + (isLarge ? 0 : length));
    frame.writeUInt32BE(headOf(type, length));
    if (!isLarge) payload?.copy(frame, FRAME_HEAD);
    this.advance(frame.length);
    if (isLarge) this.write(payload!);
  }

  /** Sends bytes that are frames, without copying them. They must not be changed afterwards. */
  write(bytes: Buffer): void {
    this.#stream.cork();
    this.flush();
    if (!this.#stream.destroyed) this.#stream.write(bytes);
    this.#stream.uncork();
  }

  /** A place for so many bytes of frames, to be filled in this turn; {@link FrameWriter.advance} says how much of it was. */
  reserve(bytes: number): Buffer {
    if (this.#to - this.#from + bytes > GATHERED_BYTES) this.flush();
    if (this.#block.length - this.#to < bytes) {
      this.flush();
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_BYTES, bytes));
      this.#from = this.#to = 0;
    }
    return this.#block.subarray(this.#to, this.#to + bytes);
  }

  /** Sends the first bytes of the place that was reserved. */
  advance(bytes: number): void {
    this.#to += bytes;
    if (this.#to - this.#from >= GATHERED_BYTES) return this.flush();
    if (this.#isDue) return;
    this.#isDue = true;
    const flush = () => {
      this.#isDue = false;
      this.flush();
    };
    if (performance.now() - this.#lastWriteMs < HOLD_MS) setTimeout(flush, HOLD_MS);
    else setImmediate(flush);
  }

  /** Hands on what was gathered. */
  flush(): void {
    if (this.#to === this.#from) return;
    const bytes = this.#block.subarray(this.#from, this.#to);
    this.#from = this.#to;
    this.#lastWriteMs = performance.now();
    if (!this.#stream.destroyed) this.#stream.write(bytes);
  }

  /** Waits until the stream takes more. @throws TowlineError what broke it. */
  async room(): Promise<void> {
    while (this.#stream.writableNeedDrain && !this.#stream.destroyed) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#stream.destroyed) throw toTowlineError(this.#stream.errored ?? new Error('the stream was closed'));
  }

  /** Sends what is left and ends the stream. */
  async end(): Promise<void> {
    this.flush();
    await new Promise<void>((resolve) => {
      if (this.#stream.destroyed) return resolve();
      this.#stream.once('close', resolve);
      this.#stream.end(resolve);
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
