import type { Standing, StandingQuery, User } from '@towline/contract';
import { findKey } from './keys.ts';
import { membershipsOf } from './memberships.ts';
import type { Statements } from './statements.ts';
import { findUser } from './users.ts';
import { organisationsAmong } from './visibility.ts';

/** Look-ups over several tables. Must run in one transaction: they take several statements. */
export function standingReads(statements: Statements) {
  return {
    standing: (query: StandingQuery): Standing => {
      const user = findUser(statements, query.userId);
      // Without either, no address counts: the one noted may be one that the provider does not vouch for any more.
      const email = query.ofUser ? user?.email : query.email;
      return {
        user,
        key: query.keyId === undefined ? null : findKey(statements, query.keyId, 'system'),
        memberships: email === undefined ? [] : membershipsOf(statements, email),
        deletedOrgs: deletedAmong(statements, [...query.orgs, ...(query.ofUser ? organisationsOfClaims(user) : [])]),
      };
    },

    isScopeUsed: (scope: string): boolean =>
      statements.get(
        `SELECT 1 WHERE EXISTS (SELECT 1 FROM device WHERE owner = ?) OR EXISTS (SELECT 1 FROM device_share WHERE scope = ?)
           OR EXISTS (SELECT 1 FROM api_key WHERE owner = ?) OR EXISTS (SELECT 1 FROM api_key_scope WHERE scope = ?)
           OR EXISTS (SELECT 1 FROM registration WHERE owner = ?) OR EXISTS (SELECT 1 FROM secret WHERE scope = ?)`,
        ...[scope, scope, scope, scope, scope, scope],
      ) !== undefined,
  };
}

function organisationsOfClaims(user: User | null): string[] {
  return organisationsAmong((user?.claims ?? []).map(({ scope }) => scope));
}

function deletedAmong(statements: Statements, orgs: readonly string[]): Standing['deletedOrgs'] {
  if (orgs.length === 0) return [];
  const rows = statements.all(
    'SELECT id FROM organisation WHERE id IN (SELECT value FROM json_each(?)) AND deleted_at IS NOT NULL ORDER BY id',
    JSON.stringify(orgs),
  );
  return rows.map((row) => row.id) as unknown as Standing['deletedOrgs'];
}
