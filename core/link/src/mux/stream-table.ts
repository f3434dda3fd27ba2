import type { ByteStream } from '@towline/contract';
import {
  checkStreamHead,
  ERRORS,
  type ErrorCode,
  encodeReset,
  errorCodeOfWire,
  INITIAL_STREAM_CREDIT,
  isTowlineError,
  MAX_STREAM_ID,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import { deliverSoon } from './bulk-delivery.ts';
import { ClosedStreams } from './closed-streams.ts';
import type { CreditBudget } from './credit-budget.ts';
import type { FloodGuard } from './flood-guard.ts';
import type { LinkLimits } from './link-limits.ts';
import { MuxStream, type StreamHost } from './mux-stream.ts';
import type { SendQueue } from './send-queue.ts';

/** Which end of a link opens its streams. */
export type LinkRole = 'opener' | 'acceptor';

/** A part of a frame below so many bytes that nobody waits for counts as a control frame. */
const TINY_DROPPED_BYTES = 1_024;

/** A stream for which so many bytes arrived at once is one of bulk: more is likely to be there already. */
const BULK_BYTES = 8_192;

/** What a {@link StreamTable} is built from. */
export interface StreamTableParts {
  readonly role: LinkRole;
  readonly limits: LinkLimits;
  readonly growth: CreditBudget;
  readonly queue: SendQueue;
  readonly flood: FloodGuard;
  readonly roundTripMs: () => number | null;
}

/** The streams of one link: opens and accepts them, and hands each the frames that concern it. */
export class StreamTable implements StreamHost {
  readonly #parts: StreamTableParts;
  readonly #streams = new Map<number, MuxStream>();
  readonly #closed = new ClosedStreams();
  readonly #touched = new Set<MuxStream>();
  #lastId = 0;
  #unreadBytes = 0;
  #closing = false;
  #listener: ((stream: ByteStream) => void) | null = null;

  constructor(parts: StreamTableParts) {
    this.#parts = parts;
  }

  /** Streams that are not over. */
  get size(): number {
    return this.#streams.size;
  }

  /** Bytes received that no reader has taken. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  set listener(listener: (stream: ByteStream) => void) {
    this.#listener = listener;
  }

  /** Opens a stream. @throws TowlineError `stream_limit`, `too_large`, `invalid_request`. */
  open(head: Uint8Array): MuxStream {
    if (this.#parts.role !== 'opener') throw new TowlineError('internal', 'This end of the link accepts streams and cannot open them.');
    if (this.#streams.size >= this.#parts.limits.maxStreams || this.#lastId >= MAX_STREAM_ID) throw new TowlineError('stream_limit');
    checkStreamHead(head);
    if (!this.#parts.flood.admitOwnOpening()) throw new TowlineError('stream_limit', 'Streams are opened too fast on this link.');
    this.#lastId += 1;
    const stream = this.#add(new MuxStream(this, { id: this.#lastId, head: Buffer.from(head), announced: false }));
    stream.announce();
    return stream;
  }

  // Frames of the peer. Each throws a TowlineError that ends the link when the peer broke a rule.

  opened(id: number, head: Buffer): void {
    if (this.#parts.role !== 'acceptor') throw new TowlineError('protocol_error', 'The peer opened a stream where only this end may.');
    if (id <= this.#lastId) throw new TowlineError('protocol_error', `The peer opened stream ${id} after stream ${this.#lastId}.`);
    this.#lastId = id;
    const refusal = this.#refusal();
    if (refusal) return this.#refuse(id, refusal);
    this.#offer(this.#add(new MuxStream(this, { id, head, announced: true })));
  }

  received(id: number, bytes: Buffer): void {
    const stream = this.#find(id);
    if (!stream) return this.#drop(id, bytes.length);
    stream.receive(bytes);
    this.#touched.add(stream);
  }

  finished(id: number): void {
    this.#parts.flood.countControl();
    const stream = this.#find(id);
    if (!stream) return;
    stream.receiveFin();
    this.#touched.add(stream);
  }

  credited(id: number, bytes: number): void {
    this.#find(id)?.receiveCredit(bytes);
  }

  wasReset(id: number, wire: number): void {
    this.#parts.flood.countControl();
    const stream = this.#find(id);
    if (!stream || stream.complete) return;
    stream.deliver();
    this.#forget(stream, 0);
    const code = errorCodeOfWire(wire, 'stream_reset');
    stream.detach(new TowlineError(code, ERRORS[code].text));
  }

  /**
   * Hands on what arrived since the last call: a little at once, more when all that the system has ready was read, so that it goes on in
   * large pieces. Then sheds streams while more is held than the link may hold.
   */
  deliver(): void {
    for (const stream of this.#touched) {
      if (stream.waitingBytes >= BULK_BYTES) continue;
      this.#touched.delete(stream);
      stream.deliver();
    }
    if (this.#touched.size > 0) deliverSoon(this.deliverAll);
    // What a reader takes now is not unread: nobody is shed for it.
    if (this.#holdsTooMuch) this.deliverAll();
    while (this.#holdsTooMuch && this.#shedLargest());
  }

  /** Hands on all that has arrived. */
  readonly deliverAll = (): void => {
    for (const stream of this.#touched) {
      this.#touched.delete(stream);
      stream.deliver();
    }
  };

  /** From here on streams are refused, and writers are not asked for more. */
  beginClosing(): void {
    this.#closing = true;
  }

  /** Ends every stream, after what has arrived: a complete one whose reader waits would never hear of it otherwise. */
  detachAll(error: TowlineError): void {
    this.#closing = true;
    this.deliverAll();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.detach(error);
  }

  // What a stream asks of its link

  get growth(): CreditBudget {
    return this.#parts.growth;
  }

  get maxStreamCredit(): number {
    return this.#parts.limits.maxStreamCredit;
  }

  get closing(): boolean {
    return this.#closing;
  }

  roundTripMs(): number | null {
    return this.#parts.roundTripMs();
  }

  join(stream: MuxStream): void {
    this.#parts.queue.join(stream);
  }

  grant(stream: number, bytes: number): void {
    this.#parts.queue.grant(stream, bytes);
  }

  unreadChanged(bytes: number): void {
    this.#unreadBytes += bytes;
  }

  left(stream: MuxStream, error: Error | null): void {
    this.#forget(stream, stream.complete ? 0 : stream.creditLeft);
    if (stream.announced && !stream.complete) this.#parts.queue.control(encodeReset(stream.id, ERRORS[resetCode(error)].wire));
  }

  #add(stream: MuxStream): MuxStream {
    this.#streams.set(stream.id, stream);
    return stream;
  }

  #find(id: number): MuxStream | undefined {
    const stream = this.#streams.get(id);
    if (stream ? !stream.announced : id > this.#lastId)
      throw new TowlineError('protocol_error', `The peer sent a frame for stream ${id}, which was never opened.`);
    return stream;
  }

  #forget(stream: MuxStream, creditLeft: number): void {
    this.#streams.delete(stream.id);
    this.#touched.delete(stream);
    this.#parts.queue.leave(stream);
    this.#closed.add(stream.id, creditLeft);
  }

  #drop(id: number, bytes: number): void {
    if (bytes < TINY_DROPPED_BYTES) this.#parts.flood.countControl();
    this.#closed.dropped(id, bytes);
  }

  #refusal(): ErrorCode | null {
    if (!this.#parts.flood.admitPeerOpening() || this.#streams.size >= this.#parts.limits.maxStreams) return 'stream_limit';
    if (this.#closing) return 'link_closed';
    return this.#listener ? null : 'unavailable';
  }

  #refuse(id: number, code: ErrorCode): void {
    this.#parts.flood.countControl();
    this.#closed.add(id, INITIAL_STREAM_CREDIT);
    this.#parts.queue.control(encodeReset(id, ERRORS[code].wire));
  }

  #offer(stream: MuxStream): void {
    try {
      this.#listener?.(stream);
    } catch (error) {
      stream.destroy(toTowlineError(error));
    }
  }

  get #holdsTooMuch(): boolean {
    return this.#unreadBytes > this.#parts.limits.maxUnreadBytes;
  }

  #shedLargest(): boolean {
    let largest: MuxStream | null = null;
    for (const stream of this.#streams.values()) if (stream.unreadBytes > (largest?.unreadBytes ?? 0)) largest = stream;
    largest?.destroy(new TowlineError('stream_limit', 'The link holds too much that nobody reads.'));
    return largest !== null;
  }
}

function resetCode(error: Error | null): ErrorCode {
  if (error === null || error.name === 'AbortError') return 'cancelled';
  return isTowlineError(error) ? error.code : 'internal';
}
