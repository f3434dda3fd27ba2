import type { QuicStream } from './quic-stream.ts';

/** Streams that are tried in one turn. */
const TRIES_PER_TURN = 64;

/**
 * Streams with something to send. They get their turns in order, each a bounded part, so that a key press does not
 * wait behind a bulk transfer. One that quiche took nothing of stalls: only a packet of the peer can change that.
 */
export class WaitingWriters {
  readonly #ready = new Set<QuicStream>();
  readonly #stalled = new Set<QuicStream>();
  /** Stalled streams that were not tried since the last packet. */
  #untried = 0;

  get size(): number {
    return this.#ready.size + this.#stalled.size;
  }

  add(stream: QuicStream): void {
    this.#stalled.delete(stream);
    this.#ready.add(stream);
  }

  delete(stream: QuicStream): void {
    this.#ready.delete(stream);
    this.#stalled.delete(stream);
  }

  /** Credit or room may have come. */
  wake(): void {
    this.#untried = this.#stalled.size;
  }

  /** Lets waiting streams write, some dozens at most. Answers whether others should get their turn at once. */
  takeTurns(): boolean {
    const ready = first(this.#ready, TRIES_PER_TURN);
    const stalled = first(this.#stalled, Math.min(this.#untried, TRIES_PER_TURN - ready.length));
    this.#untried -= stalled.length;
    for (const stream of ready) this.#try(stream);
    for (const stream of stalled) this.#try(stream);
    this.#untried = Math.min(this.#untried, this.#stalled.size);
    return this.#ready.size > 0 || this.#untried > 0;
  }

  #try(stream: QuicStream): void {
    this.delete(stream);
    const { wrote, waits } = stream.sendWaiting();
    if (!waits || this.#ready.has(stream)) return;
    (wrote ? this.#ready : this.#stalled).add(stream);
  }
}

/** A copy, for sets go on with what is added while they are walked. */
function first(streams: ReadonlySet<QuicStream>, count: number): QuicStream[] {
  const some: QuicStream[] = [];
  for (const stream of streams) {
    if (some.length >= count) break;
    some.push(stream);
  }
  return some;
}
