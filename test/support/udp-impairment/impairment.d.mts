/** `up`: from the client to the target; `down`: back. */
export type Direction = 'up' | 'down';

/** An IP address, never a name, and a UDP port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/**
 * What one direction does to packets. Probabilities are from 0 to 1 and per packet; what is left out does not happen.
 * A packet first passes the bottleneck (`rate`), then the wire behind it (everything else).
 */
export interface Profile {
  /** Probability of a loss that knows nothing of the packets before. */
  readonly loss?: number;
  /** Losses in bursts, as Gilbert and Elliott describe them: probabilities to enter a bad time, to leave it, and to be lost within (1 when left out). */
  readonly burst?: { readonly enter: number; readonly leave: number; readonly loss?: number };
  readonly delayMs?: number;
  /** Evenly spread between nothing and this, on top of the delay. It does not change the order. */
  readonly jitterMs?: number;
  /** So many packets are held back so long, beyond their delay; others overtake them. */
  readonly reorder?: { readonly probability: number; readonly holdMs: number };
  readonly duplicate?: number;
  /** Probability that one byte of the packet changes. */
  readonly corrupt?: number;
  readonly rate?: Rate;
}

/** A token bucket behind a queue that drops what does not fit. One for all flows of a direction. */
export interface Rate {
  readonly bitsPerSecond: number;
  /** 128,000 when left out, which is little for a fast, long path: a full one takes `bitsPerSecond / 8 x round trip`. */
  readonly queueBytes?: number;
  /** What passes at once after silence; 3,000 when left out. */
  readonly burstBytes?: number;
  /** Added to each packet for its headers; 28 when left out, IPv4 and UDP. */
  readonly overheadBytes?: number;
}

/** A path both ways. */
export interface PathOptions {
  /** Any whole number. The same seed decides the same about the n-th packet of a flow in a direction. */
  readonly seed: number;
  readonly up?: Profile;
  readonly down?: Profile;
  /** `alike` (when left out): every flow meets the same decisions. `different`: each its own, by the order in which flows begin. */
  readonly flows?: 'alike' | 'different';
  /** How many decisions are kept word for word, all flows together; 20,000 when left out. */
  readonly recordLimit?: number;
  /** Packets on their way never take more memory; 64 MiB when left out. */
  readonly maxInFlightBytes?: number;
}

/** What became of the packets of one direction. */
export interface Counts {
  readonly packets: number;
  readonly bytes: number;
  readonly delivered: number;
  readonly deliveredBytes: number;
  readonly lost: number;
  readonly lostInBursts: number;
  /** Dropped because the queue before the bottleneck was full. */
  readonly queueDropped: number;
  readonly blackHoled: number;
  /** Dropped because `maxInFlightBytes` were on their way. */
  readonly overflowed: number;
  readonly duplicated: number;
  readonly heldBack: number;
  readonly corrupted: number;
  readonly inFlight: number;
}

/** What was decided about one packet of a flow, before anything that depends on time. */
export interface Decision {
  readonly ordinal: number;
  readonly fate: 'passed' | 'lost' | 'lost in a burst';
  readonly jitterMs: number;
  readonly holdMs: number;
  readonly copies: number;
  /** `place` is a fraction of the packet's length, `bits` are turned over there. */
  readonly corruption: { readonly place: number; readonly bits: number } | null;
}

/** The decisions of one flow in one direction: how many, a digest of all of them, and the first of them word for word. */
export interface FlowDecisions {
  readonly flow: number;
  readonly direction: Direction;
  readonly count: number;
  readonly digest: number;
  readonly first: readonly Decision[];
}

/** What can be done to a path while it is in use. */
export interface Path {
  change(direction: Direction, profile: Profile): void;
  /** Drops everything that comes from now on, in one direction or both. What is on its way still arrives. */
  blackHole(on: boolean, direction?: Direction): void;
  /** The decisions about the flows that are open. */
  decisions(): readonly FlowDecisions[];
}

/** Where the first difference between two runs is, in words; null where there is none. */
export function findDifference(one: readonly FlowDecisions[], other: readonly FlowDecisions[]): string | null;

/** How a proxy is opened. */
export interface UdpImpairmentOptions extends PathOptions {
  readonly target: HostPort;
  /** Loopback and any free port when left out. */
  readonly listen?: Partial<HostPort>;
  /** The address from which the target sees the clients; loopback when left out. */
  readonly from?: string;
  /** Beyond this many clients the one unused for longest is given up; 900 when left out. */
  readonly maxFlows?: number;
}

/** What a proxy did. */
export interface UdpStatistics {
  readonly up: UdpCounts;
  readonly down: UdpCounts;
  readonly flows: { readonly open: number; readonly ended: number; readonly refused: number };
  /** How much later than due packets left. */
  readonly lateness: { readonly meanMs: number; readonly maxMs: number };
}

/** Counts, and what went wrong at the sockets. */
export interface UdpCounts extends Counts {
  /** Packets the kernel refused, or the target's port did (nobody listens). */
  readonly unsent: number;
  /** Datagrams lost before the proxy saw them, because it was too slow; null where the kernel does not tell. */
  readonly kernelDropped: number | null;
}

/** One client whose address, as the target sees it, changed. */
export interface Rebound {
  readonly client: HostPort;
  readonly before: HostPort;
  readonly after: HostPort;
}

/** A running proxy. */
export interface UdpImpairment extends Path, AsyncDisposable {
  /** Where clients send to. */
  readonly local: HostPort;
  /** Gives every open flow another port, and another address of this machine where it is given, towards the target. Resolves when they are in use. */
  rebind(to?: { readonly host?: string }): Promise<readonly Rebound[]>;
  statistics(): UdpStatistics;
  close(): Promise<void>;
}

/** Opens a proxy. Rejects when it cannot listen; throws a `TypeError` or `RangeError` for a setting that makes no sense. */
export function openUdpImpairment(options: UdpImpairmentOptions): Promise<UdpImpairment>;

/** One end of a pair, or of anything that takes and gives datagrams. */
export interface Endpoint {
  readonly local: HostPort;
  send(packet: Uint8Array, to: HostPort): void;
  onPacket(listener: (packet: Buffer, from: HostPort) => void): void;
  close(): void;
}

/** What became of the packets of a pair. */
export interface PairCounts extends Counts {
  /** Sent to an address that is nobody's (any more), or to an end that was closed. */
  readonly unroutable: number;
}

/** Two endpoints in memory with time of their own. */
export interface ImpairedPair extends Path {
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** Milliseconds since the pair was made, of its own time. */
  now(): number;
  /** Milliseconds until the next packet arrives; null when none is on its way. */
  nextDueMs(): number | null;
  /** Lets so many milliseconds pass and delivers what is due. Returns how many packets that were; what a listener throws comes out here. */
  advance(ms: number): number;
  /** Changes the client's address as the server sees it: to the next port when nothing is said. */
  rebind(to?: Partial<HostPort>): HostPort;
  statistics(): { readonly up: PairCounts; readonly down: PairCounts };
}

/** Makes a pair. The client's and the server's address are of documentation ranges when left out. */
export function createImpairedPair(options: PathOptions & { readonly client?: HostPort; readonly server?: HostPort }): ImpairedPair;

/** Lets a pair's time follow the machine's clock, for code with timers of its own, until it is disposed. */
export function followClock(pair: ImpairedPair): Disposable;
