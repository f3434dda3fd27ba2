import type { OpenSession, Page, PageRequest } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { fetchPage } from './page-query.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { scopesToSearch, visibleTo } from './visibility.ts';

const table = new Table<OpenSession>('open_session', {
  id: 'text',
  deviceId: 'text',
  owner: 'text',
  protocol: 'text',
  actor: 'json',
  address: 'text',
  openedAt: 'integer',
  detail: 'json',
  deviceName: 'text',
});

/** Look-ups of open sessions. */
export function sessionReads(statements: Statements) {
  return {
    'sessions.get': (id: string, caller: WireCaller): OpenSession | null => {
      const visible = visibleTo(caller);
      const row = statements.get(`SELECT ${table.columnList} FROM open_session WHERE id = ? AND ${visible.sql}`, id, ...visible.values);
      return row ? table.fromRow(row) : null;
    },

    'sessions.list': (filter: { readonly deviceId?: string }, page: PageRequest, caller: WireCaller): Page<OpenSession> => {
      const base = { list: 'sessions', table: table.name, columns: table.columns, id: 'id', order: ['id'] };
      const scopes = scopesToSearch(caller, undefined);
      const byOwner = { keys: scopes === undefined ? [] : [{ column: 'owner', values: scopes }], conditions: [] };
      const { items, next } = fetchPage(
        statements,
        {
          ...base,
          ...(filter.deviceId === undefined
            ? byOwner
            : { keys: [{ column: 'device_id', values: [filter.deviceId] }], conditions: [visibleTo(caller, '+i.owner')] }),
        },
        page,
      );
      return { items: items.map((row) => table.fromRow(row)), next };
    },
  };
}

/** Changes of open sessions. */
export function sessionWrites(statements: Statements) {
  return {
    'sessions.insert': (session: OpenSession): boolean => table.insert(statements, session),
    'sessions.remove': (id: string): boolean => statements.run('DELETE FROM open_session WHERE id = ?', id) === 1,
  };
}
