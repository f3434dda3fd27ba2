import type { Clock, KeyRepository, Log } from '@towline/contract';
import type { KeyId } from '@towline/protocol';

/** Time within which one note of use is enough, milliseconds. */
const NOTE_EVERY_MS = 60_000;
/** Keys remembered; beyond, the one noted longest ago is forgotten and may be noted too early. */
const MAX_REMEMBERED = 10_000;

/** Notes when keys were last used, at most once a minute each and beside the request that used them. */
export class LastUse implements AsyncDisposable {
  readonly #keys: KeyRepository;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #notedAt = new Map<KeyId, number>();
  readonly #running = new Set<Promise<void>>();

  constructor(keys: KeyRepository, clock: Clock, log: Log) {
    this.#keys = keys;
    this.#clock = clock;
    this.#log = log;
  }

  /** Notes a use. Never waits, never throws. */
  note(id: KeyId): void {
    const now = this.#clock.now();
    const before = this.#notedAt.get(id);
    // A clock that was set back must not keep the time of last use from moving for long.
    if (before !== undefined && now >= before && now - before < NOTE_EVERY_MS) return;
    this.#remember(id, now);
    const running = this.#touch(id, now).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits for the notes that are on their way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#running);
  }

  #remember(id: KeyId, now: number): void {
    this.#notedAt.delete(id);
    this.#notedAt.set(id, now);
    const oldest = this.#notedAt.keys().next().value;
    if (this.#notedAt.size > MAX_REMEMBERED && oldest !== undefined) this.#notedAt.delete(oldest);
  }

  async #touch(id: KeyId, now: number): Promise<void> {
    try {
      await this.#keys.touch(id, now);
    } catch (error) {
      this.#log.error('The last use of an API key could not be noted.', { id, error });
    }
  }
}
