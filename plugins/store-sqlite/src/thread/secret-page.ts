import type { Page, PageRequest } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { checkLimit, decodeCursor } from './page-cursor.ts';
import { cutPage } from './page-query.ts';
import type { Row, Statements } from './statements.ts';
import { visibleTo } from './visibility.ts';

/** Whose secrets are asked for. */
export interface SecretQuery {
  /** The columns of a secret as a list for SELECT. */
  readonly columns: string;
  /** Those of one scope only. */
  readonly scope: string | undefined;
  readonly caller: WireCaller;
}

const LIST = { list: 'secrets', order: ['scope', 'name'] };

/**
 * Fetches a page in the order of scope and name. The list is ordered by what the caller may see it by, so nothing has to
 * be merged: the page is the rest of the scope in which the one before ended, and then the scopes that follow.
 */
export function fetchSecretPage(statements: Statements, query: SecretQuery, page: PageRequest): Page<Row> {
  checkLimit(page.limit);
  const count = page.limit + 1;
  const after = page.cursor === undefined ? undefined : (decodeCursor(LIST.list, page.cursor) as readonly [scope: string, name: string]);
  const rest = after === undefined ? [] : restOfScope(statements, query, { after, count });
  const following = rest.length < count ? followingScopes(statements, query, { after: after?.[0], count: count - rest.length }) : [];
  return cutPage(LIST, [...rest, ...following], page.limit);
}

function restOfScope(
  statements: Statements,
  { columns, scope, caller }: SecretQuery,
  { after: [of, name], count }: { readonly after: readonly [scope: string, name: string]; readonly count: number },
): Row[] {
  if (scope !== undefined && scope !== of) return [];
  const visible = visibleTo(caller, '+scope');
  return statements.all(
    `SELECT ${columns} FROM secret WHERE scope = ? AND name > ? AND ${visible.sql} ORDER BY scope, name LIMIT ?`,
    ...[of, name, ...visible.values, count],
  );
}

/** `after`: the scope behind which they follow. */
function followingScopes(
  statements: Statements,
  { columns, scope, caller }: SecretQuery,
  { after, count }: { readonly after: string | undefined; readonly count: number },
): Row[] {
  const following = after === undefined ? { sql: 'TRUE', values: [] } : { sql: 'value > ?', values: [after] };
  if (caller === 'system' && scope === undefined) {
    const where = after === undefined ? '' : 'WHERE scope > ? ';
    return statements.all(`SELECT ${columns} FROM secret AS i ${where}ORDER BY scope, name LIMIT ?`, ...following.values, count);
  }
  const scopes = scope === undefined ? caller : caller === 'system' || caller.includes(scope) ? [scope] : [];
  return statements.all(
    `SELECT ${columns} FROM secret WHERE scope IN (SELECT value FROM json_each(?) WHERE ${following.sql})
     ORDER BY scope, name LIMIT ?`,
    ...[JSON.stringify(scopes), ...following.values, count],
  );
}
