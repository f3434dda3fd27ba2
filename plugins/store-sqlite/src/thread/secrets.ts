import type { Page, PageRequest, Secret, SecretChange, SecretEntry } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { StoreFault } from './fault.ts';
import { fetchSecretPage } from './secret-page.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { visibleTo } from './visibility.ts';

const BEFORE_SEALED = { scope: 'text', name: 'text', keyId: 'text' } as const;
const BEHIND_SEALED = { createdAt: 'integer', createdBy: 'text', updatedAt: 'integer', updatedBy: 'text', revision: 'integer' } as const;
const KEY = ['scope', 'name'];

/** Rows of secrets. */
export const secretTable = new Table<Secret>('secret', { ...BEFORE_SEALED, sealed: 'text', ...BEHIND_SEALED }, KEY);
/** The same rows without the values. */
const entryTable = new Table<SecretEntry>('secret', { ...BEFORE_SEALED, ...BEHIND_SEALED }, KEY);

const CHANGEABLE = ['sealed', 'keyId', 'updatedAt', 'updatedBy'] as const satisfies readonly (keyof SecretChange)[];
/** Secrets under other keys that are handed out at once, as the contract says. */
const MAX_NOT_UNDER = 100;

/** Which secret, by its key. */
export type SecretPlace = Pick<Secret, 'name'> & { readonly scope: string };

/** Of which scope secrets are asked for; absent: of all that the caller may see. */
export interface SecretFilter {
  readonly scope?: string;
}

/** Look-ups of secrets. */
export function secretReads(statements: Statements) {
  return {
    'secrets.get': (place: SecretPlace, caller: WireCaller): Secret | null => find(statements, place, caller),

    'secrets.list': (filter: SecretFilter, page: PageRequest, caller: WireCaller): Page<Secret> =>
      fetchPage(statements, secretTable, { filter, page, caller }),

    'secrets.listEntries': (filter: SecretFilter, page: PageRequest, caller: WireCaller): Page<SecretEntry> =>
      fetchPage(statements, entryTable, { filter, page, caller }),

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

interface PageOfSecrets {
  readonly filter: SecretFilter;
  readonly page: PageRequest;
  readonly caller: WireCaller;
}

function fetchPage<Item extends object>(statements: Statements, table: Table<Item>, { filter, page, caller }: PageOfSecrets): Page<Item> {
  const { items, next } = fetchSecretPage(statements, { columns: table.columnList, scope: filter.scope, caller }, page);
  return { items: items.map((row) => table.fromRow(row)), next };
}

function find(statements: Statements, { scope, name }: SecretPlace, caller: WireCaller): Secret | null {
  const visible = visibleTo(caller, 'scope');
  const row = statements.get(
    `SELECT ${secretTable.columnList} FROM secret WHERE scope = ? AND name = ? AND ${visible.sql}`,
    ...[scope, name, ...visible.values],
  );
  return row ? secretTable.fromRow(row) : null;
}
