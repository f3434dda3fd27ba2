import { TowlineError } from '@towline/protocol';
import { MAX_WAITING } from './limits.ts';

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
    const turn = before === undefined ? work() : before.then(work, work);
    this.#tails.set(key, turn);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
      if (this.#tails.get(key) === turn) this.#tails.delete(key);
    }
  }
}
