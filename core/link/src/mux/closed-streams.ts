import { TowlineError } from '@towline/protocol';

/** Frames of so many closed streams may still be under way; of older ones nothing is known but their number. */
const REMEMBERED = 1_024;

/**
 * Streams this end has forgotten while the peer may not know it yet. Their frames are dropped, but a peer
 * cannot send more to them than the credit it had left.
 */
export class ClosedStreams {
  readonly #creditLeft = new Map<number, number>();

  /** Notes a stream that is over, and the bytes its peer may still have under way. */
  add(stream: number, creditLeft: number): void {
    this.#creditLeft.set(stream, creditLeft);
    if (this.#creditLeft.size <= REMEMBERED) return;
    for (const oldest of this.#creditLeft.keys()) {
      this.#creditLeft.delete(oldest);
      return;
    }
  }

  /** Counts dropped bytes. @throws TowlineError `protocol_error` when the peer had no credit for them. */
  dropped(stream: number, bytes: number): void {
    const left = this.#creditLeft.get(stream);
    if (left === undefined) return;
    if (bytes > left) throw new TowlineError('protocol_error', `The peer sent more on the closed stream ${stream} than it had credit for.`);
    this.#creditLeft.set(stream, left - bytes);
  }
}
