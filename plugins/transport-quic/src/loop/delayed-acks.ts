/**
 * Time an acknowledgement waits for something to go along with, milliseconds: the answer to a key press carries it then,
 * which halves the packets. Below the 25 ms that each end reckons with (RFC 9000 section 18.2, max_ack_delay).
 */
const ACK_DELAY_MS = 5;
/** Packets that are acknowledged at once when so many wait for it, as RFC 9000 section 13.2.2 asks for. */
const ACKED_TOGETHER = 2;

/** What was taken in, and the peer was not told of. */
export class DelayedAcks {
  readonly #packetBytes: number;
  #packets = 0;
  #bytes = 0;
  #dueMs = Number.POSITIVE_INFINITY;

  /** `packetBytes`: credit for more than that does not wait. */
  constructor(packetBytes: number) {
    this.#packetBytes = packetBytes;
  }

  /** When it is told at the latest, monotonic milliseconds; infinity while nothing waits. */
  get dueMs(): number {
    return this.#dueMs;
  }

  tookPacket(): void {
    this.#packets += 1;
  }

  read(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Puts it off. False when it should not wait any longer than other packets may be there to be acknowledged with it. */
  putOff(): boolean {
    if (this.#packets >= ACKED_TOGETHER || this.#bytes > this.#packetBytes) return false;
    this.#dueMs = Math.min(this.#dueMs, performance.now() + ACK_DELAY_MS);
    return true;
  }

  /** Everything that quiche had went out. */
  sent(): void {
    this.#packets = 0;
    this.#bytes = 0;
    this.#dueMs = Number.POSITIVE_INFINITY;
  }
}
