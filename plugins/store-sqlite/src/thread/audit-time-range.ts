import type { AuditFilter } from '@towline/contract';
import type { Statements } from './statements.ts';
import type { Condition } from './visibility.ts';

/** A time range as a range of record numbers, which every index of the trail can follow. */
export interface NumberRange {
  /** No record before it is recent enough. */
  readonly first: number;
  /** No record after it is old enough. */
  readonly last: number;
  /** The exact times, to be checked on the rows in the range. */
  readonly conditions: readonly Condition[];
}

/**
 * Narrows a time range to a range of numbers.
 *
 * Times nearly rise with the numbers, but a clock may be set back. So each record keeps `high_at`, the latest time up
 * to it, which does rise: before the first record with `high_at >= since` nothing is recent enough. All records up to
 * the last one with `high_at < until` are old enough; behind it only late ones can be (`at < high_at`), which have an
 * index of their own.
 */
export function numberRange(statements: Statements, { since, until }: Pick<AuditFilter, 'since' | 'until'>): NumberRange {
  return {
    first: since === undefined ? 1 : firstSince(statements, since),
    last: until === undefined ? Number.MAX_SAFE_INTEGER - 1 : lastUntil(statements, until),
    conditions: [
      ...(since === undefined ? [] : [{ sql: '+i.at >= ?', values: [since] }]),
      ...(until === undefined ? [] : [{ sql: '+i.at < ?', values: [until] }]),
    ],
  };
}

/** Behind the trail when no record is recent enough. */
function firstSince(statements: Statements, since: number): number {
  const row = statements.get('SELECT number FROM audit WHERE high_at >= ? ORDER BY high_at, number LIMIT 1', since);
  return (row?.number as number | undefined) ?? Number.MAX_SAFE_INTEGER;
}

/** 0 when no record is old enough. */
function lastUntil(statements: Statements, until: number): number {
  const early = statements.get('SELECT number FROM audit WHERE high_at < ? ORDER BY high_at DESC, number DESC LIMIT 1', until);
  const late = statements.get('SELECT max(number) AS number FROM audit INDEXED BY audit_late WHERE at < high_at AND at < ?', until);
  return Math.max((early?.number as number | undefined) ?? 0, (late?.number as number | null | undefined) ?? 0);
}
