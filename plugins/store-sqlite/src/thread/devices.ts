import type { Device, DeviceChange, Page, PageRequest, Revocation } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { StoreFault } from './fault.ts';
import { revokeKeysOfDevice } from './keys.ts';
import { fetchPage } from './page-query.ts';
import { prefixCondition } from './prefix-condition.ts';
import { appendRevocation } from './revocations.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { type Condition, scopesToSearch, visibleTo } from './visibility.ts';

const table = new Table<Device>('device', {
  id: 'text',
  name: 'text',
  owner: 'text',
  publicKey: 'text',
  fingerprint: 'text',
  facts: 'json',
  enrolledAt: 'integer',
  enrolledBy: 'text',
  lastSeenAt: 'integer',
  lastAddress: 'text',
  revision: 'integer',
});

const CHANGEABLE = ['name', 'owner', 'facts', 'publicKey', 'fingerprint'] as const satisfies readonly (keyof DeviceChange)[];

/** What devices can be asked for. */
export interface DeviceFilter {
  readonly name?: string;
  readonly idPrefix?: string;
  readonly owner?: string;
}

/** Look-ups of devices. */
export function deviceReads(statements: Statements) {
  return {
    'devices.get': (id: string, caller: WireCaller): Device | null => find(statements, id, caller),

    'devices.list': (filter: DeviceFilter, page: PageRequest, caller: WireCaller): Page<Device> => {
      const scopes = scopesToSearch(caller, filter.owner);
      const conditions: Condition[] = [];
      if (filter.idPrefix !== undefined) conditions.push(prefixCondition('i.id', filter.idPrefix));
      const base = { list: 'devices', table: table.name, columns: table.columns, id: 'id', order: ['id'] };
      const keys = [
        ...(scopes === undefined ? [] : [{ column: 'owner', values: scopes }]),
        ...(filter.name === undefined ? [] : [{ column: 'name', values: [filter.name] }]),
      ];
      const { items, next } = fetchPage(statements, { ...base, keys, conditions }, page);
      return { items: items.map((row) => table.fromRow(row)), next };
    },
  };
}

/** Changes of devices. */
export function deviceWrites(statements: Statements) {
  return {
    'devices.insert': (device: Device): boolean => table.insert(statements, { ...device, revision: 1 }),

    'devices.update': (at: { readonly id: string; readonly revision: number }, change: DeviceChange, caller: WireCaller): Device => {
      const present = find(statements, at.id, caller);
      if (!present) throw new StoreFault('not_found', 'No such device, or it is not yours to see.');
      if (present.revision !== at.revision) throw new StoreFault('store_conflict', 'The device was changed in between.');
      const { sql, values } = table.assignments(change, CHANGEABLE);
      const row = statements.get(
        `UPDATE device SET ${[...sql, 'revision = revision + 1'].join(', ')} WHERE id = ? RETURNING ${table.columnList}`,
        ...values,
        at.id,
      );
      return table.fromRow(row!);
    },

    'devices.touch': (id: string, seen: { readonly at: number; readonly address: string }): void => {
      statements.run('UPDATE device SET last_seen_at = ?, last_address = ? WHERE id = ?', seen.at, seen.address, id);
    },

    'devices.remove': (id: string, revocation: Omit<Revocation, 'number' | 'kind' | 'id'>, caller: WireCaller): boolean => {
      const visible = visibleTo(caller);
      const removed = statements.run(`DELETE FROM device WHERE id = ? AND ${visible.sql}`, id, ...visible.values);
      if (removed === 0) return false;
      revokeKeysOfDevice(statements, id, revocation);
      appendRevocation(statements, { ...revocation, kind: 'device', id });
      return true;
    },
  };
}

function find(statements: Statements, id: string, caller: WireCaller): Device | null {
  const visible = visibleTo(caller);
  const row = statements.get(`SELECT ${table.columnList} FROM device WHERE id = ? AND ${visible.sql}`, id, ...visible.values);
  return row ? table.fromRow(row) : null;
}
