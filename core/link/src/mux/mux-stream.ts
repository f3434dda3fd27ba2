import { Duplex } from 'node:stream';
import type { ByteStream } from '@towline/contract';
import {
  encodeFin,
  encodeOpen,
  INITIAL_STREAM_CREDIT,
  MAX_CREDIT,
  MAX_FRAME_PAYLOAD,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import { Inbox } from './inbox.ts';
import { Outbox, type WriteDone } from './outbox.ts';
import { ReceiveWindow, type WindowHost } from './receive-window.ts';
import type { Sender } from './send-queue.ts';

/** Bytes a writer may hand over before it is told to wait. */
const WRITE_MARK_BYTES = 131_072;

/** What a stream needs from its link. */
export interface StreamHost extends WindowHost {
  /** While the link says goodbye, writers that have not ended are not asked for more. */
  readonly closing: boolean;
  /** The stream has something to send. */
  join(stream: MuxStream): void;
  grant(stream: number, bytes: number): void;
  /** The bytes held for readers changed by so many. */
  unreadChanged(bytes: number): void;
  /** The stream was destroyed on this side. `error` is for the peer when the stream was not complete. */
  left(stream: MuxStream, error: Error | null): void;
}

const NOTHING = Buffer.alloc(0);
const ignoreError = () => {};

/** One byte stream of a link; see {@link ByteStream} for what its users may rely on. */
export class MuxStream extends Duplex implements ByteStream, Sender {
  readonly id: number;
  readonly head: Buffer;
  readonly #host: StreamHost;
  readonly #window: ReceiveWindow;
  readonly #inbox = new Inbox();
  readonly #outbox = new Outbox();
  #announced: boolean;
  #credit = INITIAL_STREAM_CREDIT;
  #finWanted: WriteDone | null = null;
  #finSent = false;
  #finReceived = false;
  #endPushed = false;
  #readerWaits = false;
  #handedToReader = 0;
  #detached = false;
  #leadsTo: MuxStream | null = null;
  #ledBy: MuxStream | null = null;
  #isHeld = false;

  constructor(host: StreamHost, identity: { readonly id: number; readonly head: Buffer; readonly announced: boolean }) {
    // The readable side of Node holds one chunk at most; what else arrives waits in the inbox, where memory is counted.
    super({ allowHalfOpen: true, readableHighWaterMark: 1, writableHighWaterMark: WRITE_MARK_BYTES });
    this.#host = host;
    this.#window = new ReceiveWindow(host);
    this.id = identity.id;
    this.head = identity.head;
    this.#announced = identity.announced;
    // A peer's RESET must not end this process because nobody listens.
    this.on('error', ignoreError);
  }

  /** Whether the peer was told of this stream. */
  get announced(): boolean {
    return this.#announced;
  }

  /** Whether both directions came to a clean end. */
  get complete(): boolean {
    return this.#finSent && this.#finReceived;
  }

  /** Whether all that the peer sends, its end too, has arrived. */
  get isReceived(): boolean {
    return this.#finReceived;
  }

  /** Bytes that arrived and were not handed to the reader. */
  get waitingBytes(): number {
    return this.#inbox.bytes;
  }

  /** Bytes that arrived and nobody read. */
  get unreadBytes(): number {
    return this.#inbox.bytes + this.#handedToReader;
  }

  /** Bytes the peer may still send. */
  get creditLeft(): number {
    return this.#finReceived ? 0 : this.#window.allowed;
  }

  // Towards the peer

  get ready(): boolean {
    if (this.destroyed) return false;
    return !this.#announced || (this.#outbox.bytes > 0 ? this.#mayFill : this.#finWanted !== null);
  }

  /** Asks for a turn that tells the peer of this stream. */
  announce(): void {
    this.#host.join(this);
  }

  takeTurn(write: (bytes: Buffer) => void): void {
    if (!this.#announced) {
      this.#announced = true;
      write(encodeOpen(this.id, this.head));
    }
    if (this.#outbox.bytes > 0 && this.#mayFill) this.#sendData(write);
    if (this.#outbox.bytes === 0 && this.#finWanted) this.#sendFin(write);
  }

  /** Takes credit in. @throws TowlineError `protocol_error` when it exceeds what a stream can hold. */
  receiveCredit(bytes: number): void {
    if (this.#credit + bytes > MAX_CREDIT)
      throw new TowlineError('protocol_error', `The peer granted too much credit on stream ${this.id}.`);
    this.#credit += bytes;
    if (this.ready) this.#host.join(this);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteDone): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: WriteDone): void {
    this.#finWanted = done;
    this.#host.join(this);
  }

  #send(chunks: readonly Buffer[], done: WriteDone): void {
    this.#outbox.put(chunks, done);
    if (this.#outbox.bytes === 0) this.#settleWrite();
    else if (this.ready) this.#host.join(this);
  }

  /** Whether the credit is enough for a whole frame. Less than that is not worth sending: the peer owes the rest before half of its window is read. */
  get #mayFill(): boolean {
    return this.#credit >= Math.min(this.#outbox.bytes, MAX_FRAME_PAYLOAD);
  }

  #sendData(write: (bytes: Buffer) => void): void {
    const size = Math.min(this.#outbox.bytes, MAX_FRAME_PAYLOAD);
    this.#credit -= size;
    this.#outbox.writeFrame(this.id, size, write);
    if (this.#outbox.bytes === 0 && (!this.#host.closing || this.#mayEnd)) this.#settleWrite();
  }

  /** Whether all that is still to be written is known here: while the link says goodbye, nobody else is asked for more. */
  get #mayEnd(): boolean {
    return this.writableEnded || this.#ledBy?.isReceived === true;
  }

  #sendFin(write: (bytes: Buffer) => void): void {
    const done = this.#finWanted!;
    this.#finWanted = null;
    this.#finSent = true;
    write(encodeFin(this.id));
    this.#guard(done);
  }

  #settleWrite(): void {
    const done = this.#outbox.takeDone();
    if (done) this.#guard(done);
  }

  // From the peer

  /** Takes data in; {@link deliver} hands it on. @throws TowlineError `protocol_error` without credit or after FIN. */
  receive(bytes: Buffer): void {
    if (this.#finReceived) throw new TowlineError('protocol_error', `The peer sent data after the end of stream ${this.id}.`);
    if (!this.#window.arrived(bytes.length)) throw new TowlineError('protocol_error', `The peer exceeded its credit on stream ${this.id}.`);
    this.#inbox.append(bytes);
    this.#host.unreadChanged(bytes.length);
  }

  /** Takes the clean end in. @throws TowlineError `protocol_error` when it was there before. */
  receiveFin(): void {
    if (this.#finReceived) throw new TowlineError('protocol_error', `The peer ended stream ${this.id} twice.`);
    this.#finReceived = true;
  }

  /**
   * Sends what is received on to another stream from now on, at its pace, and ends it where this one ends: what reading here and writing
   * there would do, without a copy. Nobody else may read here or write there. False when somebody reads already, or has seen the end.
   */
  leadTo(other: MuxStream): boolean {
    if (this.listenerCount('data') > 0 || this.#endPushed || other.writableEnded) return false;
    this.#isHeld = true;
    const left: Buffer | null = this.readableLength > 0 ? this.read() : null;
    this.#isHeld = false;
    this.#leadsTo = other;
    other.#ledBy = this;
    // What a reader left goes first, behind what a writer left there.
    if (left === null && other.writableLength === 0) this.deliver();
    else other.write(left ?? NOTHING, () => this.deliver());
    return true;
  }

  /** Hands received bytes to the reader as far as it takes them. */
  deliver(): void {
    if (this.#isHeld) return;
    this.#guard(() => {
      if (this.#leadsTo) return this.#lead(this.#leadsTo);
      while (!this.destroyed && (this.#readerWaits || this.readableLength === 0) && this.#deliverChunk()) {
        if (this.readableLength === 0) this.#countRead();
      }
    });
  }

  /** Behind a write there, which calls back; by turns from then on. */
  #lead(other: MuxStream): void {
    while (!this.destroyed && !other.destroyed && other.#outbox.isFree && other.writableLength === 0) {
      const chunks = this.#inbox.shiftChunks();
      if (chunks.length === 0) return this.#leadEnd(other);
      for (const { length } of chunks) this.#handedToReader += length;
      this.#countRead();
      other.#send(chunks, () => this.deliver());
    }
  }

  #leadEnd(other: MuxStream): void {
    if (!this.#finReceived || this.#endPushed) return;
    this.#deliverEnd();
    this.resume();
    other.end();
  }

  override _read(): void {
    this.#readerWaits = true;
    this.#countRead();
    this.deliver();
  }

  #deliverChunk(): boolean {
    const chunk = this.#inbox.shift();
    if (!chunk) return this.#deliverEnd();
    this.#readerWaits = false;
    this.#handedToReader += chunk.length;
    this.push(chunk);
    return true;
  }

  #deliverEnd(): false {
    if (this.#finReceived && !this.#endPushed) {
      this.#endPushed = true;
      this.push(null);
    }
    return false;
  }

  #countRead(): void {
    const bytes = this.#handedToReader;
    if (bytes === 0) return;
    this.#handedToReader = 0;
    this.#host.unreadChanged(-bytes);
    if (this.#finReceived || this.#detached) return;
    const granted = this.#window.read(bytes, performance.now());
    if (granted > 0) this.#host.grant(this.id, granted);
  }

  // The end

  /**
   * Ends the stream without a word to the peer, which reset it or is gone. What came to a clean end in both
   * directions stays readable; a reader that has everything up to the FIN still sees its end first.
   */
  detach(error: TowlineError): void {
    this.#detached = true;
    if (this.complete) return;
    const endIsDue = this.#endPushed && !this.readableEnded && this.readableLength === 0;
    if (endIsDue) setImmediate(() => this.destroy(error));
    else this.destroy(error);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const done = this.#outbox.takeDone();
    this.#host.unreadChanged(-this.unreadBytes);
    this.#inbox.clear();
    this.#outbox.clear();
    this.#handedToReader = 0;
    if (!this.#detached) this.#host.left(this, error);
    this.#window.close();
    callback(error);
    done?.(error ?? new TowlineError('cancelled'));
  }

  /** Runs what may call this stream's users. Their mistakes end this stream, never its link. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.destroy(toTowlineError(error));
    }
  }
}
