import type { AuditActor, AuditEvent, AuditRecord, Clock, Log } from '@towline/contract';
import type { AuditLimits } from './audit-limits.ts';
import type { AuditStatus, NamedSink } from './audit-pipeline.ts';
import { RequiredSink } from './required-sink.ts';
import { type SinkGap, SpooledSink } from './spooled-sink.ts';
import type { StoreTrail } from './store-trail.ts';

/** Who acts where the relay itself writes a record. */
export const RELAY_ACTOR: AuditActor = Object.freeze({ kind: 'operator', id: 'relay', label: 'relay' });

/** A required sink that did not take a batch. */
export interface SinkFailure {
  readonly sink: string;
  readonly error: unknown;
}

/** What a {@link SinkSet} works with. */
export interface SinkSetParts {
  readonly trail: StoreTrail;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: AuditLimits;
  /** Takes an event about the trail itself, to be recorded when there is time. */
  readonly note: (event: AuditEvent) => void;
}

/** All sinks beside the store. Records come here in order and without gaps, after the store has them. */
export class SinkSet {
  readonly #required: readonly RequiredSink[];
  readonly #spooled: readonly SpooledSink[];
  readonly #parts: SinkSetParts;
  /** Number of the last record that was handed out. */
  #handedOut = 0;

  constructor(sinks: readonly NamedSink[], parts: SinkSetParts) {
    const onGap = (gap: SinkGap) => parts.note(gapEvent(gap, parts.clock.now()));
    this.#required = sinks.filter(({ required }) => required).map(({ name, sink }) => new RequiredSink(name, sink, parts));
    this.#spooled = sinks.filter(({ required }) => !required).map(({ name, sink }) => new SpooledSink(name, sink, { ...parts, onGap }));
    this.#parts = parts;
  }

  /** Says which record the store had last before this relay wrote any. */
  begin(lastNumber: number): void {
    this.#handedOut = lastNumber;
  }

  /** Resolves when each required sink has the records or has failed. Records of other processes before them are read from the store. */
  async deliver(records: readonly AuditRecord[]): Promise<readonly SinkFailure[]> {
    const after = this.#handedOut;
    this.#handedOut = records.at(-1)!.number;
    const failures = this.#required.map((sink) => deliverTo(sink, records, after));
    await this.#offer(records, after);
    return (await Promise.all(failures)).filter((failure) => failure !== null);
  }

  status(): AuditStatus['sinks'] {
    return [
      ...this.#required.map(({ name, failing }) => ({ name, required: true, failing, waiting: 0 })),
      ...this.#spooled.map(({ name, failing, waiting }) => ({ name, required: false, failing, waiting })),
    ];
  }

  /** Gives spools a moment to empty. */
  async close(): Promise<void> {
    await Promise.all(this.#spooled.map((sink) => sink.close()));
  }

  async #offer(records: readonly AuditRecord[], after: number): Promise<void> {
    const first = records[0]!.number;
    if (this.#spooled.length > 0 && after + 1 < first) await this.#offerForeign(after, first - 1);
    for (const sink of this.#spooled) sink.offer(records);
  }

  async #offerForeign(after: number, upTo: number): Promise<void> {
    let given = after;
    try {
      for await (const page of this.#parts.trail.read(after, upTo)) {
        for (const sink of this.#spooled) sink.offer(page);
        given = page.at(-1)?.number ?? given;
      }
    } catch (error) {
      this.#parts.log.error('Audit records of another process cannot be read back for the sinks. The store has them.', { error });
      for (const { name } of this.#spooled)
        this.#parts.note(gapEvent({ sink: name, from: given + 1, to: upTo, state: 'unreadable' }, this.#parts.clock.now()));
    }
  }
}

async function deliverTo(sink: RequiredSink, records: readonly AuditRecord[], after: number): Promise<SinkFailure | null> {
  try {
    await sink.deliver(records, after);
    return null;
  } catch (error) {
    return { sink: sink.name, error };
  }
}

function gapEvent(gap: SinkGap, at: number): AuditEvent {
  return { at, action: 'audit.gap', actor: RELAY_ACTOR, outcome: 'lost', detail: { ...gap } };
}
