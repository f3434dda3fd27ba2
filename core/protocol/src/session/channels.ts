import { Writable } from 'node:stream';
import { TowlineError } from '../errors/towline-error.ts';
import { MAX_SESSION_PAYLOAD } from '../limits.ts';
import { ChannelInput } from './channel-input.ts';
import { MAX_CHANNEL, SessionFrame } from './frames.ts';
import type { SessionSender } from './sender.ts';

/** The readable ends of a session's channels. Made when first asked for or first needed. */
export class ChannelInputs {
  readonly #inputs = new Map<number, ChannelInput>();
  readonly #onRead: () => void;
  #over: { readonly error: TowlineError | null } | null = null;
  #discarding = false;

  /** `onRead` is called when a reader has taken something. */
  constructor(onRead: () => void) {
    this.#onRead = onRead;
  }

  /** Bytes that wait for readers, all channels together. */
  get heldBytes(): number {
    let bytes = 0;
    for (const input of this.#inputs.values()) bytes += input.heldBytes;
    return bytes;
  }

  get(channel: number): ChannelInput {
    checkChannel(channel);
    const known = this.#inputs.get(channel);
    if (known) return known;
    const input = new ChannelInput(this.#onRead);
    this.#inputs.set(channel, input);
    if (this.#over) input.finish(this.#over.error);
    return input;
  }

  /** @throws TowlineError `protocol_error` for data after the end of its channel. */
  deliver(channel: number, bytes: Buffer): void {
    if (this.#over) return;
    const input = this.get(channel);
    if (input.ended) throw new TowlineError('protocol_error', `The peer sent data on channel ${channel} after its end.`);
    if (!this.#discarding) input.deliver(bytes);
  }

  /** @throws TowlineError `protocol_error` when the channel has ended before. */
  finish(channel: number): void {
    if (this.#over) return;
    const input = this.get(channel);
    if (input.ended) throw new TowlineError('protocol_error', `The peer ended channel ${channel} twice.`);
    input.finish(null);
  }

  /** Drops what waits and whatever still comes: nobody will read it. */
  discard(): void {
    this.#discarding = true;
    for (const input of this.#inputs.values()) input.discard();
    this.#onRead();
  }

  /** Ends all channels after what was received: cleanly, or with an error those that have not ended. */
  end(error: TowlineError | null): void {
    if (this.#over) return;
    this.#over = { error };
    for (const input of this.#inputs.values()) input.finish(error);
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
      final: (done) => this.#sender.sendData(SessionFrame.fin, Uint8Array.of(channel), done),
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
    this.#sender.sendData(SessionFrame.data + channel, part, (error) => {
      if (error || part.length === chunk.length) done(error);
      else this.#send(channel, chunk.subarray(part.length), done);
    });
  }
}

function checkChannel(channel: number): void {
  if (!Number.isInteger(channel) || channel < 0 || channel > MAX_CHANNEL) throw new RangeError(`no channel ${channel}`);
}
