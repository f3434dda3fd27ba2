import type { WireCaller } from '../wire-caller.ts';
import type { DeviceFilter } from './devices.ts';
import type { PageQuery } from './page-query.ts';
import { prefixCondition } from './prefix-condition.ts';
import { type Condition, scopesToSearch } from './visibility.ts';

/** The look-ups that together find the devices asked for: those of the caller's scopes, and those that are shared with them. */
export function deviceQueries(columns: readonly string[], filter: DeviceFilter, caller: WireCaller): PageQuery[] {
  const base = { list: 'devices', table: 'device', columns, id: 'id', order: ['id'] };
  const owned = { ...base, ...ownedAccess(filter, caller) };
  // Whoever sees all devices of the owner that is asked for finds the shared ones among them.
  if (caller === 'system' || (filter.owner !== undefined && caller.includes(filter.owner))) return [owned];
  const shared = { ...base, through: { table: 'device_share', id: 'device_id' }, ...sharedAccess(filter, caller) };
  return filter.owner === undefined ? [owned, shared] : [shared];
}

function ownedAccess(filter: DeviceFilter, caller: WireCaller): Pick<PageQuery, 'keys' | 'conditions'> {
  const scopes = scopesToSearch(caller, filter.owner);
  return {
    keys: [
      ...(scopes === undefined ? [] : [{ column: 'owner', values: scopes }]),
      ...(filter.name === undefined ? [] : [{ column: 'name', values: [filter.name] }]),
    ],
    conditions: prefixOf('i.id', filter),
  };
}

/** By the index of the name where one is asked for; the `+` keeps the owner from being taken for a part of the index. */
function sharedAccess({ name, owner, ...filter }: DeviceFilter, scopes: readonly string[]): Pick<PageQuery, 'keys' | 'conditions'> {
  const scope = { column: 'scope', values: scopes };
  const conditions = prefixOf('i.device_id', filter);
  if (name === undefined) return { keys: [scope, ...(owner === undefined ? [] : [{ column: 'owner', values: [owner] }])], conditions };
  const ofOwner: Condition[] = owner === undefined ? [] : [{ sql: '+i.owner = ?', values: [owner] }];
  return { keys: [scope, { column: 'name', values: [name] }], conditions: [...conditions, ...ofOwner] };
}

function prefixOf(column: string, { idPrefix }: Pick<DeviceFilter, 'idPrefix'>): Condition[] {
  return idPrefix === undefined ? [] : [prefixCondition(column, idPrefix)];
}
