import type { AuditRecord } from './model.ts';

/** An audit plugin: a place where records are written besides the store. */
export interface AuditSink {
  /** Resolves when the whole batch is durable by this sink's own promise. Batches come in order, one at a time. */
  write(batch: readonly AuditRecord[]): Promise<void>;
}
