import { TowlineError } from '@towline/protocol';
import type { HostPort, NativeConfig, Quiche } from '../binding/quiche.ts';
import {
  ACTIVE_CONNECTION_IDS,
  CONNECTION_ID_BYTES,
  GIVEN_IDS,
  idKey,
  newConnectionId,
  renewConnectionIds,
  shortHeaderKey,
} from './connection-ids.ts';
import type { DatagramSocket } from './datagram-socket.ts';
import { PacketSlab } from './packet-slab.ts';
import { KEEP_ALIVE_MS, PACKET_BYTES } from './quic-config.ts';
import { QuicConnection } from './quic-connection.ts';

/** Time for packets that are on their way to a socket that was left, milliseconds. */
const LATE_PACKETS_MS = 3_000;

/** Ids of the peer that are looked through for the one in use. */
const MAX_NUMBER_GAP = 8;
/** More are not counted: anybody may send packets with any id. */
const MAX_USED_IDS = ACTIVE_CONNECTION_IDS;

/** What {@link connectQuic} takes. */
export interface QuicClientOptions {
  readonly quiche: Quiche;
  readonly config: NativeConfig;
  /** Name that is sent and checked; null for an address, which is no name. */
  readonly serverName: string | null;
  readonly peer: HostPort;
  /** Opens a socket towards the peer; asked for again when the way there changes. */
  readonly openSocket: () => Promise<DatagramSocket>;
  /** Randomness of stateless reset tokens that we give the peer. */
  readonly secret: Buffer;
  /** {@link KEEP_ALIVE_MS} by default. */
  readonly keepAliveMs?: number;
}

/** A connection that this end dialled. */
export interface DialledConnection {
  readonly connection: QuicConnection;
  /** Local address of the way in use. */
  readonly local: HostPort;
  /** Goes on over a new socket, as after a change of address. False: not before the handshake is done, nor when it is over. */
  migrate(): Promise<boolean>;
}

/** Begins a connection; it is established later, or closed. @throws TowlineError `relay_unreachable` without a route. */
export async function connectQuic(options: QuicClientOptions): Promise<DialledConnection> {
  const socket = await options.openSocket();
  try {
    return new Client(options, socket);
  } catch (cause) {
    socket.close();
    throw new TowlineError('relay_unreachable', undefined, { cause });
  }
}

/**
 * For quiche the connection stays on one path while sockets change beneath it: what it has sent on a path that is left
 * it would not repeat, see `peer-places.ts`.
 */
class Client implements DialledConnection {
  readonly connection: QuicConnection;
  readonly #options: QuicClientOptions;
  readonly #sockets = new Set<DatagramSocket>();
  #current: DatagramSocket;
  #migrating = false;
  /** The number that the peer gave to the id in use, or a lower one. */
  #peerId = 0;
  /** Ids of ours that the peer has used. It needs another one for each new address of ours that it checks, and keeps it. */
  readonly #used = new Set<string>();

  constructor(options: QuicClientOptions, socket: DatagramSocket) {
    const { quiche, config, serverName, peer, secret, keepAliveMs = KEEP_ALIVE_MS } = options;
    this.#options = options;
    this.#current = socket;
    this.connection = new QuicConnection({
      native: quiche.Connection.connect(serverName, newConnectionId(), socket.local, peer, config),
      role: 'client',
      socket,
      slab: new PacketSlab(PACKET_BYTES),
      peer,
      keepAliveMs,
      onTurn: (connection) => {
        for (const id of connection.takeRetiredIds()) this.#used.delete(idKey(id));
        const { native } = connection;
        // The peer may have spent the ids it had on addresses that were left before it was heard from there.
        const held = connection.takeAlarm() ? native.activeSourceCids() : this.#used.size;
        renewConnectionIds(native, secret, { added: () => {}, wanted: GIVEN_IDS + held });
      },
      // A program that has said goodbye may end at once.
      onOver: () => {
        for (const each of this.#sockets) each.unref();
      },
      currentSocket: () => this.#current,
    });
    this.#listen(socket);
    this.connection.onGone = () => {
      for (const each of this.#sockets) each.close();
      this.#sockets.clear();
    };
  }

  get local(): HostPort {
    return this.#current.local;
  }

  async migrate(): Promise<boolean> {
    if (this.#migrating || !this.connection.isEstablished || this.connection.isClosed) return false;
    this.#migrating = true;
    try {
      const socket = await this.#options.openSocket();
      if (this.connection.isClosed) {
        socket.close();
        return false;
      }
      this.#moveTo(socket);
      return true;
    } finally {
      this.#migrating = false;
    }
  }

  #moveTo(socket: DatagramSocket): void {
    const former = this.#current;
    this.#listen(socket);
    this.#current = socket;
    this.#takeAnotherId();
    setTimeout(() => this.#close(former), LATE_PACKETS_MS).unref();
    // Moving sends nothing by itself.
    this.connection.askForLife();
  }

  /** Whoever watches both ways does not learn from the id that they are of one device (RFC 9000 section 9.5). */
  #takeAnotherId(): void {
    const { native } = this.connection;
    // Without a spare one it is better known than lost.
    if (native.availableDcids() < 1) return;
    const before = idKey(native.destinationId());
    for (let tries = MAX_NUMBER_GAP; tries > 0 && idKey(native.destinationId()) === before; tries -= 1) {
      try {
        native.retireDestinationCid(this.#peerId);
      } catch {
        // That number is none of an id that we hold: they are taken in the order in which they arrive.
      }
      this.#peerId += 1;
    }
  }

  #close(socket: DatagramSocket): void {
    this.#sockets.delete(socket);
    socket.close();
  }

  #noteId(packet: Buffer): void {
    if (packet.length <= CONNECTION_ID_BYTES || (packet[0]! & 0x80) !== 0 || this.#used.size >= MAX_USED_IDS) return;
    this.#used.add(shortHeaderKey(packet));
  }

  #listen(socket: DatagramSocket): void {
    this.#sockets.add(socket);
    socket.onPacket((packet) => {
      this.#noteId(packet);
      this.connection.receive(packet, this.#options.peer);
    });
    socket.onError((error) => this.#refused(error));
  }

  /** A port that refuses before the handshake is an answer. Later it may be anybody's word, so that it is not believed. */
  #refused(error: Error): void {
    if (!this.connection.isEstablished && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') this.connection.abandon();
  }
}
