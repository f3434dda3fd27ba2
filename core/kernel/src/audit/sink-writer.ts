import { type AuditRecord, type AuditSink, TowlineError } from '@towline/contract';
import { runWithDeadline } from '../deadline.ts';

/** Hands batches to one sink: in order, one at a time, each under a deadline. */
export class SinkWriter {
  readonly name: string;
  readonly #sink: AuditSink;
  readonly #deadlineMs: number;
  #busy = false;
  /** Number of the last record that the sink has. */
  #last: number | undefined;

  constructor(name: string, sink: AuditSink, deadlineMs: number) {
    this.name = name;
    this.#sink = sink;
    this.#deadlineMs = deadlineMs;
  }

  /** Number of the last record that the sink is known to have; undefined before the first. */
  get last(): number | undefined {
    return this.#last;
  }

  /**
   * Resolves when the sink has the batch. A write that outlives its deadline keeps the sink busy until it settles:
   * the next batch must not overtake it. @throws TowlineError `unavailable`.
   */
  async write(batch: readonly AuditRecord[]): Promise<void> {
    if (this.#busy) throw new TowlineError('unavailable', `Audit sink "${this.name}" has not finished an earlier batch.`);
    this.#busy = true;
    const onTimeout = () =>
      new TowlineError('unavailable', `Audit sink "${this.name}" did not write a batch within ${this.#deadlineMs / 1_000} s.`);
    await runWithDeadline(() => this.#hand(batch), { ms: this.#deadlineMs, onTimeout });
  }

  async #hand(batch: readonly AuditRecord[]): Promise<void> {
    try {
      await this.#sink.write(batch);
      this.#last = batch.at(-1)!.number;
    } finally {
      this.#busy = false;
    }
  }
}
