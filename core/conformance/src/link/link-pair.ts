import type { Link } from '@towline/contract';

/** Limits a suite asks a pair for. */
export interface LinkPairLimits {
  /** Streams that may be open at once. */
  readonly maxStreams?: number;
}

/** Two ends of one link, in one process. */
export interface LinkPair {
  /** The end that opens streams. */
  readonly opener: Link;
  /** The end that accepts them. Nobody has called its `onStream` yet. */
  readonly acceptor: Link;
  /** Kills the wire between the ends at once, so that neither can say anything. */
  sever(): void;
  /** Frees whatever is left. Called after each case. */
  dispose(): Promise<void> | void;
}

/** Makes a fresh pair with these limits on both ends. */
export type MakeLinkPair = (limits?: LinkPairLimits) => Promise<LinkPair>;
