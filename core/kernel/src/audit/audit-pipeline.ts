import type { AuditEvent, AuditRepository, AuditSink, Clock, Log } from '@towline/contract';
import { AUDIT_LIMITS, type AuditLimits } from './audit-limits.ts';
import { AuditQueue, type WriteOutcome } from './audit-queue.ts';
import { SinkSet } from './sink-set.ts';
import { StoreTrail } from './store-trail.ts';

/** A sink with its name in the config. */
export interface NamedSink {
  readonly name: string;
  readonly sink: AuditSink;
  /** No record in it, nothing happens. */
  readonly required: boolean;
}

/** What {@link createAuditPipeline} takes. */
export interface AuditPipelineParts {
  readonly store: AuditRepository;
  readonly sinks: readonly NamedSink[];
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<AuditLimits>;
}

/** How the pipeline is doing. */
export interface AuditStatus {
  /** Events that wait to be stored. */
  readonly waiting: number;
  readonly sinks: readonly { readonly name: string; readonly required: boolean; readonly failing: boolean; readonly waiting: number }[];
}

/** Where everything that is to be remembered goes. */
export interface AuditPipeline extends AsyncDisposable {
  /**
   * Resolves when the store and all required sinks have the record. Records keep the order of the calls.
   * @throws TowlineError `unavailable`: what the event announces must not happen. `internal` for an event that JSON cannot hold.
   */
  write(event: AuditEvent): Promise<void>;
  /**
   * Resolves when the store has the record: for what has happened already, so that refusing it would undo nothing.
   * Sinks take it over from the store when they can. @throws TowlineError `unavailable` when the store cannot take it.
   */
  note(event: AuditEvent): Promise<void>;
  status(): AuditStatus;
  /** Writes what waits, gives spools a moment to empty and records what is left. Later writes are refused. Idempotent. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Makes the audit pipeline: store first, then the sinks, so that no sink has a record that the store has not. */
export function createAuditPipeline(parts: AuditPipelineParts): AuditPipeline {
  const limits = { ...AUDIT_LIMITS, ...parts.limits };
  const trail = new StoreTrail(parts.store, limits.storeDeadlineMs);
  const shared = { trail, clock: parts.clock, log: parts.log, limits };
  const sinks: SinkSet = new SinkSet(parts.sinks, { ...shared, note: (event) => queue.note(event) });
  const queue: AuditQueue = new AuditQueue(sinks, shared);
  return new Pipeline(queue, sinks);
}

class Pipeline implements AuditPipeline {
  readonly #queue: AuditQueue;
  readonly #sinks: SinkSet;
  #closing: Promise<void> | undefined;

  constructor(queue: AuditQueue, sinks: SinkSet) {
    this.#queue = queue;
    this.#sinks = sinks;
  }

  async write(event: AuditEvent): Promise<void> {
    refuse(await this.#queue.add(event));
  }

  async note(event: AuditEvent): Promise<void> {
    const outcome = await this.#queue.add(event);
    if (!outcome.stored) refuse(outcome);
  }

  status(): AuditStatus {
    return { waiting: this.#queue.waiting, sinks: this.#sinks.status() };
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#queue.close();
    await this.#sinks.close();
    await this.#queue.flushNotes();
  }
}

function refuse(outcome: WriteOutcome): void {
  if (outcome.refusal !== null) throw outcome.refusal;
}
