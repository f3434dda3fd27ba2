/** Admits so many events a second on average, with bursts of what `burstSeconds` would admit. */
export class TokenBucket {
  readonly #perMs: number;
  readonly #capacity: number;
  #tokens: number;
  #filledMs: number;

  constructor(perSecond: number, burstSeconds: number, nowMs: number) {
    this.#perMs = perSecond / 1_000;
    this.#capacity = perSecond * burstSeconds;
    this.#tokens = this.#capacity;
    this.#filledMs = nowMs;
  }

  /** Whether one more event, or so many at once, are admitted at this monotonic time. */
  take(nowMs: number, events = 1): boolean {
    this.#tokens = Math.min(this.#capacity, this.#tokens + (nowMs - this.#filledMs) * this.#perMs);
    this.#filledMs = nowMs;
    if (this.#tokens < events) return false;
    this.#tokens -= events;
    return true;
  }
}
