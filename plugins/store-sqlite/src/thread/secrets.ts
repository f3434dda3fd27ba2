import type { Page, PageRequest, Secret, SecretChange } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { StoreFault } from './fault.ts';
import { fetchSecretPage } from './secret-page.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { visibleTo } from './visibility.ts';

/** Rows of secrets. */
export const secretTable = new Table<Secret>(
  'secret',
  {
    scope: 'text',
    name: 'text',
    keyId: 'text',
    sealed: 'text',
    createdAt: 'integer',
    createdBy: 'text',
    updatedAt: 'integer',
    updatedBy: 'text',
    revision: 'integer',
  },
  ['scope', 'name'],
);

const CHANGEABLE = ['sealed', 'keyId', 'updatedAt', 'updatedBy'] as const satisfies readonly (keyof SecretChange)[];
/** Secrets under other keys that are handed out at once, as the contract says. */
const MAX_NOT_UNDER = 100;

/** Which secret, by its key. */
export type SecretPlace = Pick<Secret, 'name'> & { readonly scope: string };

/** Look-ups of secrets. */
export function secretReads(statements: Statements) {
  return {
    'secrets.get': (place: SecretPlace, caller: WireCaller): Secret | null => find(statements, place, caller),

    'secrets.list': (filter: { readonly scope?: string }, page: PageRequest, caller: WireCaller): Page<Secret> => {
      const { items, next } = fetchSecretPage(statements, { columns: secretTable.columnList, scope: filter.scope, caller }, page);
      return { items: items.map((row) => secretTable.fromRow(row)), next };
    },

    'secrets.count': (scope: string): number =>
      statements.get('SELECT count(*) AS count FROM secret WHERE scope = ?', scope)!.count as number,

    // Two look-ups, as no index serves the unequal.
    'secrets.listNotUnder': (keyId: string): Secret[] =>
      statements
        .all(
          `SELECT ${secretTable.columnList} FROM secret WHERE key_id < ?
           UNION ALL SELECT ${secretTable.columnList} FROM secret WHERE key_id > ? LIMIT ?`,
          keyId,
          keyId,
          MAX_NOT_UNDER,
        )
        .map((row) => secretTable.fromRow(row)),
  };
}

/** Changes of secrets. */
export function secretWrites(statements: Statements) {
  return {
    'secrets.insert': (secret: Secret): boolean => secretTable.insert(statements, { ...secret, revision: 1 }),

    'secrets.update': (at: SecretPlace & Pick<Secret, 'revision'>, change: SecretChange, caller: WireCaller): Secret => {
      const present = find(statements, at, caller);
      if (!present) throw new StoreFault('not_found', 'No such secret, or it is not yours to see.');
      if (present.revision !== at.revision) throw new StoreFault('store_conflict', 'The secret was changed in between.');
      const { sql, values } = secretTable.assignments(change, CHANGEABLE);
      const row = statements.get(
        `UPDATE secret SET ${[...sql, 'revision = revision + 1'].join(', ')} WHERE scope = ? AND name = ? RETURNING ${secretTable.columnList}`,
        ...values,
        at.scope,
        at.name,
      );
      return secretTable.fromRow(row!);
    },

    'secrets.remove': ({ scope, name }: SecretPlace, caller: WireCaller): boolean => {
      const visible = visibleTo(caller, 'scope');
      return statements.run(`DELETE FROM secret WHERE scope = ? AND name = ? AND ${visible.sql}`, scope, name, ...visible.values) === 1;
    },
  };
}

/** Removes all secrets of a scope that ends. Part of a larger change. */
export function removeSecretsOf(statements: Statements, scope: string): void {
  statements.run('DELETE FROM secret WHERE scope = ?', scope);
}

function find(statements: Statements, { scope, name }: SecretPlace, caller: WireCaller): Secret | null {
  const visible = visibleTo(caller, 'scope');
  const row = statements.get(
    `SELECT ${secretTable.columnList} FROM secret WHERE scope = ? AND name = ? AND ${visible.sql}`,
    ...[scope, name, ...visible.values],
  );
  return row ? secretTable.fromRow(row) : null;
}
