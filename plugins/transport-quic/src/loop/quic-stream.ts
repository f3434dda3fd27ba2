import { Duplex } from 'node:stream';
import type { ByteStream } from '@towline/contract';
import {
  ERRORS,
  type ErrorCode,
  errorCodeOfWire,
  INITIAL_STREAM_CREDIT,
  isTowlineError,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import { type NativeConnection, SHUTDOWN } from '../binding/quiche.ts';
import { nativeFault } from './native-error.ts';
import { MAX_STREAM_WINDOW } from './quic-config.ts';

type Done = (error?: Error | null) => void;

/** Bytes a writer may hand over before it is told to wait. */
const WRITE_MARK_BYTES = 65_536;
/** Bytes of one stream that go to quiche in one turn, so that the others get theirs. */
const TURN_BYTES = 65_536;
/** What is read at once; the bytes are copied out of it, as they are read into it for one stream after the other. */
const SCRATCH = Buffer.allocUnsafeSlow(65_536);
const NOTHING = Buffer.alloc(0);
/**
 * The last byte of every stream that ends cleanly; its reader drops it. Quiche 0.18 counts a stream whose bytes were all
 * acknowledged as delivered once its end is set, and an end without a byte of its own is then never sent, or lost for good.
 */
const LAST_BYTE = Buffer.of(0);

/** What a stream needs from its connection. */
export interface QuicStreamHost {
  readonly native: NativeConnection;
  /** While the connection says goodbye, writers are not asked for more. */
  readonly closing: boolean;
  /** The stream has something to send. */
  wantsToSend(stream: QuicStream): void;
  /** Read more than before: quiche may have credit to give. */
  hasRead(): void;
  /** There is something to tell the peer. */
  wantsTurn(): void;
  counted(id: number, bytes: { readonly sent?: number; readonly received?: number }): void;
  /** Tells the peer that the stream broke, beside QUIC's own words. False: nothing could be told. */
  resetSent(id: number, wire: number): boolean;
  /** Resets what this side sends, as soon as that does no harm. */
  resetSending(id: number, wire: number): void;
  /** What the peer still sends is read to nowhere. */
  dropRest(id: number): void;
  /** The peer's end has been read. */
  readEnded(stream: QuicStream): void;
  /** The stream is over on this side. */
  left(stream: QuicStream): void;
}

/**
 * One bidirectional QUIC stream as a {@link ByteStream}. Bytes that nobody reads stay in quiche, where flow control
 * counts them; bytes that quiche does not take stay here, and the writer waits.
 */
export class QuicStream extends Duplex implements ByteStream {
  readonly id: number;
  readonly head: Buffer;
  readonly #host: QuicStreamHost;
  #waiting: Buffer | null;
  #done: Done | null = null;
  #finWanted: Done | null = null;
  #finSent = false;
  #finReceived = false;
  #readerWaits = false;
  #readBytes = 0;
  #detached = false;

  constructor(host: QuicStreamHost, identity: { readonly id: number; readonly head: Buffer; readonly announce: Buffer | null }) {
    super({ allowHalfOpen: true, readableHighWaterMark: WRITE_MARK_BYTES, writableHighWaterMark: WRITE_MARK_BYTES });
    this.#host = host;
    this.id = identity.id;
    this.head = identity.head;
    this.#waiting = identity.announce;
    // A peer's reset must not end this process because nobody listens.
    this.on('error', () => {});
    if (this.#waiting) host.wantsToSend(this);
  }

  /** Whether both directions came to a clean end. */
  get complete(): boolean {
    return this.#finSent && this.#finReceived;
  }

  /** Whether only the peer's word can tell that it does not want what this side still sends: nothing will be read that says so. */
  get onlyWrites(): boolean {
    return this.#finReceived && !this.#finSent;
  }

  /** Most bytes that quiche may hold for a reader that does not read: the window, which grows with what is read. */
  get heldBytes(): number {
    if (this.#readerWaits || this.#finReceived || this.destroyed) return 0;
    return Math.min(MAX_STREAM_WINDOW, Math.max(INITIAL_STREAM_CREDIT, 2 * this.#readBytes));
  }

  // Towards the peer

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  override _final(done: Done): void {
    this.#finWanted = done;
    this.#host.wantsToSend(this);
  }

  #send(bytes: Buffer, done: Done): void {
    if (bytes.length === 0) return done();
    this.#waiting = this.#waiting ? Buffer.concat([this.#waiting, bytes]) : bytes;
    this.#done = done;
    this.#host.wantsToSend(this);
  }

  /** Gives quiche what it takes, a turn's worth at most. */
  sendWaiting(): { readonly wrote: boolean; readonly waits: boolean } {
    if (this.destroyed) return { wrote: false, waits: false };
    let wrote = 0;
    while (this.#waiting && wrote < TURN_BYTES) {
      const part = this.#waiting.subarray(0, TURN_BYTES - wrote);
      const taken = this.#give(part, false);
      if (taken === null) return { wrote: false, waits: false };
      wrote += taken;
      this.#host.counted(this.id, { sent: taken });
      this.#waiting = taken === this.#waiting.length ? null : this.#waiting.subarray(taken);
      if (taken < part.length) break;
    }
    if (!this.#waiting) {
      if (this.#done && (!this.#host.closing || this.writableEnded)) this.#settle();
      if (this.#finWanted && !this.#waiting && !this.#sendFin()) return { wrote: wrote > 0, waits: !this.destroyed };
    }
    return { wrote: wrote > 0, waits: !this.destroyed && (this.#waiting !== null || this.#finWanted !== null) };
  }

  #sendFin(): boolean {
    if (this.#give(LAST_BYTE, true) !== LAST_BYTE.length) return this.destroyed;
    this.#host.counted(this.id, { sent: LAST_BYTE.length });
    const done = this.#finWanted!;
    this.#finWanted = null;
    this.#finSent = true;
    this.#guard(done);
    return true;
  }

  #settle(): void {
    const done = this.#done!;
    this.#done = null;
    this.#guard(done);
  }

  /** Bytes that quiche took. Null: the stream is over, and its users were told. */
  #give(bytes: Buffer, fin: boolean): number | null {
    const { native } = this.#host;
    try {
      const taken = native.streamSend(this.id, bytes, fin);
      if (taken !== null && taken >= 0) return taken;
      // No room, or a stream that the peer stopped: only asking for its room tells which.
      native.streamCapacity(this.id);
      return 0;
    } catch (error) {
      this.#peerEnded(error);
      return null;
    }
  }

  /** Looks whether the peer stopped reading. Its word is seen for a moment only, before it is answered. */
  lookForStop(): void {
    // Once its end is sent, quiche may have forgotten it by now, which is no word of the peer's.
    if (this.destroyed || !this.onlyWrites) return;
    try {
      this.#host.native.streamCapacity(this.id);
    } catch (error) {
      this.#peerEnded(error);
    }
  }

  // From the peer

  override _read(): void {
    this.#readerWaits = true;
    const before = this.#readBytes;
    this.receive();
    if (this.#readBytes > before) this.#host.hasRead();
  }

  /** Hands on what has arrived as far as the reader takes it. `all`: also what it does not take yet. */
  receive(all = false): void {
    while (!this.destroyed && !this.#finReceived) {
      const wanted = all || this.#readerWaits;
      const got = this.#take(wanted ? SCRATCH : NOTHING);
      if (got === null) return;
      const [length, fin] = got;
      this.#readBytes += length;
      this.#host.counted(this.id, { received: length });
      this.#handOn(fin ? length - LAST_BYTE.length : length);
      if (fin) return this.#receiveFin(length);
      if (!wanted || length < SCRATCH.length) return;
    }
  }

  #take(into: Buffer): [number, boolean] | null {
    try {
      return this.#host.native.streamRecv(this.id, into);
    } catch (error) {
      this.#peerEnded(error);
      return null;
    }
  }

  #handOn(length: number): void {
    if (length <= 0) return;
    const bytes = Buffer.from(SCRATCH.subarray(0, length));
    this.#guard(() => {
      this.#readerWaits = this.push(bytes);
    });
  }

  /** The end is clean only behind its last byte. */
  #receiveFin(length: number): void {
    if (this.destroyed) return;
    if (length < LAST_BYTE.length)
      return void this.destroy(new TowlineError('protocol_error', 'The peer ended a stream in the wrong way.'));
    this.#finReceived = true;
    this.#host.readEnded(this);
    this.#guard(() => void this.push(null));
  }

  /** What the binding said of a stream whose peer reset it, or stopped reading it. */
  #peerEnded(error: unknown): void {
    const { code } = nativeFault(error);
    const known: ErrorCode = code === null ? 'stream_reset' : errorCodeOfWire(code, 'stream_reset');
    this.destroy(new TowlineError(isStreamEnd(error) ? known : 'stream_reset', undefined, { cause: error }));
  }

  // The end

  /** The peer's word, by another way, that it has reset this stream: quiche 0.18 may lose its own. */
  wasReset(error: TowlineError): void {
    if (this.destroyed || this.complete) return;
    this.receive();
    this.#detached = true;
    if (!this.#finSent) this.#host.resetSending(this.id, error.wire);
    this.#host.dropRest(this.id);
    this.destroy(error);
  }

  /** Ends the stream without a word to the peer, whose connection is over. What came to a clean end both ways stays readable. */
  detach(error: TowlineError): void {
    if (!this.destroyed) this.receive(true);
    this.#detached = true;
    if (this.complete || this.destroyed) return;
    // A reader that has everything up to the end sees that first.
    if (this.#finReceived && !this.readableEnded && this.readableLength === 0) setImmediate(() => this.destroy(error));
    else this.destroy(error);
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const [done, final] = [this.#done, this.#finWanted];
    this.#done = null;
    this.#finWanted = null;
    this.#waiting = null;
    if (!this.#detached) this.#tellPeer(ERRORS[resetCode(error)].wire);
    this.#host.left(this);
    callback(error);
    done?.(error ?? new TowlineError('cancelled'));
    final?.(error ?? new TowlineError('cancelled'));
  }

  /**
   * The rest is read and not refused (STOP_SENDING): a stream that quiche 0.18 refused to read counts as open for
   * ever when its end comes after our last byte was acknowledged.
   */
  #tellPeer(wire: number): void {
    if (!this.#finSent) this.#host.resetSending(this.id, wire);
    const told = this.complete || this.#host.resetSent(this.id, wire);
    if (!this.#finReceived && this.#finSent && !told) this.#refuseRest(wire);
    else if (!this.#finReceived) this.#host.dropRest(this.id);
    this.#host.wantsTurn();
  }

  #refuseRest(wire: number): void {
    try {
      this.#host.native.streamShutdown(this.id, SHUTDOWN.read, wire);
    } catch {
      // Over already.
    }
  }

  /** Runs what may call this stream's users. Their mistakes end this stream, never its connection. */
  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.destroy(toTowlineError(error));
    }
  }
}

function isStreamEnd(error: unknown): boolean {
  const { name } = nativeFault(error);
  return name === 'StreamReset' || name === 'StreamStopped';
}

function resetCode(error: Error | null): ErrorCode {
  if (error === null || error.name === 'AbortError') return 'cancelled';
  return isTowlineError(error) ? error.code : 'internal';
}
