import { TowlineError } from '@towline/protocol';
import type { LinkLimits } from './link-limits.ts';
import { TokenBucket } from './token-bucket.ts';

/** Rates are averaged over so many seconds: a burst after a stall of the network is no flood. */
const AVERAGED_OVER_SECONDS = 10;
/** This end opens no faster than its peer surely admits, so that one user's openings never end a link that others share. */
const OWN_SHARE = 0.5;

/** Counts what a peer sends besides data, and how fast streams are opened. */
export class FloodGuard {
  readonly #peerOpenings: TokenBucket;
  readonly #ownOpenings: TokenBucket;
  readonly #controlFrames: TokenBucket;

  constructor(limits: LinkLimits, nowMs: number) {
    this.#peerOpenings = new TokenBucket(limits.openingsPerSecond, AVERAGED_OVER_SECONDS, nowMs);
    this.#ownOpenings = new TokenBucket(limits.openingsPerSecond, AVERAGED_OVER_SECONDS * OWN_SHARE, nowMs);
    this.#controlFrames = new TokenBucket(limits.controlFramesPerSecond, AVERAGED_OVER_SECONDS, nowMs);
  }

  /** Whether the peer may open one more stream now. */
  admitPeerOpening(): boolean {
    return this.#peerOpenings.take(performance.now());
  }

  /** Whether this end may open one more stream now. */
  admitOwnOpening(): boolean {
    return this.#ownOpenings.take(performance.now());
  }

  /** Counts a frame of the peer that brings no data. @throws TowlineError `link_flooded` when there are too many. */
  countControl(): void {
    if (this.#controlFrames.take(performance.now())) return;
    throw new TowlineError('link_flooded', 'The peer sent too many control frames.');
  }
}
