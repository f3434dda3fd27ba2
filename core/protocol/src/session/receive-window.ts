import { TowlineError } from '../errors/towline-error.ts';
import { INITIAL_SESSION_WINDOW, MAX_SESSION_WINDOW, SESSION_MESSAGE_HEADROOM } from '../limits.ts';

/**
 * What the peer may send. Data that nobody reads stays within the window, and the stream under the session is never
 * stopped: acknowledgements and messages of the other direction come by it too.
 */
export class SessionReceiveWindow {
  #size = INITIAL_SESSION_WINDOW;
  #allowed = INITIAL_SESSION_WINDOW;

  /** Position up to which the peer may send data. */
  get allowed(): number {
    return this.#allowed;
  }

  /** Judges what arrived. @throws TowlineError `protocol_error` when it is more than was allowed. */
  check(position: number): void {
    if (position > this.#allowed + SESSION_MESSAGE_HEADROOM)
      throw new TowlineError('protocol_error', 'The peer sent more than the session allowed.');
  }

  /**
   * Allows more when half of the window has been read since the last time; true when the peer is to be told.
   * A window whose reader keeps up grows.
   */
  update(position: number, heldBytes: number): boolean {
    const readBytes = this.#size - (this.#allowed - (position - heldBytes));
    if (readBytes * 2 < this.#size) return false;
    if (heldBytes * 4 < this.#size) this.#size = Math.min(this.#size * 2, MAX_SESSION_WINDOW);
    this.#allowed = Math.max(this.#allowed, position - heldBytes + this.#size);
    return true;
  }
}
