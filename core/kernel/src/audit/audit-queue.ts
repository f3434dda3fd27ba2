import { type AuditEvent, type AuditRecord, type Clock, type Log, TowlineError } from '@towline/contract';
import { maskApiKeys, maskSecrets } from '../redaction.ts';
import type { AuditLimits } from './audit-limits.ts';
import { normaliseEvent } from './chain.ts';
import { RELAY_ACTOR, type SinkFailure, type SinkSet } from './sink-set.ts';
import type { StoreTrail } from './store-trail.ts';

/** What became of an event. */
export interface WriteOutcome {
  /** The store has it, whatever the sinks said. */
  readonly stored: boolean;
  /** Why what it announces must not happen; null when the store and all required sinks have it. */
  readonly refusal: TowlineError | null;
}

/** What an {@link AuditQueue} works with. */
export interface QueueParts {
  readonly trail: StoreTrail;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: AuditLimits;
}

interface Entry {
  readonly event: AuditEvent;
  readonly bytes: number;
  readonly settle: (outcome: WriteOutcome) => void;
}

/** Notes about the trail itself that may wait: each tells of a change, so that more than a few mean trouble elsewhere. */
const MAX_NOTES = 1_000;

/** Events on their way into the store: in order, in groups, one group at a time, bounded. */
export class AuditQueue {
  readonly #sinks: SinkSet;
  readonly #parts: QueueParts;
  #entries: Entry[] = [];
  #notes: AuditEvent[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | null = null;
  #begun = false;
  #closed = false;
  #storeFailing = false;

  constructor(sinks: SinkSet, parts: QueueParts) {
    this.#sinks = sinks;
    this.#parts = parts;
  }

  get waiting(): number {
    return this.#entries.length;
  }

  /** Resolves when it is decided what became of the event. Never rejects. */
  add(given: AuditEvent): Promise<WriteOutcome> {
    let normal: ReturnType<typeof normaliseEvent>;
    try {
      // A key that somebody pasted in the wrong place, as into a command, must not stay for good.
      normal = normaliseEvent(given, maskApiKeys);
    } catch (cause) {
      return refused(new TowlineError('internal', 'An audit event cannot be written as JSON.', { detail: given.action, cause }));
    }
    const refusal = this.#refusalOf(normal.bytes);
    if (refusal !== null) return refused(refusal);
    return new Promise((settle) => {
      this.#entries.push({ ...normal, settle });
      this.#waitingBytes += normal.bytes;
      this.#start();
    });
  }

  /** Records an event about the trail itself when there is time; nobody waits for it. */
  note(event: AuditEvent): void {
    if (this.#notes.length < MAX_NOTES) this.#notes.push(normaliseEvent(event, maskApiKeys).event);
    if (!this.#closed) this.#start();
  }

  /** Refuses further events and waits until those before are decided. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  /** Writes the notes that were made while closing. */
  async flushNotes(): Promise<void> {
    this.#start();
    await this.#running;
    if (this.#notes.length > 0) this.#parts.log.error('Notes about the audit trail could not be recorded.', { notes: this.#notes });
  }

  #refusalOf(bytes: number): TowlineError | null {
    const { maxEventBytes, maxWaiting, maxWaitingBytes } = this.#parts.limits;
    if (this.#closed) return unavailable('The relay is stopping.');
    if (bytes > maxEventBytes)
      return new TowlineError('too_large', `What is to be recorded has ${bytes} bytes, where ${maxEventBytes} are allowed.`);
    if (this.#entries.length >= maxWaiting || this.#waitingBytes + bytes > maxWaitingBytes)
      return unavailable('Too much waits to be recorded in the audit trail.');
    return null;
  }

  #start(): void {
    this.#running ??= this.#drain();
  }

  async #drain(): Promise<void> {
    // What is written in the same turn goes in one group, and so in one fsync.
    await Promise.resolve();
    let stored = true;
    while (this.#entries.length > 0 || (this.#notes.length > 0 && stored)) stored = await this.#writeGroup(this.#takeGroup());
    // In the same turn as the check above, or an event added in between would wait for ever.
    this.#running = null;
  }

  #takeGroup(): readonly Entry[] {
    const { maxBatch, maxBatchBytes } = this.#parts.limits;
    let count = 0;
    for (let bytes = 0; count < this.#entries.length && count < maxBatch; count += 1) {
      bytes += this.#entries[count]!.bytes;
      if (bytes > maxBatchBytes && count > 0) break;
    }
    const group = this.#entries.slice(0, count);
    this.#entries = this.#entries.slice(count);
    for (const { bytes } of group) this.#waitingBytes -= bytes;
    return group;
  }

  /** Answers whether the store took the group. */
  async #writeGroup(group: readonly Entry[]): Promise<boolean> {
    const notes = this.#notes;
    this.#notes = [];
    const stored = await this.#store([...notes, ...group.map(({ event }) => event)]);
    if ('error' in stored) {
      this.#notes = [...notes, ...this.#notes];
      const refusal = unavailable('The audit trail cannot be written.', stored.error);
      for (const { settle } of group) settle({ stored: false, refusal });
      return false;
    }
    const failures = await this.#sinks.deliver(stored.records);
    // A note that a note was not delivered would never end.
    if (group.length > 0) for (const failure of failures) this.note(this.#undelivered(failure, stored.records));
    const refusal = failures[0] ? unavailable(`Audit sink "${failures[0].sink}" is required and fails.`, failures[0].error) : null;
    for (const { settle } of group) settle({ stored: true, refusal });
    return true;
  }

  async #store(events: readonly AuditEvent[]): Promise<{ readonly records: readonly AuditRecord[] } | { readonly error: unknown }> {
    try {
      if (!this.#begun) this.#sinks.begin(await this.#parts.trail.lastNumber());
      this.#begun = true;
      const records = await this.#parts.trail.append(events);
      if (this.#storeFailing) this.#parts.log.info('The audit trail can be written again.');
      this.#storeFailing = false;
      return { records };
    } catch (error) {
      if (!this.#storeFailing) this.#parts.log.error('The audit trail cannot be written: nothing that needs a record is done.', { error });
      this.#storeFailing = true;
      return { error };
    }
  }

  /** The record that follows those which a required sink refused: what they announce did not happen. */
  #undelivered({ sink, error }: SinkFailure, records: readonly AuditRecord[]): AuditEvent {
    const text = maskSecrets(error instanceof Error ? error.message : String(error)).slice(0, 500);
    const detail = { sink, from: records[0]!.number, to: records.at(-1)!.number, error: text };
    return {
      at: this.#parts.clock.now(),
      action: 'audit.undelivered',
      actor: RELAY_ACTOR,
      outcome: 'failed',
      reason: 'unavailable',
      detail,
    };
  }
}

function refused(refusal: TowlineError): Promise<WriteOutcome> {
  return Promise.resolve({ stored: false, refusal });
}

function unavailable(message: string, cause?: unknown): TowlineError {
  const hint = 'Nothing is done without a record. The log of the relay tells what fails; try again when it is repaired.';
  return new TowlineError('unavailable', message, { hint, cause });
}
