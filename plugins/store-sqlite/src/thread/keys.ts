import type { ApiKey, KeyKind, Page, PageRequest, Revocation, RevocationNotice } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { fetchPage, type PageQuery } from './page-query.ts';
import { appendRevocation } from './revocations.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { type Condition, scopesToSearch, visibleTo } from './visibility.ts';

/** Rows of API keys. */
export const keyTable = new Table<ApiKey>('api_key', {
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
  devices: 'json',
  bounded: 'boolean',
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
  readonly userId?: string;
  readonly includeRevoked?: boolean;
}

/** Look-ups of API keys. */
export function keyReads(statements: Statements) {
  return {
    'keys.get': (id: string, caller: WireCaller): ApiKey | null => findKey(statements, id, caller),

    'keys.list': (filter: KeyFilter, page: PageRequest, caller: WireCaller): Page<ApiKey> => {
      const base = { list: 'keys', table: keyTable.name, columns: keyTable.columns, id: 'id', order: ['id'] };
      const { items, next } = fetchPage(statements, { ...base, ...keysAndConditions(filter, caller) }, page);
      return { items: items.map((row) => keyTable.fromRow(row)), next };
    },
  };
}

/** Changes of API keys. */
export function keyWrites(statements: Statements) {
  return {
    'keys.insert': (key: ApiKey): boolean => {
      const inserted = keyTable.insert(statements, { ...key, revision: 1 });
      if (inserted) noteKeyScopes(statements, key);
      return inserted;
    },

    'keys.touch': (id: string, at: number): void => {
      statements.run('UPDATE api_key SET last_used_at = ? WHERE id = ? AND coalesce(last_used_at, -1) < ?', at, id, at);
    },

    'keys.spend': (id: string): boolean =>
      statements.run(
        `UPDATE api_key SET remaining = remaining - 1, revision = revision + 1
         WHERE id = ? AND kind = 'enrolment' AND revoked_at IS NULL AND coalesce(remaining, 1) > 0`,
        id,
      ) === 1,

    'keys.revoke': (id: string, revocation: RevocationNotice, caller: WireCaller): boolean => {
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

/** The key that the caller may see. */
export function findKey(statements: Statements, id: string, caller: WireCaller): ApiKey | null {
  const visible = visibleTo(caller);
  const row = statements.get(`SELECT ${keyTable.columnList} FROM api_key WHERE id = ? AND ${visible.sql}`, id, ...visible.values);
  return row ? keyTable.fromRow(row) : null;
}

/** Adds the rows that stand for the scopes of a new key. Part of a larger change. */
export function noteKeyScopes(statements: Statements, { id, scopes }: Pick<ApiKey, 'id' | 'scopes'>): void {
  for (const { scope } of scopes) statements.run('INSERT OR IGNORE INTO api_key_scope (scope, key_id) VALUES (?, ?)', scope, id);
}

/** Gives every key of a device to a new owner. Part of a larger change. */
export function moveKeysOfDevice(statements: Statements, deviceId: string, owner: string): void {
  statements.run('UPDATE api_key SET owner = ?, revision = revision + 1 WHERE device_id = ?', owner, deviceId);
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

/** The keys of one device or user are few: found by it and then filtered. Others are found by owner and kind. */
function keysAndConditions(filter: KeyFilter, caller: WireCaller): Pick<PageQuery, 'keys' | 'conditions'> {
  const live: Condition[] = filter.includeRevoked ? [] : [{ sql: 'i.revoked_at IS NULL', values: [] }];
  if (filter.deviceId !== undefined) {
    const rest = [...equals('+i.kind', filter.kind), ...equals('+i.user_id', filter.userId), ...live];
    return { keys: [{ column: 'device_id', values: [filter.deviceId] }], conditions: [visibleTo(caller, '+i.owner'), ...rest] };
  }
  if (filter.userId !== undefined) {
    const rest = [...equals('+i.kind', filter.kind), ...live];
    return { keys: [{ column: 'user_id', values: [filter.userId] }], conditions: [visibleTo(caller, '+i.owner'), ...rest] };
  }
  const scopes = scopesToSearch(caller, undefined);
  const kinds = { column: 'kind', values: filter.kind === undefined ? KINDS : [filter.kind] };
  if (scopes !== undefined) return { keys: [{ column: 'owner', values: scopes }, kinds], conditions: live };
  return { keys: filter.kind === undefined ? [] : [kinds], conditions: live };
}

function equals(column: string, value: string | undefined): Condition[] {
  return value === undefined ? [] : [{ sql: `${column} = ?`, values: [value] }];
}
