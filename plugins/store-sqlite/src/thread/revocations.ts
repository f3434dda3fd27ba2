import type { Revocation } from '@towline/contract';
import { MAX_REVOCATIONS } from '../limits.ts';
import type { Statements } from './statements.ts';

/** Look-ups of revocations. */
export function revocationReads(statements: Statements) {
  return {
    // By the counter of the table: the number does not fall when old ones are deleted.
    'revocations.last': (): number =>
      (statements.get(`SELECT seq FROM sqlite_sequence WHERE name = 'revocation'`)?.seq as number | undefined) ?? 0,

    'revocations.listAfter': (number: number): Revocation[] =>
      statements.all(
        'SELECT number, at, kind, subject AS id, code, message FROM revocation WHERE number > ? ORDER BY number LIMIT ?',
        number,
        MAX_REVOCATIONS,
      ) as unknown as Revocation[],
  };
}

/** Changes of revocations. */
export function revocationWrites(statements: Statements) {
  return {
    'revocations.deleteBefore': (at: number): number => statements.run('DELETE FROM revocation WHERE at < ?', at),
  };
}

/** Appends a revocation with the next number. Part of a larger change. */
export function appendRevocation(statements: Statements, revocation: Omit<Revocation, 'number'>): void {
  const { at, kind, id, code, message } = revocation;
  statements.run('INSERT INTO revocation (at, kind, subject, code, message) VALUES (?, ?, ?, ?, ?)', at, kind, id, code, message);
}
