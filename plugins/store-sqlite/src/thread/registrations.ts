import type { Page, PageRequest, Registration, RegistrationDecision } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { StoreFault } from './fault.ts';
import { fetchPage } from './page-query.ts';
import type { Statements } from './statements.ts';
import { Table } from './table.ts';
import { scopesToSearch, visibleTo } from './visibility.ts';

/** Rows of requests to enrol. */
export const registrationTable = new Table<Registration>('registration', {
  id: 'text',
  deviceId: 'text',
  publicKey: 'text',
  fingerprint: 'text',
  owner: 'text',
  name: 'text',
  facts: 'json',
  address: 'text',
  state: 'text',
  createdAt: 'integer',
  expiresAt: 'integer',
  decidedAt: 'integer',
  decidedBy: 'text',
  reason: 'text',
  revision: 'integer',
});

/** Look-ups of requests to enrol. One is expired from the millisecond of `expiresAt` on. */
export function registrationReads(statements: Statements) {
  return {
    'registrations.get': (id: string, caller: WireCaller): Registration | null => find(statements, id, caller),

    'registrations.findByDevice': (deviceId: string, now: number): Registration | null => {
      const row = statements.get(
        `SELECT ${registrationTable.columnList} FROM registration WHERE device_id = ? AND expires_at > ? ORDER BY created_at DESC, rowid DESC LIMIT 1`,
        deviceId,
        now,
      );
      return row ? registrationTable.fromRow(row) : null;
    },

    'registrations.listPending': (
      filter: { readonly owner?: string; readonly now: number },
      page: PageRequest,
      caller: WireCaller,
    ): Page<Registration> => {
      const scopes = scopesToSearch(caller, filter.owner);
      const { items, next } = fetchPage(
        statements,
        {
          list: 'registrations.pending',
          table: registrationTable.name,
          columns: registrationTable.columns,
          id: 'id',
          order: ['created_at', 'id'],
          keys: scopes === undefined ? [] : [{ column: 'owner', values: scopes }],
          conditions: [{ sql: `i.state = 'pending' AND i.expires_at > ?`, values: [filter.now] }],
        },
        page,
      );
      return { items: items.map((row) => registrationTable.fromRow(row)), next };
    },

    'registrations.countPending': (filter: { readonly owner: string } | { readonly address: string }, now: number): number => {
      const [column, value] = 'owner' in filter ? ['owner', filter.owner] : ['address', filter.address];
      const sql = `SELECT count(*) AS count FROM registration WHERE ${column} = ? AND state = 'pending' AND expires_at > ?`;
      return statements.get(sql, value, now)?.count as number;
    },
  };
}

/** Changes of requests to enrol. */
export function registrationWrites(statements: Statements) {
  return {
    'registrations.insert': (registration: Registration): boolean => registrationTable.insert(statements, { ...registration, revision: 1 }),

    'registrations.decide': (id: string, decision: RegistrationDecision, caller: WireCaller): Registration | null => {
      if (!find(statements, id, caller)) throw new StoreFault('not_found', 'No such request, or it is not yours to see.');
      const { sql, values } = registrationTable.assignments(decision, ['state', 'decidedAt', 'decidedBy', 'reason']);
      const row = statements.get(
        `UPDATE registration SET ${[...sql, 'revision = revision + 1'].join(', ')} WHERE id = ? AND state = 'pending' RETURNING ${registrationTable.columnList}`,
        ...values,
        id,
      );
      return row ? registrationTable.fromRow(row) : null;
    },

    'registrations.deleteExpired': (before: number): number => statements.run('DELETE FROM registration WHERE expires_at < ?', before),

    'registrations.deleteForDevice': (deviceId: string): void => {
      statements.run('DELETE FROM registration WHERE device_id = ?', deviceId);
    },
  };
}

/** Gives the requests of a device that wait for a decision to a new owner. Part of a larger change. */
export function moveWaitingRegistrations(statements: Statements, deviceId: string, owner: string): void {
  statements.run(`UPDATE registration SET owner = ?, revision = revision + 1 WHERE device_id = ? AND state = 'pending'`, owner, deviceId);
}

function find(statements: Statements, id: string, caller: WireCaller): Registration | null {
  const visible = visibleTo(caller);
  const row = statements.get(
    `SELECT ${registrationTable.columnList} FROM registration WHERE id = ? AND ${visible.sql}`,
    id,
    ...visible.values,
  );
  return row ? registrationTable.fromRow(row) : null;
}
