import type { OpenSession, Page, PageRequest } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { busySharedDevices } from './device-shares.ts';
import { fetchMergedPage, type PageQuery } from './page-query.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { reachableBy } from './visibility.ts';

/** Rows of open sessions. */
export const sessionTable = new Table<OpenSession>('open_session', {
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

/** What sessions can be asked for. */
export interface SessionFilter {
  readonly deviceId?: string;
}

/** Look-ups of open sessions. */
export function sessionReads(statements: Statements) {
  return {
    'sessions.get': (id: string, caller: WireCaller): OpenSession | null => {
      const visible = reachableBy(caller, { owner: 'open_session.owner', device: 'open_session.device_id' });
      const row = statements.get(
        `SELECT ${sessionTable.columnList} FROM open_session WHERE id = ? AND ${visible.sql}`,
        id,
        ...visible.values,
      );
      return row ? sessionTable.fromRow(row) : null;
    },

    'sessions.list': (filter: SessionFilter, page: PageRequest, caller: WireCaller): Page<OpenSession> => {
      const { items, next } = fetchMergedPage(statements, queries(statements, filter, caller), page);
      return { items: items.map((row) => sessionTable.fromRow(row)), next };
    },
  };
}

/** Changes of open sessions. */
export function sessionWrites(statements: Statements) {
  return {
    'sessions.insert': (session: OpenSession): boolean => sessionTable.insert(statements, session),
    'sessions.remove': (id: string): boolean => statements.run('DELETE FROM open_session WHERE id = ?', id) === 1,
  };
}

/** Gives the sessions of a device to a new owner. Part of a larger change. */
export function moveSessionsOfDevice(statements: Statements, deviceId: string, owner: string): void {
  statements.run('UPDATE open_session SET owner = ? WHERE device_id = ?', owner, deviceId);
}

/** Sessions of one device are found by it and then filtered; others by their owner, and by the devices that are shared with the caller. */
function queries(statements: Statements, { deviceId }: SessionFilter, caller: WireCaller): PageQuery[] {
  const base = { list: 'sessions', table: sessionTable.name, columns: sessionTable.columns, id: 'id', order: ['id'], conditions: [] };
  if (deviceId !== undefined) {
    const visible = reachableBy(caller, { owner: '+i.owner', device: 'i.device_id' });
    return [{ ...base, keys: [{ column: 'device_id', values: [deviceId] }], conditions: [visible] }];
  }
  if (caller === 'system') return [{ ...base, keys: [] }];
  const shared = busySharedDevices(statements, caller);
  const owned = { ...base, keys: [{ column: 'owner', values: caller }] };
  return shared.length === 0 ? [owned] : [owned, { ...base, keys: [{ column: 'device_id', values: shared }] }];
}
