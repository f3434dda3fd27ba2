import type { Duplex } from 'node:stream';
import { encodeCredit } from '@towline/protocol';

/**
 * Feeding stops when the socket holds this many bytes: enough for one write of the system to be worth its
 * cost, little enough that what is urgent waits for no more than that.
 */
const SOCKET_MARK_BYTES = 65_536;
/** Control frames a peer can cause and not read: above it the peer floods. */
const MAX_CONTROL_BYTES = 262_144;

/** A stream that has something to send. */
export interface Sender {
  readonly id: number;
  /** Whether there is anything that may be sent now. */
  readonly ready: boolean;
  /** Writes at most one frame with data, and what belongs before and after it. */
  takeTurn(write: (bytes: Buffer) => void): void;
}

/**
 * The sending side of a link. Control frames and credit go first, then the streams that have something to send,
 * one frame each in turn. Little is queued in the socket, so that turns are what decides who waits.
 */
export class SendQueue {
  readonly #socket: Duplex;
  readonly #onOverflow: () => void;
  readonly #markBytes: number;
  readonly #ready = new Set<Sender>();
  readonly #grants = new Map<number, number>();
  #control: Buffer[] = [];
  #controlBytes = 0;
  #bytesOut = 0;
  #scheduled = false;
  #sending = false;
  #ended = false;
  #onIdle: (() => void) | null = null;

  constructor(socket: Duplex, onOverflow: () => void) {
    this.#socket = socket;
    this.#onOverflow = onOverflow;
    // At or above its own mark a socket promises a `drain`, which is what this waits for.
    this.#markBytes = Math.max(SOCKET_MARK_BYTES, socket.writableHighWaterMark);
    socket.on('drain', this.#flush);
  }

  /** Bytes handed to the socket. */
  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Sends a small frame before any waiting data. */
  control(frame: Buffer): void {
    if (this.#ended) return;
    this.#control.push(frame);
    this.#controlBytes += frame.length;
    if (this.#controlBytes > MAX_CONTROL_BYTES) this.#onOverflow();
    else this.#schedule();
  }

  /** Sends credit; what was not sent yet for the same stream is added up. */
  grant(stream: number, bytes: number): void {
    this.#grants.set(stream, (this.#grants.get(stream) ?? 0) + bytes);
    this.#schedule();
  }

  /** Gives a stream a turn, behind those that wait already. */
  join(sender: Sender): void {
    this.#ready.add(sender);
    this.#schedule();
  }

  /** Takes a stream out; credit for it that was not sent is dropped. */
  leave(sender: Sender): void {
    this.#ready.delete(sender);
    this.#grants.delete(sender.id);
  }

  /** Calls back once when nothing that may be sent is waiting. */
  whenIdle(callback: () => void): void {
    this.#onIdle = callback;
    this.#schedule();
  }

  /** Drops what waits, sends a last frame and ends the socket's writing side. */
  end(lastFrame: Buffer | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#control = [];
    this.#grants.clear();
    this.#ready.clear();
    this.#onIdle = null;
    if (lastFrame) this.#write(lastFrame);
    if (!this.#socket.destroyed) this.#socket.end();
  }

  #schedule(): void {
    if (this.#scheduled || this.#sending || this.#ended) return;
    this.#scheduled = true;
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#scheduled = false;
    if (this.#ended || this.#sending) return;
    this.#sending = true;
    this.#socket.cork();
    this.#sendControl();
    this.#sendTurns();
    this.#socket.uncork();
    this.#sending = false;
    // Users who are told that their bytes went out may read then, or reset. A full socket calls back by itself.
    if (this.#control.length + this.#grants.size > 0 && !this.#socketFull()) this.#schedule();
    this.#reportIdle();
  };

  #sendControl(): void {
    if (this.#socketFull()) return;
    for (const [stream, bytes] of this.#grants) this.#write(encodeCredit(stream, bytes));
    this.#grants.clear();
    for (const frame of this.#control) this.#write(frame);
    this.#control = [];
    this.#controlBytes = 0;
  }

  /** A set is walked in the order of joining, and who joins again meanwhile comes last: that is the turn. */
  #sendTurns(): void {
    for (const sender of this.#ready) {
      if (this.#ended || this.#socketFull()) return;
      this.#ready.delete(sender);
      sender.takeTurn(this.#write);
      if (sender.ready && !this.#ended) this.#ready.add(sender);
    }
  }

  #reportIdle(): void {
    const onIdle = this.#onIdle;
    if (!onIdle || this.#ready.size > 0 || this.#control.length > 0 || this.#grants.size > 0) return;
    this.#onIdle = null;
    onIdle();
  }

  #socketFull(): boolean {
    return this.#socket.writableLength >= this.#markBytes;
  }

  readonly #write = (bytes: Buffer): void => {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    this.#bytesOut += bytes.length;
    this.#socket.write(bytes);
  };
}
