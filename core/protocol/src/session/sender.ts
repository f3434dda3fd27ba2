import type { Duplex } from 'node:stream';
import { TowlineError } from '../errors/towline-error.ts';
import { SESSION_WINDOW } from '../limits.ts';
import { encodeHead, frameLength } from './frames.ts';

interface Waiting {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly done: (error?: Error) => void;
}

/** Sends the numbered frames of one direction in order, within the window and at the pace of the stream. */
export class SessionSender {
  readonly #stream: Duplex;
  readonly #queue: Waiting[] = [];
  #position = 0;
  #acknowledged = 0;
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

  /** Queues a frame; `done` is called once it was handed to the stream. */
  send(type: number, payload: Uint8Array, done: (error?: Error) => void): void {
    if (this.#failure) return done(this.#failure);
    this.#queue.push({ type, payload, done });
    this.#pump();
  }

  /** The peer has everything up to `position`. @throws TowlineError `protocol_error` for a position it cannot have. */
  acknowledge(position: number): void {
    if (position < this.#acknowledged || position > this.#position) {
      throw new TowlineError('protocol_error', 'The peer acknowledged bytes that were not sent.');
    }
    this.#acknowledged = position;
    this.#pump();
    this.#onAcknowledged?.();
  }

  /**
   * Calls back once everything sent so far has been acknowledged, in the same turn: the end of the stream may
   * be the very next event. With an error when the session fails before.
   */
  whenAcknowledged(callback: (error: TowlineError | null) => void): void {
    this.#onAcknowledged = () => {
      if (!this.#failure && (this.#acknowledged !== this.#position || this.#queue.length > 0)) return;
      this.#onAcknowledged = null;
      callback(this.#failure);
    };
    this.#onAcknowledged();
  }

  /** Nothing more can be sent: whoever waits is told. */
  fail(error: TowlineError): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const { done } of this.#queue.splice(0)) done(error);
    this.#onAcknowledged?.();
  }

  #pump(): void {
    while (!this.#blocked && !this.#failure) {
      const next = this.#queue[0];
      if (next === undefined) return;
      const length = frameLength(next.payload.length);
      if (this.#position - this.#acknowledged + length > SESSION_WINDOW) return;
      this.#queue.shift();
      this.#position += length;
      this.#blocked = !this.#write(next);
      next.done();
    }
  }

  #write({ type, payload }: Waiting): boolean {
    this.#stream.cork();
    const room = this.#stream.write(encodeHead(type, payload.length));
    const more = payload.length === 0 ? room : this.#stream.write(payload);
    this.#stream.uncork();
    return more;
  }
}
