import type { ApiKey, KeyKind, Page, PageRequest, Revocation } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { fetchPage } from './page-query.ts';
import { appendRevocation } from './revocations.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { type Condition, scopesToSearch, visibleTo } from './visibility.ts';

const table = new Table<ApiKey>('api_key', {
  id: 'text',
  kind: 'text',
  hash: 'text',
  name: 'text',
  owner: 'text',
  userId: 'text',
  email: 'text',
  admin: 'boolean',
  scopes: 'json',
  streams: 'json',
  deviceId: 'text',
  remaining: 'integer',
  createdAt: 'integer',
  createdBy: 'text',
  expiresAt: 'integer',
  lastUsedAt: 'integer',
  revokedAt: 'integer',
  revokedReason: 'text',
  revision: 'integer',
});

const KINDS: readonly KeyKind[] = ['user', 'device', 'enrolment'];

/** What keys can be asked for. */
export interface KeyFilter {
  readonly kind?: KeyKind;
  readonly deviceId?: string;
  readonly includeRevoked?: boolean;
}

/** Look-ups of API keys. */
export function keyReads(statements: Statements) {
  return {
    'keys.get': (id: string, caller: WireCaller): ApiKey | null => {
      const visible = visibleTo(caller);
      const row = statements.get(`SELECT ${table.columnList} FROM api_key WHERE id = ? AND ${visible.sql}`, id, ...visible.values);
      return row ? table.fromRow(row) : null;
    },

    'keys.list': (filter: KeyFilter, page: PageRequest, caller: WireCaller): Page<ApiKey> => {
      const base = { list: 'keys', table: table.name, columns: table.columns, id: 'id', order: ['id'] };
      const { items, next } = fetchPage(statements, { ...base, ...keysAndConditions(filter, caller) }, page);
      return { items: items.map((row) => table.fromRow(row)), next };
    },
  };
}

/** Changes of API keys. */
export function keyWrites(statements: Statements) {
  return {
    'keys.insert': (key: ApiKey): boolean => table.insert(statements, { ...key, revision: 1 }),

    'keys.touch': (id: string, at: number): void => {
      statements.run('UPDATE api_key SET last_used_at = ? WHERE id = ? AND coalesce(last_used_at, -1) < ?', at, id, at);
    },

    'keys.spend': (id: string): boolean =>
      statements.run(
        `UPDATE api_key SET remaining = remaining - 1, revision = revision + 1
         WHERE id = ? AND kind = 'enrolment' AND revoked_at IS NULL AND coalesce(remaining, 1) > 0`,
        id,
      ) === 1,

    'keys.revoke': (id: string, revocation: Omit<Revocation, 'number' | 'kind' | 'id'>, caller: WireCaller): boolean => {
      const visible = visibleTo(caller);
      const revoked = statements.run(
        `UPDATE api_key SET revoked_at = ?, revoked_reason = ?, revision = revision + 1 WHERE id = ? AND revoked_at IS NULL AND ${visible.sql}`,
        revocation.at,
        revocation.code,
        id,
        ...visible.values,
      );
      if (revoked === 0) return false;
      appendRevocation(statements, { ...revocation, kind: 'key', id });
      return true;
    },

    'keys.revokeOlderOfDevice': (deviceId: string, keep: string, at: number): void => {
      statements.run(
        `UPDATE api_key SET revoked_at = ?, revision = revision + 1 WHERE device_id = ? AND revoked_at IS NULL
           AND created_at < (SELECT kept.created_at FROM api_key AS kept WHERE kept.id = ?)`,
        at,
        deviceId,
        keep,
      );
    },
  };
}

/** Revokes every key of a device that is removed. Part of a larger change. */
export function revokeKeysOfDevice(statements: Statements, deviceId: string, { at, code }: Pick<Revocation, 'at' | 'code'>): void {
  statements.run(
    'UPDATE api_key SET revoked_at = ?, revoked_reason = ?, revision = revision + 1 WHERE device_id = ? AND revoked_at IS NULL',
    at,
    code,
    deviceId,
  );
}

/** The keys of one device are few: found by the device and then filtered. Others are found by owner and kind. */
function keysAndConditions(filter: KeyFilter, caller: WireCaller) {
  const live: Condition[] = filter.includeRevoked ? [] : [{ sql: 'i.revoked_at IS NULL', values: [] }];
  if (filter.deviceId !== undefined) {
    const kind: Condition[] = filter.kind === undefined ? [] : [{ sql: '+i.kind = ?', values: [filter.kind] }];
    return { keys: [{ column: 'device_id', values: [filter.deviceId] }], conditions: [visibleTo(caller, '+i.owner'), ...kind, ...live] };
  }
  const scopes = scopesToSearch(caller, undefined);
  const kinds = { column: 'kind', values: filter.kind === undefined ? KINDS : [filter.kind] };
  if (scopes !== undefined) return { keys: [{ column: 'owner', values: scopes }, kinds], conditions: live };
  return { keys: filter.kind === undefined ? [] : [kinds], conditions: live };
}
