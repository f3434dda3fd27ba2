import { type AuditEvent, type AuditRecord, type AuditRepository, isTowlineError, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { runWithDeadline } from '../deadline.ts';
import { MAX_RELINKS } from './audit-limits.ts';
import { type ChainHead, linkNormalised } from './chain.ts';

/** Records of one page of the store, the most that its contract allows. */
const PAGE_SIZE = 500;

/**
 * The trail in the store as one writer sees it. Remembers the head, and links a batch anew when another process,
 * as the rescue command beside a running relay, moved it. One call of `append` at a time.
 */
export class StoreTrail {
  readonly #store: AuditRepository;
  readonly #deadlineMs: number;
  /** Undefined: not known, to be read before the next append. */
  #head: ChainHead | undefined;

  constructor(store: AuditRepository, deadlineMs: number) {
    this.#store = store;
    this.#deadlineMs = deadlineMs;
  }

  /** Number of the last record, 0 for an empty trail. */
  async lastNumber(): Promise<number> {
    return (await this.#knownHead())?.number ?? 0;
  }

  /** Appends normalised events and answers them as records. When it throws, whether they were recorded is not known, but for a conflict. */
  async append(events: readonly AuditEvent[]): Promise<readonly AuditRecord[]> {
    for (let attempt = 1; ; attempt += 1) {
      const records = linkNormalised(await this.#knownHead(), events);
      try {
        await this.#bounded(() => this.#store.append(records));
        this.#head = records.at(-1) ?? this.#head;
        return records;
      } catch (error) {
        this.#head = undefined;
        if (!isConflict(error) || attempt > MAX_RELINKS) throw error;
      }
    }
  }

  /**
   * Records with numbers in (`after`, `upTo`] in ascending order, a page at a time. Walks back from the newest one,
   * since a trail can be asked for its end but not for a number; of the pages in between only the cursors are kept.
   */
  async *read(after: number, upTo: number): AsyncGenerator<readonly AuditRecord[]> {
    const pick = (items: readonly AuditRecord[]) => items.filter(({ number }) => number > after && number <= upTo).reverse();
    const newest = await this.#page();
    const cursors: string[] = [];
    let oldest = newest;
    while (oldest.next !== null && (oldest.items.at(-1)?.number ?? 0) > after + 1) {
      cursors.push(oldest.next);
      oldest = await this.#page(oldest.next);
    }
    if (oldest !== newest) yield pick(oldest.items);
    for (const cursor of cursors.slice(0, -1).reverse()) yield pick((await this.#page(cursor)).items);
    yield pick(newest.items);
  }

  async #knownHead(): Promise<ChainHead> {
    if (this.#head === undefined) this.#head = await this.#bounded(() => this.#store.head());
    return this.#head;
  }

  #page(cursor?: string) {
    const request = { limit: PAGE_SIZE, ...(cursor === undefined ? {} : { cursor }) };
    return this.#bounded(() => this.#store.list({}, 'descending', request, SYSTEM_SCOPE));
  }

  #bounded<T>(work: () => Promise<T>): Promise<T> {
    const onTimeout = () => new TowlineError('timeout', `The store did not answer within ${this.#deadlineMs / 1_000} s.`);
    return runWithDeadline(work, { ms: this.#deadlineMs, onTimeout });
  }
}

function isConflict(error: unknown): boolean {
  return isTowlineError(error) && error.code === 'store_conflict';
}
