import { createHmac } from 'node:crypto';
import { TokenBucket } from '@towline/link';
import { ERRORS, type ErrorCode } from '@towline/protocol';
import { type HostPort, type NativeConfig, PACKET, type PacketHeader, type Quiche } from '../binding/quiche.ts';
import {
  CONNECTION_ID_BYTES,
  idKey,
  newConnectionId,
  renewConnectionIds,
  resetToken,
  shortHeaderKey,
  tokenNumber,
} from './connection-ids.ts';
import type { DatagramSocket } from './datagram-socket.ts';
import { originOf } from './origin.ts';
import { PacketSlab } from './packet-slab.ts';
import { PACKET_BYTES, type QuicTuning, serverConfig } from './quic-config.ts';
import { QuicConnection } from './quic-connection.ts';
import { makeRetryToken, readRetryToken } from './retry-token.ts';
import { statelessReset } from './stateless-reset.ts';
import { createStrangerBytes } from './stranger-bytes.ts';

/** A client's first packet is padded to so many bytes (RFC 9000 section 14.1); what is shorter is none. */
const MIN_INITIAL_BYTES = 1_200;
/** Time for a handshake, milliseconds. */
const HANDSHAKE_MS = 5_000;
/** Time for the last packets of closed connections, milliseconds. */
const CLOSING_MS = 1_000;
/**
 * Handshakes a second that are begun without a Retry, on average over one. What is no handshake at all is over at once
 * and never counts among those under way, but costs as much to begin.
 */
const BEGUN_PER_SECOND = 500;
/** Stateless resets a second: enough for every device to learn of a restart, too few to be of use to a flood. */
const RESETS_PER_SECOND = 5_000;

/** Bounds of a server. */
export interface ServerLimits {
  /** Connections, those in their handshake included. 20,000 by default. */
  readonly maxConnections?: number;
  /** Handshakes at once. More are not begun. 1,000 by default. */
  readonly maxHandshakes?: number;
  /** Of these, with one origin. 250 by default: fifty a second that are never finished. */
  readonly maxHandshakesPerOrigin?: number;
  /** Handshakes at once above which a client must first show, by a Retry, that it receives at its address. 50 by default. */
  readonly retryAbove?: number;
}

/** What {@link createQuicServer} takes. */
export interface QuicServerOptions {
  readonly quiche: Quiche;
  readonly socket: DatagramSocket;
  readonly certificate: { readonly certPem: string; readonly keyPem: string };
  /** 32 random bytes. A server that is started again with the same ones tells clients of the last one that their connections are gone. */
  readonly secret: Buffer;
  /** Called for each connection whose handshake is done. */
  readonly onConnection: (connection: QuicConnection) => void;
  readonly limits?: ServerLimits;
  readonly tuning?: QuicTuning;
}

/** A QUIC server on one socket. */
export interface QuicServer {
  /** Connections from here on get this certificate. @throws an Error when it cannot be used; the old one stays then. */
  renewCertificate(certificate: QuicServerOptions['certificate']): void;
  /** Figures by name; those that end in `_total` only grow. */
  readonly figures: Readonly<Record<string, number>>;
  /** Closes all connections with this reason and resolves when they are gone, within a second. The socket is closed then. */
  close(code: ErrorCode, text: string): Promise<void>;
}

/** Serves QUIC on a socket: which connection a packet belongs to, and what to do with one that belongs to none. */
export function createQuicServer(options: QuicServerOptions): QuicServer {
  return new Server(options);
}

class Server implements QuicServer {
  readonly #options: QuicServerOptions;
  readonly #limits: Required<ServerLimits>;
  readonly #slab = new PacketSlab(PACKET_BYTES);
  readonly #byId = new Map<string, QuicConnection>();
  readonly #connections = new Set<QuicConnection>();
  readonly #retryKey: Buffer;
  readonly #resetKey: Buffer;
  #config: NativeConfig;
  readonly #strangerBytes = createStrangerBytes();
  #handshakes = 0;
  readonly #handshakesFrom = new Map<string, number>();
  #closing = false;
  #resetsLeft = RESETS_PER_SECOND;
  readonly #resetTimer: NodeJS.Timeout;
  readonly #begun = new TokenBucket(BEGUN_PER_SECOND, 1, performance.now());
  readonly #counts = { packets: 0, handshakes: 0, connections: 0, retries: 0, refused: 0, dropped: 0, resets: 0 };

  constructor(options: QuicServerOptions) {
    this.#options = options;
    this.#limits = { maxConnections: 20_000, maxHandshakes: 1_000, maxHandshakesPerOrigin: 250, retryAbove: 50, ...options.limits };
    this.#config = serverConfig(options.quiche, options.certificate, options.tuning ?? {});
    this.#retryKey = createHmac('sha256', options.secret).update('retry key').digest();
    this.#resetKey = createHmac('sha256', options.secret).update('reset key').digest();
    this.#resetTimer = setInterval(() => {
      this.#resetsLeft = RESETS_PER_SECOND;
    }, 1_000);
    this.#resetTimer.unref();
    options.socket.onPacket((packet, from) => this.#take(packet, from));
    // A send that fails is a packet that was lost.
    options.socket.onError(() => {});
  }

  renewCertificate(certificate: QuicServerOptions['certificate']): void {
    this.#config = serverConfig(this.#options.quiche, certificate, this.#options.tuning ?? {});
  }

  get figures(): Readonly<Record<string, number>> {
    const { packets, handshakes, connections, retries, refused, dropped, resets } = this.#counts;
    return {
      connections: this.#connections.size - this.#handshakes,
      handshakes: this.#handshakes,
      packets_received_total: packets,
      handshakes_total: handshakes,
      connections_total: connections,
      retries_total: retries,
      refused_total: refused,
      dropped_packets_total: dropped,
      stateless_resets_total: resets,
    };
  }

  async close(code: ErrorCode, text: string): Promise<void> {
    this.#closing = true;
    for (const connection of this.#connections) connection.close(ERRORS[code].wire, text);
    await Promise.race([this.#whenEmpty(), new Promise((late) => setTimeout(late, CLOSING_MS).unref())]);
    for (const connection of this.#connections) connection.abandon();
    clearInterval(this.#resetTimer);
    this.#options.socket.close();
  }

  async #whenEmpty(): Promise<void> {
    while (this.#connections.size > 0) await new Promise((again) => setTimeout(again, 10));
  }

  #take(packet: Buffer, from: HostPort): void {
    this.#counts.packets += 1;
    // The first bit tells long headers from short ones (RFC 8999 section 5).
    if (packet.length > CONNECTION_ID_BYTES && (packet[0]! & 0x80) === 0) {
      const connection = this.#byId.get(shortHeaderKey(packet));
      if (connection) this.#give(connection, packet, from);
      else this.#reset(packet, from);
      return;
    }
    const header = this.#readHeader(packet);
    const known = header && this.#byId.get(idKey(header.dcid));
    if (known) this.#give(known, packet, from);
    else if (header) this.#begin(packet, header, from);
    else this.#counts.dropped += 1;
  }

  #readHeader(packet: Buffer): PacketHeader | null {
    try {
      return this.#options.quiche.Header.fromSlice(packet, CONNECTION_ID_BYTES);
    } catch {
      return null;
    }
  }

  /** A packet of no known connection: perhaps the first of a new one. */
  #begin(packet: Buffer, header: PacketHeader, from: HostPort): void {
    const { quiche } = this.#options;
    if (packet.length < MIN_INITIAL_BYTES || this.#closing) return this.#drop();
    if (!quiche.versionIsSupported(header.version)) {
      // An answer to a version negotiation packet would be answered in turn.
      if (header.ty === PACKET.versionNegotiation || header.version === 0) return this.#drop();
      return this.#answer(from, (out) => quiche.negotiateVersion(header.scid, header.dcid, out));
    }
    if (header.ty !== PACKET.initial || header.dcid.length < 8) return this.#drop();
    const token = header.token ?? new Uint8Array();
    const facts = { from, nowMs: Date.now() };
    if (token.length === 0) {
      if (this.#handshakes < this.#limits.retryAbove && this.#begun.take(performance.now()))
        return this.#accept(packet, from, { id: newConnectionId(), sentTo: header.dcid, firstId: null });
      this.#counts.retries += 1;
      const retryId = newConnectionId();
      const fresh = makeRetryToken(this.#retryKey, header.dcid, { ...facts, retryId });
      return this.#answer(from, (out) => quiche.retry(header.scid, header.dcid, retryId, fresh, header.version, out));
    }
    const firstId = readRetryToken(this.#retryKey, token, { ...facts, retryId: header.dcid });
    if (firstId === null) return this.#drop();
    this.#accept(packet, from, { id: Buffer.from(header.dcid), sentTo: header.dcid, firstId });
  }

  #drop(): void {
    this.#counts.dropped += 1;
  }

  /** One packet that belongs to no connection. */
  #answer(to: HostPort, write: (out: Buffer) => number): void {
    try {
      const bytes = write(this.#slab.room());
      this.#options.socket.send(this.#slab.take(bytes), to);
    } catch {
      this.#drop();
    }
  }

  /** `id` will be ours; until the client has it, it goes on sending to the id of its own making. */
  #accept(
    packet: Buffer,
    from: HostPort,
    { id, sentTo, firstId }: { readonly id: Buffer; readonly sentTo: Uint8Array; readonly firstId: Buffer | null },
  ): void {
    const { quiche, socket } = this.#options;
    const origin = originOf(from.host);
    if (!this.#hasRoomFor(origin)) {
      this.#counts.refused += 1;
      return;
    }
    this.#config.setStatelessResetToken(tokenNumber(resetToken(this.#resetKey, id)));
    let connection: QuicConnection;
    const ids = new Set<string>();
    try {
      connection = new QuicConnection({
        native: quiche.Connection.accept(id, firstId, socket.local, from, this.#config),
        role: 'server',
        socket,
        slab: this.#slab,
        peer: from,
        keepAliveMs: null,
        onTurn: (self) => this.#tend(self, ids, idKey(id)),
      });
    } catch {
      return this.#drop();
    }
    this.#counts.handshakes += 1;
    this.#countHandshake(origin, 1);
    this.#connections.add(connection);
    this.#route(idKey(id), ids, connection);
    this.#route(idKey(sentTo), ids, connection);
    const handshakeOver = this.#watchHandshake(connection, origin);
    connection.onGone = () => {
      // Now, not in a later turn: whoever reads the figures in between would see more handshakes than connections.
      handshakeOver();
      this.#connections.delete(connection);
      for (const key of ids) this.#byId.delete(key);
    };
    this.#give(connection, packet, from);
  }

  #give(connection: QuicConnection, packet: Buffer, from: HostPort): void {
    const before = connection.bytesIn;
    connection.receive(packet, from);
    this.#strangerBytes.count(connection, connection.bytesIn - before);
  }

  #hasRoomFor(origin: string): boolean {
    const { maxHandshakes, maxHandshakesPerOrigin, maxConnections } = this.#limits;
    if (this.#handshakes >= maxHandshakes || this.#connections.size >= maxConnections) return false;
    return (this.#handshakesFrom.get(origin) ?? 0) < maxHandshakesPerOrigin;
  }

  #countHandshake(origin: string, change: 1 | -1): void {
    this.#handshakes += change;
    const left = (this.#handshakesFrom.get(origin) ?? 0) + change;
    if (left === 0) this.#handshakesFrom.delete(origin);
    else this.#handshakesFrom.set(origin, left);
  }

  /** Answers how to say that the handshake is over; saying it again does nothing. */
  #watchHandshake(connection: QuicConnection, origin: string): () => void {
    const late = setTimeout(() => {
      connection.close(ERRORS.timeout.wire, 'The handshake took too long.');
      connection.abandon();
    }, HANDSHAKE_MS);
    const over = () => {
      clearTimeout(late);
      if (counted) this.#countHandshake(origin, -1);
      counted = false;
    };
    let counted = true;
    void connection.closed.then(over);
    void connection.established.then(() => {
      over();
      if (connection.isClosed) return;
      this.#counts.connections += 1;
      this.#options.onConnection(connection);
    });
    return over;
  }

  /** Renews the ids that the peer may use. */
  #tend(connection: QuicConnection, ids: Set<string>, firstId: string): void {
    for (const id of connection.takeRetiredIds()) {
      const key = idKey(id);
      // A client obeys the reset token of its first id for as long as it lives: nobody may have that sent by naming the id.
      if (key === firstId) continue;
      ids.delete(key);
      this.#byId.delete(key);
    }
    renewConnectionIds(connection.native, this.#resetKey, { added: (id) => this.#route(idKey(id), ids, connection) });
  }

  #route(key: string, ids: Set<string>, connection: QuicConnection): void {
    if (this.#byId.has(key)) return;
    ids.add(key);
    this.#byId.set(key, connection);
  }

  /** Tells whoever sends to a connection that is gone, as after a restart, that it is. */
  #reset(packet: Buffer, from: HostPort): void {
    const bytes = statelessReset(packet, this.#resetKey);
    if (bytes === null || this.#resetsLeft <= 0) return this.#drop();
    this.#resetsLeft -= 1;
    this.#counts.resets += 1;
    this.#options.socket.send(bytes, from);
  }
}
