import type { ByteStream, Link, LinkEnd, LinkStats } from '@towline/contract';
import { DEFAULT_LINK_LIMITS, type LinkLimits, TokenBucket } from '@towline/link';
import {
  checkStreamHead,
  ERRORS,
  type ErrorCode,
  errorCodeOfWire,
  frameMessage,
  isErrorCode,
  MessageSplitter,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import type { ConnectionEnd } from '../loop/connection-end.ts';
import type { QuicConnection } from '../loop/quic-connection.ts';
import type { QuicStream } from '../loop/quic-stream.ts';
import { type LinkMessage, linkMessage, MAX_LINK_MESSAGE } from './messages.ts';

/** Time for the last bytes to reach the peer, milliseconds. */
const GOODBYE_MS = 250;
/** Time a peer that says goodbye is given for the bytes it announced, milliseconds. */
const LAST_BYTES_MS = 1_000;
/** Messages that may wait for a peer that does not read them, bytes. */
const MAX_UNSENT_BYTES = 65_536;
/** Rates are averaged over so many seconds, as on every link. */
const BURST_SECONDS = 10;

/** What a link over QUIC is made of. */
export interface QuicLinkParts {
  readonly connection: QuicConnection;
  /** The connection's first stream, once both ends have agreed on a link. */
  readonly first: QuicStream;
  /** Clients open towards the relay, the relay opens towards devices. */
  readonly role: 'opener' | 'acceptor';
  readonly limits?: Partial<LinkLimits>;
}

/** Makes the link of a connection whose peer was admitted. Set `onStream` in the same turn. */
export function createQuicLink(parts: QuicLinkParts): Link {
  return new QuicLink(parts);
}

/** A {@link Link}, stream for stream over QUIC. Pings and the goodbye go over the connection's first stream. */
class QuicLink implements Link {
  readonly closed: Promise<LinkEnd>;
  readonly #connection: QuicConnection;
  readonly #first: QuicStream;
  readonly #role: QuicLinkParts['role'];
  readonly #limits: LinkLimits;
  readonly #splitter = new MessageSplitter(MAX_LINK_MESSAGE);
  readonly #messages: TokenBucket;
  readonly #openings: TokenBucket;
  readonly #pings = new Map<number, (roundTripMs: number | null) => void>();
  #lastPing = 0;
  #streams = 0;
  #listener: ((stream: ByteStream) => void) | null = null;
  #end: LinkEnd | null = null;
  #saidGoodbye = false;
  #expected: number | null = null;
  #timer: NodeJS.Timeout | undefined;
  #resolveClosed!: (end: LinkEnd) => void;
  #settled = false;

  constructor({ connection, first, role, limits }: QuicLinkParts) {
    this.#connection = connection;
    this.#first = first;
    this.#role = role;
    this.#limits = { ...DEFAULT_LINK_LIMITS, ...limits };
    this.#messages = new TokenBucket(this.#limits.controlFramesPerSecond, BURST_SECONDS, performance.now());
    this.#openings = new TokenBucket(this.#limits.openingsPerSecond, BURST_SECONDS, performance.now());
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    first.on('data', (bytes: Buffer) => this.#receive(bytes));
    first.on('end', () => this.#fail(new TowlineError('protocol_error', 'The peer ended the stream that carries the link.')));
    first.on('error', (error) => this.#fail(toTowlineError(error)));
    connection.onStream = (stream) => this.#accept(stream);
    connection.onProgress = () => this.#progress();
    connection.onResetSent = (stream, code) => {
      // A help beside QUIC's own words: where many wait, it does without.
      if (this.#end || this.#first.writableLength >= MAX_UNSENT_BYTES / 2) return false;
      this.#say({ type: 'reset', stream, code });
      return true;
    };
    void connection.closed.then((end) => this.#connectionClosed(end));
  }

  openStream(head: Uint8Array): ByteStream {
    if (this.#end) throw new TowlineError('link_closed');
    if (this.#role !== 'opener') throw new TowlineError('internal', 'This end of the link accepts streams and cannot open them.');
    checkStreamHead(head);
    if (this.#streams >= this.#limits.maxStreams) throw new TowlineError('stream_limit');
    if (!this.#openings.take(performance.now())) throw new TowlineError('stream_limit', 'Streams are opened too fast on this link.');
    return this.#count(this.#connection.openStream(head));
  }

  onStream(listener: (stream: ByteStream) => void): void {
    this.#listener = listener;
  }

  ping(signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (this.#end) return reject(new TowlineError('link_closed'));
      this.#lastPing += 1;
      const id = this.#lastPing;
      const sentMs = performance.now();
      const abort = () => {
        this.#pings.delete(id);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#pings.set(id, (answered) => {
        this.#pings.delete(id);
        signal.removeEventListener('abort', abort);
        if (answered === null) reject(new TowlineError('link_closed'));
        else resolve(answered - sentMs);
      });
      this.#say({ type: 'ping', id });
    });
  }

  async close(code: ErrorCode, message: string = ERRORS[code].text, graceMs: number = GOODBYE_MS): Promise<void> {
    if (!this.#end) {
      this.#end = { code, message, by: 'self' };
      this.#connection.closing = true;
      this.#timer = setTimeout(() => this.#hangUp(), graceMs);
      this.#progress();
    }
    await this.closed;
  }

  get stats(): LinkStats {
    const { bytesIn, bytesOut, lastReceivedMs } = this.#connection;
    return { bytesIn, bytesOut, openStreams: this.#streams, lastReceivedMs };
  }

  #count(stream: QuicStream): QuicStream {
    this.#streams += 1;
    stream.once('close', () => {
      this.#streams -= 1;
    });
    return stream;
  }

  #accept(stream: QuicStream): void {
    if (this.#role !== 'acceptor')
      return this.#fail(new TowlineError('protocol_error', 'The peer opened a stream where only this end may.'));
    if (!this.#openings.take(performance.now()) || this.#streams >= this.#limits.maxStreams)
      return void stream.destroy(new TowlineError('stream_limit'));
    if (this.#end) return void stream.destroy(new TowlineError('link_closed'));
    if (!this.#listener) return void stream.destroy(new TowlineError('unavailable'));
    this.#listener(this.#count(stream));
  }

  // Messages on the first stream

  #say(message: LinkMessage): void {
    if (this.#first.writableLength > MAX_UNSENT_BYTES)
      return this.#fail(new TowlineError('link_flooded', 'The peer causes more answers than it reads.'));
    this.#first.write(frameMessage(linkMessage.encode(message)));
  }

  #receive(bytes: Buffer): void {
    try {
      this.#splitter.push(bytes);
      for (let next = this.#splitter.next(); next !== null; next = this.#splitter.next()) this.#obey(linkMessage.decode(next));
    } catch (error) {
      this.#fail(toTowlineError(error));
    }
  }

  #obey(message: LinkMessage): void {
    if (!this.#messages.take(performance.now())) throw new TowlineError('link_flooded', 'The peer sent too many control messages.');
    if (message.type === 'ping') this.#say({ type: 'pong', id: message.id });
    else if (message.type === 'pong') this.#pings.get(message.id)?.(performance.now());
    else if (message.type === 'reset') this.#peerReset(message.stream, message.code);
    else this.#peerLeaves(message);
  }

  #peerReset(id: number, wire: number): void {
    // The first stream is this one.
    if (id === 0) throw new TowlineError('protocol_error', 'The peer reset the stream that carries the link.');
    this.#connection.wasReset(id, new TowlineError(errorCodeOfWire(wire, 'stream_reset')));
  }

  // The end

  /** Says goodbye once everything that was written is on its way; waits for the peer to hang up, which has then read it. */
  #progress(): void {
    const connection = this.#connection;
    if (this.#expected !== null && connection.streamBytesIn >= this.#expected) return this.#hangUp();
    if (this.#end?.by !== 'self' || this.#saidGoodbye || connection.hasUnsent) return;
    this.#saidGoodbye = true;
    const { code, message } = this.#end;
    this.#first.write(
      frameMessage(linkMessage.encode({ type: 'close', code, message: message.slice(0, 512), sent: connection.streamBytesOut })),
    );
  }

  #peerLeaves({ code, message, sent }: Extract<LinkMessage, { readonly type: 'close' }>): void {
    if (this.#end) return this.#hangUp();
    const known: ErrorCode = isErrorCode(code) ? code : 'link_closed';
    this.#end = { code: known, message: message || ERRORS[known].text, by: 'peer' };
    this.#expected = sent;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#hangUp(), LAST_BYTES_MS);
    this.#connection.beginDraining();
    this.#progress();
  }

  /** What the peer or a user broke ends the link, and says so. */
  #fail(error: TowlineError): void {
    if (this.#settled) return;
    this.#end ??= { code: error.code, message: error.message, by: 'self' };
    this.#hangUp();
  }

  #hangUp(): void {
    const { code, message } = this.#end!;
    this.#connection.close(ERRORS[code].wire, message);
  }

  #connectionClosed(end: ConnectionEnd): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#end ??= linkEnd(end);
    const error = new TowlineError(this.#end.code, this.#end.message);
    for (const settle of this.#pings.values()) settle(null);
    this.#connection.endStreams(error);
    // By then the streams have told their users.
    setImmediate(() => this.#resolveClosed(this.#end!));
  }
}

/** A reason given by QUIC itself, as of a peer that breaks its rules, tells users no more than that the link is lost. */
function linkEnd({ by, isApp, code, reason }: ConnectionEnd): LinkEnd {
  if (by === 'peer' && isApp) {
    const known = errorCodeOfWire(code, 'link_closed');
    return { code: known, message: reason || ERRORS[known].text, by: 'peer' };
  }
  return { code: 'link_lost', message: ERRORS.link_lost.text, by: 'lost' };
}
