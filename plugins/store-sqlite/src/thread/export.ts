import type { StoreRecord } from '@towline/contract';
import type { Database } from 'better-sqlite3';
import { TRANSFER_CHARACTERS, TRANSFER_RECORDS } from '../limits.ts';
import type { PackedRecord } from '../thread-messages.ts';
import { deviceTable } from './devices.ts';
import { keyTable } from './keys.ts';
import { fromRow as toMembership } from './memberships.ts';
import { organisationTable } from './organisations.ts';
import { registrationTable } from './registrations.ts';
import { secretTable } from './secrets.ts';
import { sessionTable } from './sessions.ts';
import { type Row, Statements } from './statements.ts';
import type { Table } from './table.ts';
import { userTable } from './users.ts';

/** How the objects of one kind are read, in the order in which they come, and made JSON. */
interface Source {
  readonly kind: StoreRecord['kind'];
  readonly sql: string;
  readonly toJson: (row: Row) => string;
}

const asItIs = (row: Row) => JSON.stringify(row);

/** Each follows the key of its table, so that nothing is sorted. */
const SOURCES: readonly Source[] = [
  { kind: 'meta', sql: 'SELECT name, value FROM meta ORDER BY name', toJson: asItIs },
  ofTable('user', userTable),
  ofTable('organisation', organisationTable),
  {
    kind: 'membership',
    sql: 'SELECT org, email, role, added_at, added_by FROM membership ORDER BY org, email',
    toJson: (row) => JSON.stringify(toMembership(row)),
  },
  ofTable('secret', secretTable, 'scope, name'),
  ofTable('device', deviceTable),
  // By age: of requests that were made in one millisecond the later one counts.
  ofTable('registration', registrationTable, 'rowid'),
  ofTable('key', keyTable),
  ofTable('session', sessionTable),
  {
    kind: 'revocation',
    sql: 'SELECT number, at, kind, subject AS id, code, message FROM revocation ORDER BY number',
    toJson: asItIs,
  },
  { kind: 'audit', sql: 'SELECT record FROM audit ORDER BY number', toJson: (row) => row.record as string },
];

/** Reads everything as it was at the first call: one transaction that lasts until the connection is closed. */
export function exportOperations(database: Database) {
  const records = readAll(database);
  return {
    /** The next objects; none after the last. */
    'export.next': (): PackedRecord[] => {
      const taken: PackedRecord[] = [];
      for (let characters = 0; taken.length < TRANSFER_RECORDS && characters < TRANSFER_CHARACTERS; ) {
        const { done, value } = records.next();
        if (done) break;
        taken.push(value);
        characters += value[1].length;
      }
      return taken;
    },
    /** Ends the reading, so that the connection can be closed. */
    'export.end': (): void => {
      records.return(undefined);
      if (database.inTransaction) database.exec('ROLLBACK');
    },
  };
}

function* readAll(database: Database): Generator<PackedRecord, undefined, undefined> {
  const statements = new Statements(database);
  database.exec('BEGIN');
  for (const { kind, sql, toJson } of SOURCES) {
    for (const row of statements.iterate(sql)) yield [kind, toJson(row)];
  }
}

function ofTable<Item extends object>(kind: StoreRecord['kind'], table: Table<Item>, order = 'id'): Source {
  return {
    kind,
    sql: `SELECT ${table.columnList} FROM ${table.name} ORDER BY ${order}`,
    toJson: (row) => JSON.stringify(table.fromRow(row)),
  };
}
