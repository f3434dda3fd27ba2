import type {
  ApiKey,
  Device,
  Membership,
  OpenSession,
  Organisation,
  Registration,
  Revocation,
  Secret,
  StoreRecord,
  User,
} from '@towline/contract';
import SQLite, { type Database } from 'better-sqlite3';
import type { PackedRecord } from '../thread-messages.ts';
import { auditWrites } from './audit-trail.ts';
import { noteShares } from './device-shares.ts';
import { deviceTable } from './devices.ts';
import { StoreFault } from './fault.ts';
import { keyTable, noteKeyScopes } from './keys.ts';
import { organisationTable } from './organisations.ts';
import { registrationTable } from './registrations.ts';
import { secretTable } from './secrets.ts';
import { sessionTable } from './sessions.ts';
import { Statements } from './statements.ts';
import { userTable } from './users.ts';

const TABLES: Readonly<Record<StoreRecord['kind'], string>> = {
  meta: 'meta',
  user: userTable.name,
  organisation: organisationTable.name,
  membership: 'membership',
  secret: secretTable.name,
  device: deviceTable.name,
  registration: registrationTable.name,
  key: keyTable.name,
  session: sessionTable.name,
  revocation: 'revocation',
  audit: 'audit',
};

type Adders = { readonly [Kind in StoreRecord['kind']]: (json: string) => void };

/** Writes everything in one transaction, which is rolled back when the connection is closed before its end. */
export function importOperations(database: Database) {
  const statements = new Statements(database);
  const add = adders(statements);
  return {
    /** Takes the lock of the file and looks whether anything is there. @throws StoreFault `conflict`. */
    'import.begin': (): void => {
      database.exec('BEGIN IMMEDIATE');
      const filled = Object.entries(TABLES).find(([, table]) => statements.get(`SELECT 1 FROM ${table} LIMIT 1`) !== undefined);
      if (filled) throw notEmpty(filled[0]);
    },
    /** Adds objects, the first of which has this number. @throws StoreFault `invalid_request`. */
    'import.add': (first: number, records: readonly PackedRecord[]): void => {
      for (const [at, [kind, json]] of records.entries()) {
        try {
          add[kind](json);
        } catch (error) {
          throw misfit(first + at, kind, error);
        }
      }
    },
    /** Makes it all durable. */
    'import.commit': (): void => {
      database.exec('COMMIT');
    },
  };
}

function adders(statements: Statements): Adders {
  const append = auditWrites(statements)['audit.append'];
  const insert = (inserted: boolean) => {
    if (!inserted) throw new StoreFault('invalid_request', 'there is one with its id or name already');
  };
  return {
    meta: (json) => {
      const { name, value } = JSON.parse(json) as { name: string; value: string };
      statements.run('INSERT INTO meta (name, value) VALUES (?, ?)', name, value);
    },
    user: (json) => insert(userTable.insert(statements, JSON.parse(json) as User)),
    organisation: (json) => insert(organisationTable.insert(statements, JSON.parse(json) as Organisation)),
    membership: (json) => addMembership(statements, JSON.parse(json) as Membership),
    secret: (json) => insert(secretTable.insert(statements, JSON.parse(json) as Secret)),
    device: (json) => {
      const device = JSON.parse(json) as Device;
      insert(deviceTable.insert(statements, device));
      noteShares(statements, device);
    },
    registration: (json) => insert(registrationTable.insert(statements, JSON.parse(json) as Registration)),
    key: (json) => {
      const key = JSON.parse(json) as ApiKey;
      insert(keyTable.insert(statements, key));
      noteKeyScopes(statements, key);
    },
    session: (json) => insert(sessionTable.insert(statements, JSON.parse(json) as OpenSession)),
    revocation: (json) => addRevocation(statements, JSON.parse(json) as Revocation),
    audit: (json) => append([json]),
  };
}

function addMembership(statements: Statements, { org, email, role, addedAt, addedBy }: Membership): void {
  const live = statements.get(`SELECT 1 FROM organisation WHERE id = ? AND deleted_at IS NULL`, org);
  if (live === undefined) throw new StoreFault('invalid_request', `there is no organisation ${org} before it`);
  statements.run(
    'INSERT INTO membership (org, email, role, added_at, added_by) VALUES (?, ?, ?, ?, ?)',
    ...[org, email, role, addedAt, addedBy],
  );
}

function addRevocation(statements: Statements, { number, at, kind, id, code, message }: Revocation): void {
  statements.run(
    'INSERT INTO revocation (number, at, kind, subject, code, message) VALUES (?, ?, ?, ?, ?, ?)',
    ...[number, at, kind, id, code, message],
  );
}

function notEmpty(kind: string): StoreFault {
  return new StoreFault('conflict', `The store is not empty: it holds at least one object of kind ${kind}.`, {
    hint: 'Import into a store that was never used: another data folder, or another database.',
  });
}

/** What the database refuses is a fault of the record; a full disk is not. */
function misfit(number: number, kind: string, error: unknown): unknown {
  const sqlite = error instanceof SQLite.SqliteError && error.code.startsWith('SQLITE_CONSTRAINT');
  if (!sqlite && !(error instanceof StoreFault)) return error;
  const reason = sqlite ? `the database refuses it (${error.message})` : (error as Error).message.replace(/\.$/, '');
  return new StoreFault(
    'invalid_request',
    `Record ${number} of the import, of kind ${kind}, does not fit: ${reason}. Nothing was imported.`,
  );
}
