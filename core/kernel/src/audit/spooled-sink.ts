import { setTimeout as wait } from 'node:timers/promises';
import type { AuditRecord, AuditSink, Log } from '@towline/contract';
import type { AuditLimits } from './audit-limits.ts';
import { SinkWriter } from './sink-writer.ts';

/** A stretch of records that a sink did not get. */
export interface SinkGap {
  readonly sink: string;
  readonly from: number;
  readonly to: number;
  /**
   * `overflow`: begins now, its end is not known yet; `recovered`: that gap ended with `to`; `shutdown`: not delivered
   * before the relay stopped; `unreadable`: written by another process and not to be read back from the store.
   */
  readonly state: 'overflow' | 'recovered' | 'shutdown' | 'unreadable';
}

/** What a {@link SpooledSink} works with. */
export interface SpoolParts {
  readonly log: Log;
  readonly limits: AuditLimits;
  readonly onGap: (gap: SinkGap) => void;
}

/** A sink that may fail for a while: records wait in memory up to a bound; what is left out beyond it is told by `onGap`. */
export class SpooledSink {
  readonly #writer: SinkWriter;
  readonly #parts: SpoolParts;
  readonly #stop = new AbortController();
  #spool: AuditRecord[] = [];
  #gap: { from: number; to: number } | null = null;
  #running: Promise<void> | null = null;
  #failing = false;

  constructor(name: string, sink: AuditSink, parts: SpoolParts) {
    this.#writer = new SinkWriter(name, sink, parts.limits.sinkDeadlineMs);
    this.#parts = parts;
  }

  get name(): string {
    return this.#writer.name;
  }

  get failing(): boolean {
    return this.#failing;
  }

  /** Records that wait. */
  get waiting(): number {
    return this.#spool.length;
  }

  /** Takes records that follow those given before. Never waits, never throws. */
  offer(batch: readonly AuditRecord[]): void {
    for (const record of batch) this.#keep(record);
    this.#running ??= this.#run();
  }

  /** Waits until the spool is empty, but not for long; what is left is told as a gap. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#stop.abort(), this.#parts.limits.closeDeadlineMs);
    await this.#running;
    clearTimeout(timer);
    this.#stop.abort();
    const from = this.#spool[0]?.number ?? this.#gap?.from;
    const to = this.#gap?.to ?? this.#spool.at(-1)?.number;
    if (from !== undefined && to !== undefined) this.#tell({ from, to }, 'shutdown');
  }

  #keep(record: AuditRecord): void {
    if (this.#spool.length >= this.#parts.limits.maxSpool) return this.#leaveOut(record.number);
    if (this.#gap !== null) this.#tell(this.#gap, 'recovered');
    this.#gap = null;
    this.#spool.push(record);
  }

  #leaveOut(number: number): void {
    if (this.#gap !== null) {
      this.#gap.to = number;
      return;
    }
    this.#gap = { from: number, to: number };
    this.#parts.log.error(`Audit sink "${this.name}" does not keep up: records from ${number} on are left out of it. The store has them.`);
    this.#tell(this.#gap, 'overflow');
  }

  #tell(gap: { readonly from: number; readonly to: number }, state: SinkGap['state']): void {
    this.#parts.onGap({ sink: this.name, from: gap.from, to: gap.to, state });
  }

  async #run(): Promise<void> {
    const { maxBatch, retryMs } = this.#parts.limits;
    let delayMs = retryMs[0];
    await Promise.resolve();
    while (this.#spool.length > 0 && !this.#stop.signal.aborted) {
      const batch = this.#spool.slice(0, maxBatch);
      if (await this.#try(batch)) {
        this.#spool = this.#spool.slice(batch.length);
        delayMs = retryMs[0];
        continue;
      }
      // The abort is the end of the wait, not a failure.
      await wait(delayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, retryMs[1]);
    }
    // In the same turn as the check above, or records offered in between would wait for the next ones.
    this.#running = null;
  }

  async #try(batch: readonly AuditRecord[]): Promise<boolean> {
    try {
      const missing = batch.filter(({ number }) => number > (this.#writer.last ?? 0));
      if (missing.length > 0) await this.#writer.write(missing);
    } catch (error) {
      if (!this.#failing) this.#parts.log.error(`Audit sink "${this.name}" fails; records wait for it in memory.`, { error });
      this.#failing = true;
      return false;
    }
    if (this.#failing) this.#parts.log.info(`Audit sink "${this.name}" works again.`);
    this.#failing = false;
    return true;
  }
}
