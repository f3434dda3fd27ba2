import type { AuditRecord, AuditSink, Log } from '@towline/contract';
import type { AuditLimits } from './audit-limits.ts';
import { SinkWriter } from './sink-writer.ts';
import type { StoreTrail } from './store-trail.ts';

/** A sink without which nothing happens. What it missed while it failed is read back from the store and comes first. */
export class RequiredSink {
  readonly #writer: SinkWriter;
  readonly #trail: StoreTrail;
  readonly #log: Log;
  /** Number of the record after which this sink began to be written. */
  #base: number | undefined;
  #failing = false;

  constructor(name: string, sink: AuditSink, parts: { readonly trail: StoreTrail; readonly log: Log; readonly limits: AuditLimits }) {
    this.#writer = new SinkWriter(name, sink, parts.limits.sinkDeadlineMs);
    this.#trail = parts.trail;
    this.#log = parts.log;
  }

  get name(): string {
    return this.#writer.name;
  }

  get failing(): boolean {
    return this.#failing;
  }

  /**
   * Resolves when the sink has the batch and everything before it that it should have. `after`: number of the record
   * before the first one that is not delivered yet. @throws whatever the sink or the store threw.
   */
  async deliver(batch: readonly AuditRecord[], after: number): Promise<void> {
    this.#base ??= after;
    try {
      await this.#catchUp(this.#writer.last ?? this.#base, batch[0]!.number - 1);
      await this.#write(batch);
    } catch (error) {
      if (!this.#failing) this.#log.error(`Required audit sink "${this.name}" fails: nothing that needs a record is done.`, { error });
      this.#failing = true;
      throw error;
    }
    if (this.#failing) this.#log.info(`Audit sink "${this.name}" works again and has what it missed.`);
    this.#failing = false;
  }

  async #catchUp(after: number, upTo: number): Promise<void> {
    if (after >= upTo) return;
    for await (const page of this.#trail.read(after, upTo)) await this.#write(page);
  }

  /** Leaves out what a late answer to a timed-out write showed to have arrived. */
  async #write(batch: readonly AuditRecord[]): Promise<void> {
    const missing = batch.filter(({ number }) => number > (this.#writer.last ?? 0));
    if (missing.length > 0) await this.#writer.write(missing);
  }
}
