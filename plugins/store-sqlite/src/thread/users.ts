import type { Page, PageRequest, RevocationNotice, User, UserLogin } from '@towline/contract';
import { fetchPage } from './page-query.ts';
import { appendRevocation } from './revocations.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import type { Condition } from './visibility.ts';

/** Rows of users. */
export const userTable = new Table<User>('app_user', {
  id: 'text',
  label: 'text',
  email: 'text',
  provider: 'text',
  claims: 'json',
  createdAt: 'integer',
  lastSeenAt: 'integer',
  disabledAt: 'integer',
  disabledBy: 'text',
  revision: 'integer',
});

/** What users can be asked for. */
export interface UserFilter {
  readonly email?: string;
  readonly disabled?: boolean;
}

/** Look-ups of users. */
export function userReads(statements: Statements) {
  return {
    'users.get': (id: string): User | null => findUser(statements, id),

    'users.list': (filter: UserFilter, page: PageRequest): Page<User> => {
      const base = { list: 'users', table: userTable.name, columns: userTable.columns, id: 'id', order: ['id'] };
      const keys = filter.email === undefined ? [] : [{ column: 'email', values: [filter.email] }];
      const { items, next } = fetchPage(statements, { ...base, keys, conditions: disabledCondition(filter) }, page);
      return { items: items.map((row) => userTable.fromRow(row)), next };
    },
  };
}

/** Changes of users. */
export function userWrites(statements: Statements) {
  return {
    'users.note': ({ at, ...login }: UserLogin): User => {
      const added = userTable.insert(statements, { ...login, createdAt: at, lastSeenAt: at, revision: 1 });
      if (!added) noteAgain(statements, { at, ...login });
      return findUser(statements, login.id)!;
    },

    'users.disable': (id: string, by: string, notice: RevocationNotice): boolean => {
      const disabled = statements.run(
        'UPDATE app_user SET disabled_at = ?, disabled_by = ?, revision = revision + 1 WHERE id = ? AND disabled_at IS NULL',
        notice.at,
        by,
        id,
      );
      if (disabled === 0) return false;
      appendRevocation(statements, { ...notice, kind: 'user', id });
      return true;
    },

    'users.enable': (id: string): boolean =>
      statements.run(
        `UPDATE app_user SET disabled_at = NULL, disabled_by = NULL, revision = revision + 1 WHERE id = ? AND disabled_at IS NOT NULL`,
        id,
      ) === 1,
  };
}

/** The user of this id. */
export function findUser(statements: Statements, id: string): User | null {
  const row = statements.get(`SELECT ${userTable.columnList} FROM app_user WHERE id = ?`, id);
  return row ? userTable.fromRow(row) : null;
}

/** The right sides are those of the row before the change. */
function noteAgain(statements: Statements, { id, label, email, provider, claims, at }: UserLogin): void {
  const [address, carried] = [email ?? null, JSON.stringify(claims)];
  statements.run(
    `UPDATE app_user SET label = ?, email = ?, provider = ?, claims = ?, last_seen_at = ?,
       revision = revision + (label IS NOT ? OR email IS NOT ? OR provider IS NOT ? OR claims IS NOT ?)
     WHERE id = ?`,
    ...[label, address, provider, carried, at],
    ...[label, address, provider, carried, id],
  );
}

function disabledCondition({ disabled }: UserFilter): Condition[] {
  if (disabled === undefined) return [];
  return [{ sql: `i.disabled_at IS ${disabled ? 'NOT ' : ''}NULL`, values: [] }];
}
