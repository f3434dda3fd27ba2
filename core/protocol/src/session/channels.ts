import { Readable, Writable } from 'node:stream';
import { TowlineError } from '../errors/towline-error.ts';
import { MAX_SESSION_PAYLOAD } from '../limits.ts';
import { MAX_CHANNEL, SessionFrame } from './frames.ts';
import type { SessionSender } from './sender.ts';

/** Bytes a channel holds for a reader that is not ready: a few pipe reads. */
const CHANNEL_BUFFER = 262_144;

/** The readable ends of a session's channels. Made when first asked for or first needed. */
export class ChannelInputs {
  readonly #inputs = new Map<number, Readable>();
  readonly #finished = new Set<number>();
  readonly #full = new Set<number>();
  readonly #onRoom: () => void;
  #over: { readonly error: TowlineError | null } | null = null;
  #discarding = false;

  /** `onRoom` is called when every channel has room again. */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  get(channel: number): Readable {
    checkChannel(channel);
    const known = this.#inputs.get(channel);
    if (known) return known;
    const input = new Readable({ highWaterMark: CHANNEL_BUFFER, read: () => this.#hasRoom(channel) });
    input.on('error', () => {});
    this.#inputs.set(channel, input);
    if (this.#over) endInput(input, this.#over.error);
    return input;
  }

  /** Delivers bytes. False when a channel is full: deliver no more until `onRoom`. */
  deliver(channel: number, bytes: Buffer): boolean {
    if (this.#finished.has(channel)) throw new TowlineError('protocol_error', `The peer sent data on channel ${channel} after its end.`);
    const input = this.get(channel);
    if (this.#discarding || this.#over) return true;
    if (!input.destroyed && !input.push(bytes)) this.#full.add(channel);
    return this.#full.size === 0;
  }

  finish(channel: number): void {
    const input = this.get(channel);
    if (this.#finished.has(channel)) throw new TowlineError('protocol_error', `The peer ended channel ${channel} twice.`);
    this.#finished.add(channel);
    if (!this.#over) input.push(null);
  }

  /** Drops whatever still comes: nobody will read it, and it must not hold up what follows. */
  discard(): void {
    this.#discarding = true;
    this.#full.clear();
    this.#onRoom();
  }

  /** Ends all channels: cleanly, or with an error those that have not ended. */
  end(error: TowlineError | null): void {
    if (this.#over) return;
    this.#over = { error };
    this.#full.clear();
    for (const [channel, input] of this.#inputs) if (!this.#finished.has(channel)) endInput(input, error);
  }

  #hasRoom(channel: number): void {
    if (this.#full.delete(channel) && this.#full.size === 0) this.#onRoom();
  }
}

/** The writable ends of a session's channels. */
export class ChannelOutputs {
  readonly #outputs = new Map<number, Writable>();
  readonly #sender: SessionSender;
  #bytes = 0;
  #failure: TowlineError | null = null;

  constructor(sender: SessionSender) {
    this.#sender = sender;
  }

  /** Bytes of content handed to the stream so far. */
  get bytes(): number {
    return this.#bytes;
  }

  get(channel: number): Writable {
    checkChannel(channel);
    const known = this.#outputs.get(channel);
    if (known) return known;
    const output = new Writable({
      highWaterMark: MAX_SESSION_PAYLOAD,
      write: (chunk: Buffer, _encoding, done) => this.#send(channel, chunk, done),
      final: (done) => this.#sender.send(SessionFrame.fin, Uint8Array.of(channel), done),
    });
    output.on('error', () => {});
    this.#outputs.set(channel, output);
    if (this.#failure) output.destroy(this.#failure);
    return output;
  }

  /** Ends every channel that was used and waits until all its data was handed on. */
  async finish(): Promise<void> {
    await Promise.all(
      [...this.#outputs.values()].map(
        (output) =>
          new Promise<void>((resolve) => {
            if (output.destroyed || output.writableFinished) return resolve();
            output.once('close', resolve);
            output.end();
          }),
      ),
    );
  }

  fail(error: TowlineError): void {
    this.#failure ??= error;
    for (const output of this.#outputs.values()) if (!output.writableFinished) output.destroy(error);
  }

  #send(channel: number, chunk: Buffer, done: (error?: Error | null) => void): void {
    const part = chunk.length <= MAX_SESSION_PAYLOAD ? chunk : chunk.subarray(0, MAX_SESSION_PAYLOAD);
    if (part.length === 0) return done();
    this.#bytes += part.length;
    this.#sender.send(SessionFrame.data + channel, part, (error) => {
      if (error || part.length === chunk.length) done(error);
      else this.#send(channel, chunk.subarray(part.length), done);
    });
  }
}

function endInput(input: Readable, error: TowlineError | null): void {
  if (error) input.destroy(error);
  else input.push(null);
}

function checkChannel(channel: number): void {
  if (!Number.isInteger(channel) || channel < 0 || channel > MAX_CHANNEL) throw new RangeError(`no channel ${channel}`);
}
