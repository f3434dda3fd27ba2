/** The one timer of a connection. It is only ever moved to an earlier time: what is put off is found out when it fires. */
export class TurnTimer {
  readonly #fire: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #keepsProcess = true;

  constructor(fire: () => void) {
    this.#fire = fire;
  }

  /** Fires at that time at the latest, monotonic milliseconds; infinity asks for nothing. */
  arm(dueMs: number, nowMs: number): void {
    if (dueMs === Number.POSITIVE_INFINITY || (this.#timer && this.#dueMs <= dueMs)) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    this.#timer = setTimeout(this.#expire, Math.max(1, Math.ceil(dueMs - nowMs)));
    if (!this.#keepsProcess) this.#timer.unref();
  }

  /** From now on it does not keep the process. */
  unref(): void {
    this.#keepsProcess = false;
    this.#timer?.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  readonly #expire = (): void => {
    this.#timer = undefined;
    this.#dueMs = Number.POSITIVE_INFINITY;
    this.#fire();
  };
}
