/**
 * What we use of the native binding of Cloudflare's quiche 0.18 that @matrixai/quic (and its fork @infisical/quic)
 * ships: classes over the Rust ones, no events, no timers, no sockets. Every call may throw a plain Error whose
 * message is the name of quiche's error, as `StreamReset(7)` or `InvalidPacket`. "Nothing to do" is null.
 */
export interface Quiche {
  readonly Config: {
    /** PEM texts. Without `ca` and with `verifyPeer` nothing is trusted. */
    withBoringSslCtx(
      verifyPeer: boolean,
      verifyAllowFail: boolean,
      ca?: Uint8Array | null,
      key?: Uint8Array[] | null,
      cert?: Uint8Array[] | null,
      sigalgs?: string | null,
    ): NativeConfig;
  };
  readonly Connection: {
    /** The server name is sent and checked against the certificate; without one nothing but the chain is checked. */
    connect(serverName: string | null, scid: Uint8Array, local: HostPort, remote: HostPort, config: NativeConfig): NativeConnection;
    /** `odcid` is the first id the client sent to, where a Retry came between. */
    accept(scid: Uint8Array, odcid: Uint8Array | null, local: HostPort, remote: HostPort, config: NativeConfig): NativeConnection;
  };
  readonly Header: { fromSlice(data: Uint8Array, dcidLength: number): PacketHeader };
  versionIsSupported(version: number): boolean;
  /** Writes a version negotiation packet; answers its length. */
  negotiateVersion(scid: Uint8Array, dcid: Uint8Array, out: Uint8Array): number;
  /** Writes a Retry packet; answers its length. */
  retry(scid: Uint8Array, dcid: Uint8Array, newScid: Uint8Array, token: Uint8Array, version: number, out: Uint8Array): number;
}

/** An address as quiche takes and gives it: an IP literal and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Settings of connections; BoringSSL's context is inside. */
export interface NativeConfig {
  grease(on: boolean): void;
  setApplicationProtos(protocols: string[]): void;
  setMaxIdleTimeout(ms: number): void;
  setMaxRecvUdpPayloadSize(bytes: number): void;
  setMaxSendUdpPayloadSize(bytes: number): void;
  setInitialMaxData(bytes: number): void;
  setInitialMaxStreamDataBidiLocal(bytes: number): void;
  setInitialMaxStreamDataBidiRemote(bytes: number): void;
  setInitialMaxStreamDataUni(bytes: number): void;
  setInitialMaxStreamsBidi(streams: number): void;
  setInitialMaxStreamsUni(streams: number): void;
  setMaxConnectionWindow(bytes: number): void;
  setMaxStreamWindow(bytes: number): void;
  setActiveConnectionIdLimit(ids: number): void;
  setDisableActiveMigration(off: boolean): void;
  setCcAlgorithmName(name: string): void;
  enableHystart(on: boolean): void;
  enablePacing(on: boolean): void;
  setStatelessResetToken(token: bigint | null): void;
}

/** Direction of {@link NativeConnection.streamShutdown}. */
export const SHUTDOWN = Object.freeze({ read: 0, write: 1 });
/** {@link PacketHeader.ty}. */
export const PACKET = Object.freeze({ initial: 0, retry: 1, handshake: 2, zeroRtt: 3, versionNegotiation: 4, short: 5 });

/** The head of a packet, as far as it is readable without keys. */
export interface PacketHeader {
  readonly ty: number;
  readonly version: number;
  readonly dcid: Uint8Array;
  readonly scid: Uint8Array;
  readonly token?: Uint8Array | null;
}

/** One connection of quiche: packets in, streams, packets out. */
export interface NativeConnection {
  /** Decrypts in place. */
  recv(packet: Uint8Array, info: { readonly from: HostPort; readonly to: HostPort }): number;
  send(out: Uint8Array): [length: number, info: { readonly from: HostPort; readonly to: HostPort }] | null;
  /** As {@link send}, of one path alone. */
  sendOnPath(out: Uint8Array, from: HostPort, to: HostPort): ReturnType<NativeConnection['send']>;
  /** Milliseconds until {@link onTimeout} is due. */
  timeout(): number | null;
  onTimeout(): void;
  streamRecv(id: number, into: Uint8Array): [length: number, fin: boolean] | null;
  streamSend(id: number, data: Uint8Array, fin: boolean): number | null;
  streamShutdown(id: number, direction: number, code: number): undefined | null;
  streamCapacity(id: number): number;
  streamFinished(id: number): boolean;
  streamPriority(id: number, urgency: number, incremental: boolean): void;
  streamReadable(id: number): boolean;
  /** Whether any stream can be read. */
  isReadable(): boolean;
  readable(): Iterable<number>;
  writable(): Iterable<number>;
  peerStreamsLeftBidi(): number;
  /** Asks for a packet that the peer must acknowledge. */
  sendAckEliciting(): void;
  close(app: boolean, code: number, reason: Uint8Array): undefined | null;
  isEstablished(): boolean;
  isClosed(): boolean;
  isDraining(): boolean;
  isTimedOut(): boolean;
  peerError(): ConnectionError | null;
  localError(): ConnectionError | null;
  /** DER, leaf first. */
  peerCertChain(): Uint8Array[] | null;
  applicationProto(): Uint8Array;
  sourceId(): Uint8Array;
  /** Id of the peer in use. */
  destinationId(): Uint8Array;
  newSourceCid(scid: Uint8Array, resetToken: bigint, retireIfNeeded: boolean): number;
  /** Ids of ours that the peer holds. */
  activeSourceCids(): number;
  /** Ids that the peer would take beyond those. */
  sourceCidsLeft(): number;
  retiredScidNext(): Uint8Array | null;
  availableDcids(): number;
  /** Gives an id of the peer's back; another is used in its place. */
  retireDestinationCid(number: number): undefined | null;
  pathEventNext(): PathEvent | null;
  migrate(local: HostPort, peer: HostPort): number;
  migrateSource(local: HostPort): number;
  stats(): { readonly sent: number; readonly recv: number; readonly lost: number; readonly sentBytes: number; readonly recvBytes: number };
  pathStats(): readonly PathStats[];
}

/** Why a connection was closed by either end. */
export interface ConnectionError {
  readonly isApp: boolean;
  readonly errorCode: number;
  readonly reason: Uint8Array;
}

/** Figures of one path. `rtt` in milliseconds. */
export interface PathStats {
  readonly localHost: HostPort;
  readonly peerHost: HostPort;
  readonly active: boolean;
  readonly rtt: number;
  readonly cwnd: number;
  readonly lost: number;
}

/** What happened to a path. */
export type PathEvent =
  | { readonly type: 'New' | 'Validated' | 'FailedValidation' | 'Closed'; readonly local: HostPort; readonly peer: HostPort }
  | { readonly type: 'ReusedSourceConnectionId' }
  | { readonly type: 'PeerMigrated'; readonly old: HostPort; readonly new: HostPort };
