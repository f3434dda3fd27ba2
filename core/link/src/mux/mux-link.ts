import type { Duplex } from 'node:stream';
import type { ByteStream, Link, LinkEnd, LinkStats } from '@towline/contract';
import {
  ERRORS,
  type ErrorCode,
  encodeClose,
  encodePong,
  errorCodeOfWire,
  FrameDecoder,
  TowlineError,
  toTowlineError,
} from '@towline/protocol';
import { deliverWaiting } from './bulk-delivery.ts';
import { CreditBudget } from './credit-budget.ts';
import { FloodGuard } from './flood-guard.ts';
import type { LinkLimits } from './link-limits.ts';
import { Pings } from './pings.ts';
import { SendQueue } from './send-queue.ts';
import { type LinkRole, StreamTable } from './stream-table.ts';
import { countTraffic } from './young-garbage.ts';

/** Time for the last frames to reach the peer, milliseconds. */
const GOODBYE_MS = 250;
/** Credit of fewer bytes counts as a control frame; more than that comes only with data. */
const TINY_CREDIT_BYTES = 16_384;

/** What a {@link MuxLink} is built with. */
export interface MuxLinkSettings {
  readonly role: LinkRole;
  readonly limits: LinkLimits;
  /** Budget of growing windows that links share, beside each one's own. */
  readonly sharedGrowth: CreditBudget | undefined;
}

/** A link over one duplex of bytes; see {@link Link} for what its users may rely on. */
export class MuxLink implements Link {
  readonly closed: Promise<LinkEnd>;
  readonly #duplex: Duplex;
  readonly #decoder: FrameDecoder;
  readonly #queue: SendQueue;
  readonly #streams: StreamTable;
  readonly #pings: Pings;
  readonly #flood: FloodGuard;
  #resolveClosed!: (end: LinkEnd) => void;
  #end: LinkEnd | null = null;
  #saidGoodbye = false;
  #settled = false;
  #deadline: NodeJS.Timeout | undefined;
  #bytesIn = 0;
  #bytesCounted = 0;
  #lastReceivedMs = performance.now();

  constructor(duplex: Duplex, settings: MuxLinkSettings) {
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#duplex = duplex;
    this.#flood = new FloodGuard(settings.limits, this.#lastReceivedMs);
    this.#queue = new SendQueue(duplex, () => this.#fail(new TowlineError('link_flooded', 'The peer causes more answers than it reads.')));
    this.#pings = new Pings((frame) => this.#queue.control(frame));
    this.#streams = new StreamTable({
      role: settings.role,
      limits: settings.limits,
      growth: new CreditBudget(settings.limits.creditGrowth, settings.sharedGrowth),
      queue: this.#queue,
      flood: this.#flood,
      roundTripMs: () => this.#pings.shortestMs(performance.now()),
    });
    this.#decoder = this.#createDecoder();
    this.#attach();
  }

  openStream(head: Uint8Array): ByteStream {
    if (this.#end) throw new TowlineError('link_closed');
    return this.#streams.open(head);
  }

  onStream(listener: (stream: ByteStream) => void): void {
    this.#streams.listener = listener;
  }

  ping(signal: AbortSignal): Promise<number> {
    return this.#end ? Promise.reject(new TowlineError('link_closed')) : this.#pings.ping(signal);
  }

  async close(code: ErrorCode, message: string = ERRORS[code].text, graceMs: number = GOODBYE_MS): Promise<void> {
    if (!this.#end) {
      this.#end = { code, message, by: 'self' };
      this.#deadline = setTimeout(this.#settle, graceMs);
      // Some of what has arrived, on other links too, may be to be sent here.
      deliverWaiting();
      this.#streams.beginClosing();
      this.#queue.whenIdle(() => this.#sayGoodbye());
    }
    await this.closed;
  }

  get stats(): LinkStats {
    return {
      bytesIn: this.#bytesIn,
      bytesOut: this.#queue.bytesOut,
      openStreams: this.#streams.size,
      lastReceivedMs: this.#lastReceivedMs,
    };
  }

  #createDecoder(): FrameDecoder {
    const streams = this.#streams;
    return new FrameDecoder({
      onOpen: (id, head) => streams.opened(id, head),
      onData: (id, bytes) => streams.received(id, bytes),
      onFin: (id) => streams.finished(id),
      onReset: (id, wire) => streams.wasReset(id, wire),
      onCredit: (id, bytes) => {
        if (bytes < TINY_CREDIT_BYTES) this.#flood.countControl();
        streams.credited(id, bytes);
      },
      onPing: (opaque) => {
        this.#flood.countControl();
        this.#queue.control(encodePong(opaque));
      },
      onPong: (opaque) => {
        this.#flood.countControl();
        this.#pings.answered(opaque);
      },
      onClose: (wire, text) => this.#peerClosed(wire, text),
    });
  }

  #attach(): void {
    if ('setNoDelay' in this.#duplex && typeof this.#duplex.setNoDelay === 'function') this.#duplex.setNoDelay(true);
    this.#duplex.on('error', this.#lost);
    this.#duplex.on('end', this.#lost);
    this.#duplex.on('close', this.#lost);
    if (this.#duplex.destroyed || this.#duplex.readableEnded) process.nextTick(this.#lost);
    else this.#duplex.on('data', this.#receive);
  }

  /** Whatever a peer sends, nothing is thrown from here: what it breaks is its own link. */
  readonly #receive = (bytes: Buffer): void => {
    this.#bytesIn += bytes.length;
    this.#lastReceivedMs = performance.now();
    if (this.#saidGoodbye) return;
    try {
      this.#decoder.push(bytes);
      this.#streams.deliver();
    } catch (error) {
      this.#fail(toTowlineError(error));
    }
    this.#countTraffic();
  };

  #countTraffic(): void {
    const bytes = this.#bytesIn + this.#queue.bytesOut;
    countTraffic(bytes - this.#bytesCounted);
    this.#bytesCounted = bytes;
  }

  #fail(error: TowlineError): void {
    this.#end ??= { code: error.code, message: error.message, by: 'self' };
    this.#sayGoodbye();
  }

  #peerClosed(wire: number, text: string): void {
    const code = errorCodeOfWire(wire, 'link_closed');
    this.#decoder.stop();
    this.#streams.deliverAll();
    this.#end ??= { code, message: text || ERRORS[code].text, by: 'peer' };
    this.#settle();
  }

  readonly #lost = (): void => {
    this.#streams.deliverAll();
    this.#end ??= { code: 'link_lost', message: ERRORS.link_lost.text, by: 'lost' };
    this.#settle();
  };

  /**
   * Says why and goes on reading, to nowhere, until the peer hangs up or the time is over: a socket that is closed
   * with unread bytes makes the system discard what the peer has not read yet, the CLOSE frame too.
   */
  #sayGoodbye(): void {
    if (this.#saidGoodbye) return;
    const { code, message } = this.#end!;
    this.#endStreams();
    this.#queue.end(encodeClose(ERRORS[code].wire, message));
    this.#deadline ??= setTimeout(this.#settle, GOODBYE_MS);
  }

  readonly #settle = (): void => {
    if (this.#settled) return;
    this.#settled = true;
    const end = this.#end!;
    clearTimeout(this.#deadline);
    this.#endStreams();
    this.#queue.end(null);
    this.#duplex.destroy();
    // By then the streams have told their users.
    setImmediate(() => this.#resolveClosed(end));
  };

  #endStreams(): void {
    this.#saidGoodbye = true;
    this.#decoder.stop();
    this.#pings.close();
    this.#streams.detachAll(new TowlineError(this.#end!.code, this.#end!.message));
  }
}
