import type { AuditFilter, AuditRecord, Page, PageRequest } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { fetchAuditPage } from './audit-query.ts';
import { StoreFault } from './fault.ts';
import type { Statements } from './statements.ts';

const NO_HASH = '0'.repeat(64);

interface Head {
  readonly number: number;
  readonly hash: string;
  /** Latest time of any record so far. */
  readonly highAt: number;
}

/** Order and part of the trail that is asked for. */
export interface AuditPageRequest extends PageRequest {
  readonly order: 'ascending' | 'descending';
}

/** Look-ups of the trail. Records are JSON text. */
export function auditReads(statements: Statements) {
  return {
    'audit.head': (): { readonly number: number; readonly hash: string } | null => {
      const head = findHead(statements);
      return head && { number: head.number, hash: head.hash };
    },
    'audit.list': (filter: AuditFilter, page: AuditPageRequest, caller: WireCaller): Page<string> =>
      fetchAuditPage(statements, { filter, page, caller }),
  };
}

/** Appends to the trail. Records are JSON text. */
export function auditWrites(statements: Statements) {
  return {
    'audit.append': (records: readonly string[]): void => {
      let head = findHead(statements) ?? { number: 0, hash: NO_HASH, highAt: Number.MIN_SAFE_INTEGER };
      for (const text of records) head = appendRecord(statements, text, head);
    },
  };
}

function findHead(statements: Statements): Head | null {
  const row = statements.get('SELECT number, hash, high_at FROM audit ORDER BY number DESC LIMIT 1');
  return row ? { number: row.number as number, hash: row.hash as string, highAt: row.high_at as number } : null;
}

function appendRecord(statements: Statements, text: string, head: Head): Head {
  const record = JSON.parse(text) as AuditRecord;
  if (record.number !== head.number + 1 || record.previousHash !== head.hash) {
    throw new StoreFault('store_conflict', `The audit trail goes on after record ${head.number}, not with number ${record.number}.`);
  }
  const { number, hash, at, action, actor } = record;
  const highAt = Math.max(at, head.highAt);
  statements.run(
    `INSERT INTO audit (number, hash, at, high_at, action, actor_id, actor_email, device_id, session, owner, record)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[number, hash, at, highAt, action, actor.id, actor.email ?? null, record.device?.id ?? null],
    ...[record.session ?? null, record.owner ?? null, text],
  );
  return { number, hash, highAt };
}
