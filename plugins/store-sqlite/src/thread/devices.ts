import type { Device, DeviceChange, Page, PageRequest, RevocationNotice } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { deviceQueries } from './device-queries.ts';
import { forgetShares, noteShares } from './device-shares.ts';
import { StoreFault } from './fault.ts';
import { moveKeysOfDevice, revokeKeysOfDevice } from './keys.ts';
import { fetchMergedPage } from './page-query.ts';
import { moveWaitingRegistrations } from './registrations.ts';
import { appendRevocation } from './revocations.ts';
import { moveSessionsOfDevice } from './sessions.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { reachableBy } from './visibility.ts';

/** Rows of devices. */
export const deviceTable = new Table<Device>('device', {
  id: 'text',
  name: 'text',
  owner: 'text',
  shares: 'json',
  publicKey: 'text',
  fingerprint: 'text',
  facts: 'json',
  enrolledAt: 'integer',
  enrolledBy: 'text',
  lastSeenAt: 'integer',
  lastAddress: 'text',
  revision: 'integer',
});

const CHANGEABLE = ['name', 'owner', 'shares', 'facts', 'publicKey', 'fingerprint'] as const satisfies readonly (keyof DeviceChange)[];
/** Devices with ended shares that are handed out at once, as the contract says. */
const MAX_ENDED = 100;

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
      const { items, next } = fetchMergedPage(statements, deviceQueries(deviceTable.columns, filter, caller), page);
      return { items: items.map((row) => deviceTable.fromRow(row)), next };
    },

    'devices.listWithEndedShares': (now: number): Device[] =>
      statements
        .all(
          `SELECT ${deviceTable.columnList} FROM device
           WHERE id IN (SELECT device_id FROM device_share WHERE until <= ? ORDER BY until LIMIT ?)`,
          now,
          MAX_ENDED,
        )
        .map((row) => deviceTable.fromRow(row)),
  };
}

/** Changes of devices. */
export function deviceWrites(statements: Statements) {
  return {
    'devices.insert': (device: Device): boolean => {
      const inserted = deviceTable.insert(statements, { ...device, revision: 1 });
      if (inserted) noteShares(statements, device);
      return inserted;
    },

    'devices.update': (
      at: { readonly id: string; readonly revision: number },
      change: DeviceChange,
      caller: WireCaller,
      notice?: RevocationNotice,
    ): Device => {
      const present = find(statements, at.id, caller);
      if (!present) throw new StoreFault('not_found', 'No such device, or it is not yours to see.');
      if (present.revision !== at.revision) throw new StoreFault('store_conflict', 'The device was changed in between.');
      const changed = applyChange(statements, at.id, change);
      if (changed.owner !== present.owner) moveBelongings(statements, changed);
      if (notice) appendRevocation(statements, { ...notice, kind: 'access', id: at.id });
      return changed;
    },

    'devices.touch': (id: string, seen: { readonly at: number; readonly address: string }): void => {
      statements.run('UPDATE device SET last_seen_at = ?, last_address = ? WHERE id = ?', seen.at, seen.address, id);
    },

    'devices.remove': (id: string, revocation: RevocationNotice, caller: WireCaller): boolean => {
      const visible = reachable(caller);
      const removed = statements.run(`DELETE FROM device WHERE id = ? AND ${visible.sql}`, id, ...visible.values);
      if (removed === 0) return false;
      forgetShares(statements, id);
      revokeKeysOfDevice(statements, id, revocation);
      appendRevocation(statements, { ...revocation, kind: 'device', id });
      return true;
    },
  };
}

function reachable(caller: WireCaller) {
  return reachableBy(caller, { owner: 'device.owner', device: 'device.id' });
}

function find(statements: Statements, id: string, caller: WireCaller): Device | null {
  const visible = reachable(caller);
  const row = statements.get(`SELECT ${deviceTable.columnList} FROM device WHERE id = ? AND ${visible.sql}`, id, ...visible.values);
  return row ? deviceTable.fromRow(row) : null;
}

function applyChange(statements: Statements, id: string, change: DeviceChange): Device {
  const { sql, values } = deviceTable.assignments(change, CHANGEABLE);
  const row = statements.get(
    `UPDATE device SET ${[...sql, 'revision = revision + 1'].join(', ')} WHERE id = ? RETURNING ${deviceTable.columnList}`,
    ...values,
    id,
  );
  const changed = deviceTable.fromRow(row!);
  if ((change.shares ?? change.owner ?? change.name) !== undefined) noteShares(statements, changed);
  return changed;
}

/** What is listed under the owner of a device goes along with it. */
function moveBelongings(statements: Statements, { id, owner }: Device): void {
  moveKeysOfDevice(statements, id, owner);
  moveWaitingRegistrations(statements, id, owner);
  moveSessionsOfDevice(statements, id, owner);
}
