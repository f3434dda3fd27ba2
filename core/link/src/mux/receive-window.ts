import { INITIAL_STREAM_CREDIT } from '@towline/protocol';
import type { CreditBudget } from './credit-budget.ts';

/** A window that is read within so many round trips holds the sender back, which can send one window a round trip: it grows. */
const GROW_WITHIN_ROUND_TRIPS = 3;
/** A grown window that takes so many round trips to be read only makes queues on the way longer: it shrinks. */
const SHRINK_AFTER_ROUND_TRIPS = 16;
/** Shorter round trips count as this many milliseconds: on a fast network, processes that take turns on a core are what takes time. */
const SHORTEST_ROUND_TRIP_MS = 1;
/** Credit goes back in halves of the window: each grant costs a write, and a sender may wait for a whole frame but never for more than half. */
const GRANTS_PER_WINDOW = 2;

/** What a window needs from its link. */
export interface WindowHost {
  readonly growth: CreditBudget;
  readonly maxStreamCredit: number;
  /** Shortest recent round trip in milliseconds, or null while none is known. */
  roundTripMs(): number | null;
}

/** The receiver's side of a stream's credit: what the peer may still send, and when it may send more. */
export class ReceiveWindow {
  readonly #host: WindowHost;
  #size = INITIAL_STREAM_CREDIT;
  #allowed = INITIAL_STREAM_CREDIT;
  #owed = 0;
  #withheld = 0;
  #readInRound = 0;
  #roundStartMs: number | null = null;

  constructor(host: WindowHost) {
    this.#host = host;
  }

  /** Bytes the peer may still send. */
  get allowed(): number {
    return this.#allowed;
  }

  /** Window the stream has grown to, bytes. */
  get size(): number {
    return this.#size;
  }

  /** Counts bytes that arrived. False when the peer had no credit for them. */
  arrived(bytes: number): boolean {
    this.#allowed -= bytes;
    return this.#allowed >= 0;
  }

  /** Counts bytes that were read. Returns the credit to send now, often 0. */
  read(bytes: number, nowMs: number): number {
    this.#owed += bytes;
    this.#readInRound += bytes;
    this.#roundStartMs ??= nowMs;
    if (this.#readInRound >= this.#size) this.#endRound(nowMs);
    return this.#owed * GRANTS_PER_WINDOW >= this.#size ? this.#grant() : 0;
  }

  /** Gives the growth back. Nothing is granted afterwards. */
  close(): void {
    this.#host.growth.give(this.#size - INITIAL_STREAM_CREDIT);
    this.#size = INITIAL_STREAM_CREDIT;
  }

  #endRound(nowMs: number): void {
    const elapsedMs = nowMs - this.#roundStartMs!;
    const roundTripMs = this.#host.roundTripMs();
    this.#readInRound = 0;
    this.#roundStartMs = nowMs;
    if (roundTripMs === null) return;
    const roundTrips = elapsedMs / Math.max(roundTripMs, SHORTEST_ROUND_TRIP_MS);
    if (roundTrips <= GROW_WITHIN_ROUND_TRIPS) this.#grow();
    else if (roundTrips > SHRINK_AFTER_ROUND_TRIPS) this.#shrink();
  }

  #grow(): void {
    const growth = Math.min(this.#size, this.#host.maxStreamCredit - this.#size);
    if (growth <= 0 || !this.#host.growth.take(growth)) return;
    this.#size += growth;
    this.#owed += growth;
  }

  /** Credit that was granted cannot be called back; it is kept from what is read next. */
  #shrink(): void {
    const shrinkage = Math.min(this.#size - INITIAL_STREAM_CREDIT, Math.floor(this.#size / 2));
    if (shrinkage <= 0) return;
    this.#size -= shrinkage;
    this.#withheld += shrinkage;
    this.#host.growth.give(shrinkage);
  }

  #grant(): number {
    const kept = Math.min(this.#withheld, this.#owed);
    const granted = this.#owed - kept;
    this.#withheld -= kept;
    this.#owed = 0;
    this.#allowed += granted;
    return granted;
  }
}
