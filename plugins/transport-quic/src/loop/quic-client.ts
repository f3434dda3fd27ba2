import { TowlineError } from '@towline/protocol';
import type { HostPort, NativeConfig, Quiche } from '../binding/quiche.ts';
import { newConnectionId, renewConnectionIds } from './connection-ids.ts';
import type { DatagramSocket } from './datagram-socket.ts';
import { PacketSlab } from './packet-slab.ts';
import { KEEP_ALIVE_MS, PACKET_BYTES } from './quic-config.ts';
import { QuicConnection } from './quic-connection.ts';

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
  /** Goes on over a new socket, as after a change of address. False: not now, as the peer gave no spare id yet. */
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

class Client implements DialledConnection {
  readonly connection: QuicConnection;
  readonly #options: QuicClientOptions;
  readonly #sockets = new Map<string, DatagramSocket>();
  #current: DatagramSocket;
  #migrating = false;

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
      // A client's socket belongs to one connection, so no id needs to be found again.
      onTurn: ({ native }) => {
        renewConnectionIds(native, secret, { added: () => {}, retired: () => {} });
        this.#lookAtPaths();
      },
      // A program that has said goodbye may end at once.
      onOver: () => {
        for (const each of this.#sockets.values()) each.unref();
      },
      socketFor: (local) => this.#sockets.get(socketKey(local)) ?? this.#current,
    });
    this.#listen(socket);
    this.connection.onGone = () => {
      for (const each of this.#sockets.values()) each.close();
      this.#sockets.clear();
    };
  }

  get local(): HostPort {
    return this.#current.local;
  }

  async migrate(): Promise<boolean> {
    const { native } = this.connection;
    if (this.#migrating || !this.connection.isEstablished || this.connection.isClosed || native.availableDcids() < 1) return false;
    this.#migrating = true;
    try {
      const socket = await this.#options.openSocket();
      if (this.connection.isClosed) return this.#giveUp(socket);
      return this.#moveTo(socket);
    } finally {
      this.#migrating = false;
    }
  }

  #moveTo(socket: DatagramSocket): boolean {
    this.#listen(socket);
    try {
      this.connection.native.migrate(socket.local, this.#options.peer);
    } catch {
      this.#sockets.delete(socketKey(socket.local));
      return this.#giveUp(socket);
    }
    this.#current = socket;
    this.connection.countAddressChange();
    // Moving sends nothing by itself.
    this.connection.askForLife();
    return true;
  }

  #giveUp(socket: DatagramSocket): false {
    socket.close();
    return false;
  }

  #listen(socket: DatagramSocket): void {
    this.#sockets.set(socketKey(socket.local), socket);
    socket.onPacket((packet) => this.connection.receive(packet, this.#options.peer, socket.local));
    socket.onError((error) => this.#refused(error));
  }

  /** A port that refuses before the handshake is an answer. Later it may be anybody's word, so that it is not believed. */
  #refused(error: Error): void {
    if (!this.connection.isEstablished && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') this.connection.abandon();
  }

  /** Sockets of paths that are no more are closed. */
  #lookAtPaths(): void {
    const { native } = this.connection;
    for (let event = native.pathEventNext(); event; event = native.pathEventNext()) {
      if (event.type !== 'Closed' && event.type !== 'FailedValidation') continue;
      const key = socketKey(event.local);
      const socket = this.#sockets.get(key);
      if (!socket || socket === this.#current) continue;
      this.#sockets.delete(key);
      socket.close();
    }
  }
}

function socketKey({ host, port }: HostPort): string {
  return `${host} ${port}`;
}
