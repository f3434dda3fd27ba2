import { TowlineError } from '@towline/protocol';
import { CALL_MS, MAX_WAITING } from './limits.ts';
import { within } from './within.ts';

/**
 * Runs what changes one object one after the other. The conditions of the changes hold without it, also between two
 * processes; it spares a race that all but one would lose and repeat.
 */
export class KeyedQueue {
  readonly #tails = new Map<string, Promise<unknown>>();
  #waiting = 0;

  /** Runs `work` when all that was given for the key before has ended. @throws TowlineError `store_failed` when too many wait. */
  async run<Value>(key: string, work: () => Promise<Value>): Promise<Value> {
    if (this.#waiting >= MAX_WAITING) throw new TowlineError('store_failed', 'Too many calls wait for the store.', { hint: 'Try again.' });
    this.#waiting += 1;
    const before = this.#tails.get(key);
    // One that never ends must not keep the others from their turn for ever.
    const begin = () => within(CALL_MS, work());
    const turn = before === undefined ? begin() : before.then(begin, begin);
    this.#tails.set(key, turn);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
      if (this.#tails.get(key) === turn) this.#tails.delete(key);
    }
  }
}
