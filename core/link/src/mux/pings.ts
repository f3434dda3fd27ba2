import { encodePing, PING_BYTES, TowlineError } from '@towline/protocol';

/** A round trip is measured again when its last measurement is older, milliseconds. */
const MEASURE_EVERY_MS = 200;
/** The shortest round trip is believed for so long, milliseconds: routes change. */
const SHORTEST_FOR_MS = 30_000;

interface WaitingPing {
  readonly sentMs: number;
  readonly settle: (roundTripMs: number | null) => void;
}

/** PINGs that wait for their PONG, and the round trip they have shown. */
export class Pings {
  readonly #send: (frame: Buffer) => void;
  readonly #waiting = new Map<number, WaitingPing>();
  #lastNumber = 0;
  #shortestMs: number | null = null;
  #shortestSinceMs = 0;
  #measuring = false;
  #measuredMs = Number.NEGATIVE_INFINITY;

  constructor(send: (frame: Buffer) => void) {
    this.#send = send;
  }

  /** Round trip of one PING, milliseconds. Rejects with `link_closed` when the link ends first, or with the signal's reason. */
  ping(signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const abort = () => {
        this.#waiting.delete(number);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      const number = this.#start((roundTripMs) => {
        signal.removeEventListener('abort', abort);
        if (roundTripMs === null) reject(new TowlineError('link_closed'));
        else resolve(roundTripMs);
      });
    });
  }

  /** Shortest recent round trip, or null while none is known. Asking keeps it measured, five PINGs a second at most. */
  shortestMs(nowMs: number): number | null {
    if (!this.#measuring && nowMs - this.#measuredMs > MEASURE_EVERY_MS) {
      this.#measuring = true;
      this.#start(() => {
        this.#measuring = false;
        this.#measuredMs = performance.now();
      });
    }
    return this.#shortestMs;
  }

  /** Takes a PONG in. One that nobody waits for any more is ignored. */
  answered(opaque: Buffer): void {
    const number = opaque.readUInt32BE(0) === 0 ? opaque.readUInt32BE(4) : 0;
    const ping = this.#waiting.get(number);
    if (!ping) return;
    this.#waiting.delete(number);
    const nowMs = performance.now();
    this.#note(nowMs - ping.sentMs, nowMs);
    ping.settle(nowMs - ping.sentMs);
  }

  /** Fails whatever waits. */
  close(): void {
    for (const ping of this.#waiting.values()) ping.settle(null);
    this.#waiting.clear();
  }

  #start(settle: WaitingPing['settle']): number {
    this.#lastNumber = (this.#lastNumber % 0xffff_ffff) + 1;
    const opaque = Buffer.alloc(PING_BYTES);
    opaque.writeUInt32BE(this.#lastNumber, 4);
    this.#waiting.set(this.#lastNumber, { sentMs: performance.now(), settle });
    this.#send(encodePing(opaque));
    return this.#lastNumber;
  }

  #note(roundTripMs: number, nowMs: number): void {
    if (this.#shortestMs !== null && roundTripMs >= this.#shortestMs && nowMs - this.#shortestSinceMs < SHORTEST_FOR_MS) return;
    this.#shortestMs = roundTripMs;
    this.#shortestSinceMs = nowMs;
  }
}
