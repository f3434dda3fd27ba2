import type { Duplex } from 'node:stream';
import { TowlineError } from '../errors/towline-error.ts';
import { INITIAL_SESSION_WINDOW, SESSION_MESSAGE_HEADROOM } from '../limits.ts';
import { encodeHead, frameLength } from './frames.ts';

/** A frame of fewer bytes is cheaper to copy into one buffer than to write in two pieces. */
const COPY_BELOW_BYTES = 4_096;

interface Waiting {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly done: (error?: Error) => void;
}

/**
 * Sends the numbered frames of one direction, within what the receiver allows and at the pace of the stream. Data goes
 * in order; a message goes before data that waits, so that a signal reaches a program that does not read.
 */
export class SessionSender {
  readonly #stream: Duplex;
  readonly #data: Waiting[] = [];
  readonly #messages: Waiting[] = [];
  #position = 0;
  #acknowledged = 0;
  #allowed = INITIAL_SESSION_WINDOW;
  #blocked = false;
  #failure: TowlineError | null = null;
  #onAcknowledged: (() => void) | null = null;

  constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on('drain', () => {
      this.#blocked = false;
      this.#pump();
    });
  }

  /** Queues data or the end of a channel; `done` is called once it was handed to the stream. */
  sendData(type: number, payload: Uint8Array, done: (error?: Error) => void): void {
    this.#queue(this.#data, { type, payload, done });
  }

  /** Queues a message; it may pass data that waits. */
  sendMessage(type: number, payload: Uint8Array, done: (error?: Error) => void): void {
    this.#queue(this.#messages, { type, payload, done });
  }

  /** The peer has everything up to `received` and takes data up to `allowed`. @throws TowlineError `protocol_error` for positions that cannot be. */
  acknowledge(received: number, allowed: number): void {
    if (received < this.#acknowledged || received > this.#position) {
      throw new TowlineError('protocol_error', 'The peer acknowledged bytes that were not sent.');
    }
    if (allowed < this.#allowed || !Number.isSafeInteger(allowed))
      throw new TowlineError('protocol_error', 'The peer took back what it had allowed.');
    this.#acknowledged = received;
    this.#allowed = allowed;
    this.#pump();
    this.#onAcknowledged?.();
  }

  /**
   * Calls back once everything sent so far has been acknowledged, in the same turn: the end of the stream may
   * be the very next event. With an error when the session fails before.
   */
  whenAcknowledged(callback: (error: TowlineError | null) => void): void {
    this.#onAcknowledged = () => {
      if (!this.#failure && (this.#acknowledged !== this.#position || this.#data.length + this.#messages.length > 0)) return;
      this.#onAcknowledged = null;
      callback(this.#failure);
    };
    this.#onAcknowledged();
  }

  /** Nothing more can be sent: whoever waits is told. */
  fail(error: TowlineError): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const { done } of [...this.#messages.splice(0), ...this.#data.splice(0)]) done(error);
    this.#onAcknowledged?.();
  }

  #queue(queue: Waiting[], frame: Waiting): void {
    if (this.#failure) return frame.done(this.#failure);
    queue.push(frame);
    this.#pump();
  }

  #pump(): void {
    while (!this.#blocked && !this.#failure) {
      const next = this.#takeFrom(this.#messages, SESSION_MESSAGE_HEADROOM) ?? this.#takeFrom(this.#data, 0);
      if (next === null) return;
      this.#position += frameLength(next.payload.length);
      this.#blocked = !this.#write(next);
      next.done();
    }
  }

  #takeFrom(queue: Waiting[], headroom: number): Waiting | null {
    const first = queue[0];
    if (first === undefined || this.#position + frameLength(first.payload.length) > this.#allowed + headroom) return null;
    return queue.shift()!;
  }

  #write({ type, payload }: Waiting): boolean {
    const head = encodeHead(type, payload.length);
    if (payload.length < COPY_BELOW_BYTES) return this.#stream.write(Buffer.concat([head, payload]));
    this.#stream.cork();
    this.#stream.write(head);
    const more = this.#stream.write(payload);
    this.#stream.uncork();
    return more;
  }
}
