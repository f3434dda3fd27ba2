import type { Writable } from 'node:stream';
import { encodeJson, toTowlineError } from '@towline/protocol';
import { encodeHead } from './frames.ts';

/** Bytes of small frames that are gathered before they are written: many small frames as one write. */
const GATHERED_BYTES = 65_536;
/** Frames below this are gathered; a larger payload is written without being copied. */
const SMALL_PAYLOAD = 16_384;

/** Writes frames, many small ones at once. Whoever has much to say waits for {@link FrameWriter.room} before each frame. */
export class FrameWriter {
  readonly #stream: Writable;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #isDue = false;
  #waiting: (() => void)[] = [];

  constructor(stream: Writable) {
    this.#stream = stream;
    for (const event of ['drain', 'close', 'error']) stream.on(event, () => this.#wake());
  }

  /** Whether nothing reaches the peer any more. */
  get isBroken(): boolean {
    return this.#stream.destroyed;
  }

  /** Sends a frame whose payload is JSON. */
  sendJson(type: number, value: unknown): void {
    this.send(type, encodeJson(value));
  }

  /** Sends a frame. A large payload must not be changed afterwards. */
  send(type: number, payload: Buffer = Buffer.alloc(0)): void {
    this.#gather(encodeHead(type, payload.length));
    if (payload.length < SMALL_PAYLOAD) return this.#gather(payload);
    this.flush();
    this.#stream.write(payload);
  }

  /** Hands on what was gathered. */
  flush(): void {
    if (this.#gatheredBytes === 0) return;
    const bytes = this.#gathered.length === 1 ? this.#gathered[0]! : Buffer.concat(this.#gathered);
    this.#gathered = [];
    this.#gatheredBytes = 0;
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

  #gather(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes >= GATHERED_BYTES) return this.flush();
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.flush();
    });
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
