import { MAX_GROUP } from '../limits.ts';
import type { Request } from '../thread-messages.ts';

/**
 * Collects requests and works on those that wait at one time together. Whatever arrives during the work, while the
 * disk is busy with a commit, forms the next group. How many may wait is limited where they are sent.
 */
export class RequestQueue {
  readonly #work: (requests: readonly Request[]) => void;
  #requests: Request[] = [];
  #scheduled = false;

  constructor(work: (requests: readonly Request[]) => void) {
    this.#work = work;
  }

  /** Adds requests behind those that wait. */
  add(requests: readonly Request[]): void {
    for (const request of requests) this.#requests.push(request);
    this.#schedule();
  }

  /** Works off everything that waits, now. */
  finish(): void {
    while (this.#requests.length > 0) this.#work(this.#requests.splice(0, MAX_GROUP));
  }

  #schedule(): void {
    if (this.#scheduled || this.#requests.length === 0) return;
    this.#scheduled = true;
    // Not at once: messages that have arrived already are handed over first.
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#requests.length > 0) this.#work(this.#requests.splice(0, MAX_GROUP));
      this.#schedule();
    });
  }
}
