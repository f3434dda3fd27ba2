import { createHash } from 'node:crypto';
import type { AuditEvent, AuditRecord } from '@towline/contract';
import { canonicalJson } from './canonical-json.ts';

/** The last record of a chain; null for a chain without records. */
export type ChainHead = Pick<AuditRecord, 'number' | 'hash'> | null;

/** What {@link verifyChain} found. */
export type ChainVerdict =
  | { readonly ok: true; readonly count: number; readonly head: ChainHead }
  | {
      readonly ok: false;
      /** Number that the first bad record should have. */
      readonly number: number;
      /** A record is missing or out of place; it does not follow the one before; its content was changed. */
      readonly fault: 'number' | 'previous_hash' | 'hash';
      /** One sentence for a person. */
      readonly message: string;
    };

/** Hash before the first record. */
export const GENESIS_HASH = '0'.repeat(64);

/**
 * An event as it will be read back from any store: no absent keys, no text that is not Unicode. `mask` takes out of its
 * JSON what must not be kept, and leaves it JSON. @throws TypeError for what JSON cannot hold.
 */
export function normaliseEvent(
  event: AuditEvent,
  mask: (json: string) => string = (json) => json,
): { readonly event: AuditEvent; readonly bytes: number } {
  const text = mask(canonicalJson({ ...event, number: undefined, previousHash: undefined, hash: undefined }));
  return { event: JSON.parse(text) as AuditEvent, bytes: Buffer.byteLength(text) };
}

/** Gives events their place behind `head`: numbers without gaps, each with the hash of the one before. */
export function linkRecords(head: ChainHead, events: readonly AuditEvent[]): AuditRecord[] {
  return linkNormalised(
    head,
    events.map((event) => normaliseEvent(event).event),
  );
}

/** As {@link linkRecords}, for events that went through {@link normaliseEvent}. */
export function linkNormalised(head: ChainHead, events: readonly AuditEvent[]): AuditRecord[] {
  let { number, hash } = head ?? { number: 0, hash: GENESIS_HASH };
  return events.map((event) => {
    const content = { ...event, number: (number += 1), previousHash: hash };
    hash = hashRecord(content);
    return { ...content, hash };
  });
}

/** SHA-256 over the hash before, a newline and the canonical JSON of the record without its own hash; 64 hex digits. */
export function hashRecord(record: Omit<AuditRecord, 'hash'>): string {
  const canonical = canonicalJson({ ...record, hash: undefined });
  return createHash('sha256').update(`${record.previousHash}\n${canonical}`, 'utf8').digest('hex');
}

/**
 * Checks records in ascending order. `start`: the record before the first one, where older ones were pruned;
 * left out for a chain from its beginning. Stops at the first bad record.
 */
export async function verifyChain(
  records: Iterable<AuditRecord> | AsyncIterable<AuditRecord>,
  start: ChainHead = null,
): Promise<ChainVerdict> {
  let head = start;
  let count = 0;
  for await (const record of records) {
    const fault = findFault(record, head);
    if (fault !== null) return { ok: false, number: (head?.number ?? 0) + 1, ...fault };
    head = { number: record.number, hash: record.hash };
    count += 1;
  }
  return { ok: true, count, head };
}

function findFault(record: AuditRecord, head: ChainHead): { fault: 'number' | 'previous_hash' | 'hash'; message: string } | null {
  const expected = (head?.number ?? 0) + 1;
  if (record.number !== expected)
    return { fault: 'number', message: `Record ${expected} is missing: record ${record.number} stands in its place.` };
  if (record.previousHash !== (head?.hash ?? GENESIS_HASH))
    return { fault: 'previous_hash', message: `Record ${expected} does not follow the record before it: one of the two was replaced.` };
  if (hashRecord(record) !== record.hash)
    return { fault: 'hash', message: `Record ${expected} was changed after it was written: its content does not give its hash.` };
  return null;
}
