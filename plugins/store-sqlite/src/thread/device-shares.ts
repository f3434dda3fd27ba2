import type { Device } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import type { Statements } from './statements.ts';
import { visibleTo } from './visibility.ts';

/** Brings the rows that stand for the shares of a device up to date with it. Part of a larger change. */
export function noteShares(statements: Statements, { id, owner, name, shares }: Pick<Device, 'id' | 'owner' | 'name' | 'shares'>): void {
  forgetShares(statements, id);
  if (shares.length === 0) return;
  statements.run(
    `INSERT INTO device_share (device_id, scope, owner, name, until)
     SELECT ?, value ->> 'scope', ?, ?, value ->> 'until' FROM json_each(?)`,
    id,
    owner,
    name,
    JSON.stringify(shares),
  );
}

/** Deletes the rows that stand for the shares of a device. Part of a larger change. */
export function forgetShares(statements: Statements, deviceId: string): void {
  statements.run('DELETE FROM device_share WHERE device_id = ?', deviceId);
}

/** Ids of the devices with open sessions that are shared with one of the scopes. Those that have none are left out: they are many. */
export function busySharedDevices(statements: Statements, caller: Exclude<WireCaller, 'system'>): string[] {
  const shared = visibleTo(caller, 'share.scope');
  const rows = statements.all(
    `SELECT share.device_id FROM device_share AS share
     WHERE ${shared.sql} AND EXISTS (SELECT 1 FROM open_session AS session WHERE session.device_id = share.device_id)`,
    ...shared.values,
  );
  return [...new Set(rows.map((row) => row.device_id as string))];
}
