import { ERRORS, TowlineError, toTowlineError } from '@towline/protocol';
import type { HostPort, NativeConnection } from '../binding/quiche.ts';
import { BrokenStreams } from './broken-streams.ts';
import { type ConnectionEnd, closeNative, endOf, LOST } from './connection-end.ts';
import { MAX_ADDRESS_CHANGES } from './connection-ids.ts';
import type { DatagramSocket } from './datagram-socket.ts';
import { DelayedAcks } from './delayed-acks.ts';
import { IncomingHeads } from './incoming-heads.ts';
import type { PacketSlab } from './packet-slab.ts';
import { PeerPlaces } from './peer-places.ts';
import { QuicStream, type QuicStreamHost } from './quic-stream.ts';
import { encodeStreamHead } from './stream-head.ts';
import { TurnTimer } from './turn-timer.ts';
import { WaitingWriters } from './waiting-writers.ts';

/** Packets that go out in one turn, so that other connections get theirs. */
const PACKETS_PER_TURN = 64;
/**
 * Packets that go out in one turn once the connection is closed, and how long it is kept then, milliseconds. Quiche 0.18
 * makes packets without end when it is closed while it wants to probe for a lost part of the handshake.
 */
const LAST_PACKETS_PER_TURN = 4;
const CLOSING_MS = 3_000;
/** Streams that are asked for their bytes without quiche's list of those that have any. */
const FEW_STREAMS = 16;
/** Streams that are asked in one turn whether their peer stopped reading. */
const STOP_LOOKS_PER_TURN = 64;
/**
 * Bytes of packets that are taken from a peer before it is admitted, besides twice what has arrived of its request: a
 * handshake and a first flight, repeated. Quiche 0.18 keeps up to two hundred times what a hostile peer sends.
 */
const MAX_STRANGER_BYTES = 24_576;
/**
 * Bytes that streams may hold for readers that do not read, by the windows they have: 128 of the largest, which slow
 * readers of fast transfers need. Above it the largest is reset.
 */
const MAX_HELD_BYTES = 536_870_912;
/** Bytes that are still taken in for streams nobody reads while the peer says goodbye. */
const MAX_LAST_BYTES = 8_388_608;

/** Silence after which a peer that is asked again may be sending to where this end is no more, milliseconds. */
const ALARM_MS = 200;

/** What a connection is built with. */
export interface ConnectionParts {
  readonly native: NativeConnection;
  readonly role: 'client' | 'server';
  readonly socket: DatagramSocket;
  readonly slab: PacketSlab;
  /** Where the peer is at first. */
  readonly peer: HostPort;
  /** Sends something at least so often, milliseconds; null: only what is asked for. */
  readonly keepAliveMs: number | null;
  /** Called in each turn that a packet or a timer brought, before packets go out: ids to renew, paths to look at. */
  readonly onTurn: (connection: QuicConnection) => void;
  /** Which socket to send from. The one given by default. */
  readonly currentSocket?: () => DatagramSocket;
  /** Called once the connection is over for its users; some last packets may still come and go. */
  readonly onOver?: () => void;
}

/**
 * One QUIC connection, driven in turns of the event loop: packets of a turn in, streams read and written, packets
 * out, one timer. Whatever a peer sends, nothing is thrown from here. docs/quic.md draws the way of a packet.
 */
export class QuicConnection implements QuicStreamHost {
  readonly native: NativeConnection;
  /** Resolves when the handshake is done. Never rejects: look at {@link closed} as well. */
  readonly established: Promise<void>;
  /** Resolves when the connection is over. Whoever has it ends its streams then: {@link endStreams}. */
  readonly closed: Promise<ConnectionEnd>;
  readonly #parts: ConnectionParts;
  readonly #streams = new Map<number, QuicStream>();
  readonly #heads: IncomingHeads;
  readonly #broken: BrokenStreams;
  readonly #writers = new WaitingWriters();
  readonly #onlyWriting = new Set<QuicStream>();
  readonly #places: PeerPlaces;
  #resolveEstablished!: () => void;
  #resolveClosed!: (end: ConnectionEnd) => void;
  #end: ConnectionEnd | null = null;
  #isEstablished = false;
  /** Established in this turn. */
  #isNew = false;
  #settled = false;
  #gone = false;
  #onGone: () => void = () => {};
  #admitted: boolean;
  #scheduled = false;
  #received = false;
  #tookPacket = false;
  /** Somebody has something to send, or may have. */
  #urgent = false;
  readonly #acks: DelayedAcks;
  #probes = false;
  #alarm = false;
  #flushedBytes = 0;
  readonly #timer = new TurnTimer(() => this.#expire());
  #late: NodeJS.Timeout | undefined;
  #nextStreamId: number;
  #listener: ((stream: QuicStream) => void) | null = null;
  #draining = false;
  #drained = 0;
  #lastSentMs = performance.now();
  #lastReceivedMs = performance.now();
  #lastPacketMs = performance.now();
  #packetsSeen = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #streamBytesIn = 0;
  #streamBytesOut = 0;
  #onProgress: () => void = () => {};
  #onResetSent: (id: number, wire: number) => boolean = () => false;

  /** While true writers that have not ended are not asked for more. */
  closing = false;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.native = parts.native;
    const counted = (id: number, received: number) => this.counted(id, { received });
    this.#broken = new BrokenStreams(parts.native, counted);
    this.#heads = new IncomingHeads(parts.native, counted);
    this.#acks = new DelayedAcks(parts.slab.packetBytes);
    this.#places = new PeerPlaces(parts.native, { local: parts.socket.local, peer: parts.peer });
    // A client has chosen its peer.
    this.#admitted = parts.role === 'client';
    // Of bidirectional streams a client has the numbers 0, 4, 8, …, a server 1, 5, 9, … (RFC 9000 section 2.1).
    this.#nextStreamId = parts.role === 'client' ? 0 : 1;
    this.established = new Promise((resolve) => {
      this.#resolveEstablished = resolve;
    });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.wantsTurn();
  }

  /** Address the peer is at. */
  get peer(): HostPort {
    return this.#places.peer;
  }

  get isEstablished(): boolean {
    return this.#isEstablished;
  }

  /** Streams that are not over, those included whose head has not arrived yet. */
  get openStreams(): number {
    return this.#streams.size + this.#heads.size;
  }

  /** UDP payload, bytes. */
  get bytesIn(): number {
    return this.#bytesIn;
  }

  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** Bytes of all streams but the first, their heads included. */
  get streamBytesIn(): number {
    return this.#streamBytesIn;
  }

  get streamBytesOut(): number {
    return this.#streamBytesOut;
  }

  /**
   * Monotonic time of the last packet that was the peer's, milliseconds. Quiche says nothing of noise or of what it had
   * before: only its count tells, when it is asked.
   */
  get lastReceivedMs(): number {
    const { recv } = this.native.stats();
    if (recv !== this.#packetsSeen) {
      this.#packetsSeen = recv;
      this.#lastReceivedMs = this.#lastPacketMs;
    }
    return this.#lastReceivedMs;
  }

  /** Whether a stream has bytes that quiche did not take yet. */
  get hasUnsent(): boolean {
    return this.#writers.size > 0;
  }

  get isAdmitted(): boolean {
    return this.#admitted;
  }

  /** Whether this side says or said that the connection is over. */
  get isClosed(): boolean {
    return this.#end !== null;
  }

  /** Called once, when no packet of this connection is expected any more. */
  set onGone(listener: () => void) {
    this.#onGone = listener;
    if (this.#gone) listener();
  }

  /** Called in each turn in which the streams may have made progress. */
  set onProgress(listener: () => void) {
    this.#onProgress = listener;
  }

  /** Takes the streams the peer opens, each as soon as its head is there. Without a listener they are left unread. */
  set onStream(listener: (stream: QuicStream) => void) {
    this.#listener = listener;
    this.wantsTurn();
  }

  /** Opens a stream. @throws TowlineError `stream_limit`, `link_closed`. */
  openStream(head: Uint8Array): QuicStream {
    if (this.#end) throw new TowlineError('link_closed');
    const announce = encodeStreamHead(head);
    const id = this.#nextStreamId;
    if (this.native.peerStreamsLeftBidi() < 1) throw new TowlineError('stream_limit');
    try {
      // Makes the stream known to quiche, so that it counts.
      this.native.streamSend(id, announce.subarray(0, 0), false);
    } catch (cause) {
      throw new TowlineError('stream_limit', undefined, { cause });
    }
    this.#nextStreamId += 4;
    const stream = new QuicStream(this, { id, head: Buffer.from(head), announce });
    this.#streams.set(id, stream);
    return stream;
  }

  /**
   * The peer has shown who it is. Before that it gets no second path, since quiche 0.18 can be hung by one
   * (CVE-2025-7054), and little memory.
   */
  admit(): void {
    this.#admitted = true;
  }

  /** Takes a packet in. It is changed: quiche decrypts in place. */
  receive(packet: Buffer, from: HostPort): void {
    if (this.#gone || !this.#maySend(from)) return;
    this.#bytesIn += packet.length;
    if (!this.#admitted && this.#bytesIn > MAX_STRANGER_BYTES + 2 * this.#heads.requestBytes) return this.turnAway();
    // What is not for us, damaged or repeated is as if it had been lost. What ends the connection is seen in the turn.
    if (this.#places.take(packet, from)) {
      this.#lastPacketMs = performance.now();
      this.#received = true;
      this.#tookPacket = true;
      this.#acks.tookPacket();
    }
    this.#schedule();
  }

  #maySend({ host, port }: HostPort): boolean {
    const { peer } = this;
    return this.#admitted || (host === peer.host && port === peer.port);
  }

  /** Gives up a peer that sends too much before it is admitted. */
  turnAway(): void {
    this.close(ERRORS.link_flooded.wire, 'Too much was sent before the link was there.');
    this.abandon();
  }

  /** Tells the peer that the connection is over, and why. What its streams still hold is dropped. */
  close(code: number, reason: string, isApp = true): void {
    if (this.#end) return;
    // What the handshake still owes goes first: once closed, quiche sends nothing of it, and the peer would wait in vain.
    this.#flush();
    if (this.#end) return;
    this.#end = { by: 'self', isApp, code, reason };
    closeNative(this.native, this.#end);
    this.#flush();
    this.#settle();
  }

  /** Sends a packet that the peer must answer. */
  askForLife(): void {
    if (this.#end || !this.#isEstablished) return;
    this.native.sendAckEliciting();
    this.wantsTurn();
  }

  /** Reads on what waits for readers that do not read: the peer is about to close. */
  beginDraining(): void {
    this.#draining = true;
    this.wantsTurn();
  }

  /** Ends the connection as if the way were cut, without a word. */
  abandon(): void {
    this.#end ??= LOST;
    this.#leave();
  }

  // What a stream asks of its connection

  wantsToSend(stream: QuicStream): void {
    this.#writers.add(stream);
    this.wantsTurn();
  }

  wantsTurn(): void {
    this.#urgent = true;
    this.#schedule();
  }

  hasRead(): void {
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#gone) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  counted(id: number, { sent = 0, received = 0 }: { readonly sent?: number; readonly received?: number }): void {
    if (id === 0) return;
    this.#streamBytesOut += sent;
    this.#streamBytesIn += received;
    this.#acks.read(received);
    if (this.#draining) this.#drained += received;
  }

  readEnded(stream: QuicStream): void {
    if (stream.onlyWrites) this.#onlyWriting.add(stream);
  }

  left(stream: QuicStream): void {
    this.#streams.delete(stream.id);
    this.#writers.delete(stream);
    this.#onlyWriting.delete(stream);
  }

  /** Takes note of where the peer is. Before quiche has room for no other path the connection is ended: it is made anew at once. */
  #lookAtPaths(): void {
    this.#places.look();
    if (this.#places.paths >= MAX_ADDRESS_CHANGES)
      this.close(ERRORS.link_closed.wire, 'The address has changed too often on this connection.');
  }

  resetSent(id: number, wire: number): boolean {
    return !this.#end && this.#onResetSent(id, wire);
  }

  /** Called for each stream that this side resets; answers whether the peer will hear of it. */
  set onResetSent(listener: (id: number, wire: number) => boolean) {
    this.#onResetSent = listener;
  }

  /** The peer's word, by another way than QUIC's, that it has reset a stream. It may come before the stream. */
  wasReset(id: number, error: TowlineError): void {
    const stream = this.#streams.get(id);
    if (stream) return stream.wasReset(error);
    if (id % 4 === this.#nextStreamId % 4) return;
    this.#heads.breakBefore(id);
  }

  resetSending(id: number, wire: number): void {
    if (this.#end) return;
    this.#broken.reset(id, wire);
    // The answer brings the moment for it.
    this.askForLife();
  }

  dropRest(id: number): void {
    this.#broken.drop(id);
  }

  /** Ids of ours that the peer has given back since this was called last. */
  takeRetiredIds(): readonly Uint8Array[] {
    return this.#places.retiredIds.take();
  }

  /** Whether nothing has answered for a while although something was asked. True once for each time that quiche asked again. */
  takeAlarm(): boolean {
    const alarm = this.#alarm;
    this.#alarm = false;
    return alarm;
  }

  // One turn

  readonly #turn = (): void => {
    this.#scheduled = false;
    if (this.#gone) return;
    const urgent = this.#urgent;
    this.#urgent = false;
    try {
      this.#beEstablished();
      if (this.#isEstablished && !this.#end) {
        // While it probes for losses quiche says that any amount may be sent.
        this.#broken.look(this.#tookPacket && !this.#probes);
        if (this.#received) this.#look();
        this.#read();
        if (this.#writers.takeTurns()) this.wantsTurn();
        this.#onProgress();
      }
      if (!urgent && this.#ackMayWait()) this.#putAckOff();
      else this.#sendDue();
      if (this.#received || this.#end) this.#lookForEnd();
      this.#isNew = false;
      this.#received = false;
      this.#tookPacket = false;
      this.#probes = false;
    } catch (error) {
      // A fault of ours must not take other connections along.
      this.close(toTowlineError(error).wire, 'internal error');
    }
  };

  /** At what only a packet or time can have changed. */
  #look(): void {
    this.#parts.onTurn(this);
    this.#lookAtPaths();
    this.#lookForStops();
    this.#writers.wake();
  }

  #sendDue(): void {
    this.#keepAlive();
    this.#flush();
  }

  /** Whether there is nothing to send but an acknowledgement, or credit for what was read. */
  #ackMayWait(): boolean {
    if (this.#isNew || !this.#isEstablished || this.#end || this.#broken.waits) return false;
    return this.#streamBytesOut === this.#flushedBytes;
  }

  /**
   * An acknowledgement waits a while, as what was read may soon be answered. Several, and credit, wait for one turn only:
   * more packets may be there to be acknowledged with them.
   */
  #putAckOff(): void {
    if (this.#acks.putOff()) this.#arm();
    else this.wantsTurn();
  }

  #beEstablished(): void {
    if (this.#isEstablished || !this.native.isEstablished()) return;
    this.#isEstablished = true;
    this.#isNew = true;
    this.#resolveEstablished();
  }

  /** Quiche's list costs more than all the rest of a turn: where there are few streams they are asked one by one. */
  #read(): void {
    if (this.#streams.size <= FEW_STREAMS && !this.#draining)
      for (const stream of this.#streams.values()) if (this.native.streamReadable(stream.id)) stream.receive();
    this.#heads.beginTurn();
    if (this.native.isReadable()) this.#readListed();
  }

  #readListed(): void {
    let held = 0;
    let largest: QuicStream | undefined;
    for (const id of this.native.readable()) {
      const stream = this.#streams.get(id);
      if (stream === undefined) {
        if (this.#broken.drops(id)) this.#broken.drop(id);
        else if (this.#listener) this.#readHead(id);
        continue;
      }
      stream.receive(this.#draining && this.#drained < MAX_LAST_BYTES);
      const bytes = stream.heldBytes;
      held += bytes;
      if (bytes > (largest?.heldBytes ?? 0)) largest = stream;
    }
    if (held > MAX_HELD_BYTES) largest?.destroy(new TowlineError('stream_limit', 'The link holds too much that nobody reads.'));
  }

  /** The first bytes of a stream say what it is for. */
  #readHead(id: number): void {
    if (id % 4 === this.#nextStreamId % 4) return this.#refuse(id);
    if (!this.#admitted && id !== 0) return this.close(ERRORS.protocol_error.wire, 'A second stream came before the link was there.');
    const whole = this.#heads.read(id);
    if (whole === null) return;
    if (whole === 'broken') return this.#refuse(id);
    this.#forgetHead(id);
    const stream = new QuicStream(this, { id, head: whole, announce: null });
    this.#streams.set(id, stream);
    try {
      this.#listener!(stream);
    } catch (error) {
      stream.destroy(toTowlineError(error));
    }
    if (!stream.destroyed) stream.receive();
  }

  /** A stream that is over before it began. */
  #refuse(id: number): void {
    this.#forgetHead(id);
    const stream = new QuicStream(this, { id, head: Buffer.alloc(0), announce: null });
    stream.destroy(new TowlineError('protocol_error'));
  }

  #forgetHead(id: number): void {
    // Those that waited for room are read in the next turn.
    if (this.#heads.forget(id)) this.wantsTurn();
  }

  #lookForStops(): void {
    let left = STOP_LOOKS_PER_TURN;
    for (const stream of this.#onlyWriting) {
      if (left === 0) return;
      left -= 1;
      this.#onlyWriting.delete(stream);
      stream.lookForStop();
      if (!stream.destroyed && stream.onlyWrites) this.#onlyWriting.add(stream);
    }
  }

  #keepAlive(): void {
    const { keepAliveMs } = this.#parts;
    if (keepAliveMs === null || !this.#isEstablished || this.#end) return;
    const nowMs = performance.now();
    if (nowMs - this.#lastSentMs >= keepAliveMs) this.native.sendAckEliciting();
  }

  #flush(): void {
    this.#flushedBytes = this.#streamBytesOut;
    this.#acks.sent();
    const { slab, socket, currentSocket } = this.#parts;
    const from = currentSocket?.() ?? socket;
    const before = this.#bytesOut;
    const most = this.#end ? LAST_PACKETS_PER_TURN : PACKETS_PER_TURN;
    for (let packets = 0; packets < most; packets += 1) {
      const sent = this.#places.next(slab.room());
      if (!sent) {
        if (this.#broken.flushed(this.#bytesOut - before + slab.packetBytes)) this.wantsTurn();
        return this.#arm();
      }
      const [length, path] = sent;
      this.#bytesOut += length;
      this.#lastSentMs = performance.now();
      from.send(slab.take(length), this.#places.destination(path));
    }
    this.#arm();
    if (!this.#end) this.wantsTurn();
  }

  /** One timer: quiche's, the one that keeps the way open, or that of an acknowledgement, whichever is first. */
  #arm(): void {
    const { keepAliveMs } = this.#parts;
    const nowMs = performance.now();
    const native = this.native.timeout();
    const nativeDueMs = native === null ? Number.POSITIVE_INFINITY : nowMs + native;
    const aliveDueMs =
      keepAliveMs === null || this.#end || !this.#isEstablished ? Number.POSITIVE_INFINITY : this.#lastSentMs + keepAliveMs;
    this.#timer.arm(Math.min(nativeDueMs, aliveDueMs, this.#acks.dueMs), nowMs);
  }

  #expire(): void {
    if (this.#gone) return;
    // Quiche's own time may not have come: the timer is not moved when that is put off.
    if (this.native.timeout() === 0) {
      this.native.onTimeout();
      this.#probes = true;
      this.#alarm = performance.now() - this.#lastReceivedMs > ALARM_MS;
    }
    this.#received = true;
    this.wantsTurn();
  }

  // The end

  #lookForEnd(): void {
    const { native } = this;
    if (!native.isClosed() && !native.isDraining()) return;
    this.#end ??= endOf(native);
    this.#settle();
    if (native.isClosed()) this.#leave();
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    const end = this.#end!;
    this.#late = setTimeout(() => this.#leave(), CLOSING_MS);
    this.#late.unref();
    this.#timer.unref();
    this.#parts.onOver?.();
    // The link may have a better word for it; streams are told through it.
    setImmediate(() => this.#resolveClosed(end));
  }

  /** Tells all streams that their connection is over. */
  endStreams(error: TowlineError): void {
    this.closing = true;
    const streams = [...this.#streams.values()];
    this.#heads.clear();
    this.#broken.clear();
    for (const stream of streams) stream.detach(error);
    this.#streams.clear();
  }

  #leave(): void {
    if (this.#gone) return;
    this.#settle();
    this.#gone = true;
    this.#timer.stop();
    clearTimeout(this.#late);
    this.#onGone();
  }
}
