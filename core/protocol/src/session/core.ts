import type { Duplex, Readable, Writable } from 'node:stream';
import { isTowlineError, TowlineError } from '../errors/towline-error.ts';
import type { SessionId } from '../ids.ts';
import { decodeJson, encodeJson, type JsonObject } from '../json.ts';
import { ChannelInputs, ChannelOutputs } from './channels.ts';
import { encodeAck, type FrameSink, MAX_SESSION_MESSAGE, SessionDecoder, SessionFrame } from './frames.ts';
import { SessionReceiveWindow } from './receive-window.ts';
import { SessionSender } from './sender.ts';

/** Messages held until somebody listens: a few resizes and a signal. */
const MAX_EARLY_MESSAGES = 64;

/** What differs between the two ends of a session. */
export interface SessionRole {
  /** The peer sent its result; everything before it was delivered. */
  onResult(bytes: Buffer): void;
  /** The session is over without a result having been agreed on. Called once. */
  onBroken(error: TowlineError): void;
}

/** The mechanism that both ends of a session share: channels, messages, positions, and the end of the stream. */
export class SessionCore {
  readonly id: SessionId;
  readonly inputs: ChannelInputs;
  readonly outputs: ChannelOutputs;
  readonly sender: SessionSender;
  readonly #stream: Duplex;
  readonly #role: SessionRole;
  readonly #decoder: SessionDecoder;
  readonly #abort = new AbortController();
  readonly #early: JsonObject[] = [];
  readonly #window = new SessionReceiveWindow();
  #listener: ((message: JsonObject) => void) | null = null;
  #bytesIn = 0;
  #acknowledged = 0;
  #over = false;

  constructor(stream: Duplex, id: SessionId, role: SessionRole) {
    this.id = id;
    this.#stream = stream;
    this.#role = role;
    this.sender = new SessionSender(stream);
    this.inputs = new ChannelInputs(() => this.#allowMore());
    this.outputs = new ChannelOutputs(this.sender);
    this.#decoder = new SessionDecoder(this.#frames());
    stream.on('data', (bytes: Buffer) => this.#take(bytes));
    stream.on('end', () => this.break(broken()));
    stream.on('error', (error) => this.break(isTowlineError(error) ? error : broken(error)));
    stream.on('close', () => this.break(broken()));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Bytes of content received so far. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  input(channel: number): Readable {
    return this.inputs.get(channel);
  }

  output(channel: number): Writable {
    return this.outputs.get(channel);
  }

  send(message: JsonObject): Promise<void> {
    return this.sendJson(SessionFrame.message, message);
  }

  sendJson(type: number, value: unknown): Promise<void> {
    const bytes = encodeJson(value);
    if (bytes.length > MAX_SESSION_MESSAGE) return Promise.reject(new TowlineError('too_large', 'A message of a session is too large.'));
    return new Promise((resolve, reject) => this.sender.sendMessage(type, bytes, (error) => (error ? reject(error) : resolve())));
  }

  onMessage(listener: (message: JsonObject) => void): void {
    this.#listener = listener;
    for (const message of this.#early.splice(0)) listener(message);
  }

  /** Tells the peer how far its direction has been taken in. */
  acknowledge(): void {
    if (this.#stream.writable) {
      this.#acknowledged = this.#decoder.position;
      this.#stream.write(encodeAck(this.#acknowledged, this.#window.allowed));
    }
  }

  /** The session is complete: ends the stream cleanly. */
  complete(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    const over = new TowlineError('session_ended', 'The session is complete.');
    this.sender.fail(over);
    this.outputs.fail(over);
    this.inputs.end(null);
    this.#stream.end();
    this.#abort.abort(reason);
  }

  /** The session is over without being complete. */
  break(error: TowlineError): void {
    if (this.#over) return;
    this.#over = true;
    this.sender.fail(error);
    this.inputs.end(error);
    this.outputs.fail(error);
    if (!this.#stream.destroyed) this.#stream.destroy(error);
    this.#role.onBroken(error);
    this.#abort.abort(error);
  }

  #take(bytes: Buffer): void {
    if (this.#over) return;
    try {
      this.#decoder.push(bytes);
      this.#window.check(this.#decoder.position);
    } catch (error) {
      this.break(isTowlineError(error) ? error : new TowlineError('internal', undefined, { cause: error }));
      return;
    }
    this.#allowMore();
  }

  #allowMore(): void {
    if (!this.#over && this.#window.update(this.#decoder.position, this.inputs.heldBytes)) this.acknowledge();
  }

  #frames(): FrameSink {
    return {
      data: (channel, bytes) => {
        this.#bytesIn += bytes.length;
        this.inputs.deliver(channel, bytes);
      },
      ack: (received, allowed) => this.sender.acknowledge(received, allowed),
      message: (bytes) => this.#deliverMessage(bytes),
      fin: (channel) => this.inputs.finish(channel),
      result: (bytes) => this.#role.onResult(bytes),
    };
  }

  #deliverMessage(bytes: Buffer): void {
    const message = decodeJson(bytes, MAX_SESSION_MESSAGE);
    if (typeof message !== 'object' || message === null || Array.isArray(message)) {
      throw new TowlineError('protocol_error', 'The peer sent a message of a session that is not an object.');
    }
    if (this.#listener) return this.#listener(message as JsonObject);
    if (this.#early.length >= MAX_EARLY_MESSAGES) throw new TowlineError('protocol_error', 'The peer sent too many messages at once.');
    this.#early.push(message as JsonObject);
  }
}

function broken(cause?: unknown): TowlineError {
  return new TowlineError('session_broken', undefined, { cause });
}
