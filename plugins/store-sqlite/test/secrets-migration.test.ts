import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ADA, idOf, NOON, sampleDevice, sampleSecret } from '@towline/conformance/store-cases';
import SQLite, { type Database } from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrate } from '../src/thread/migrate.ts';
import { firstTables } from '../src/thread/migrations/0001-first-tables.ts';
import { people } from '../src/thread/migrations/0002-people.ts';
import { openStore, temporaryFolder } from './open-store.ts';

/** What every table of the second schema holds, in the columns that it must have there. */
const ROWS: Readonly<Record<string, Readonly<Record<string, string | number | null>>>> = {
  app_user: { id: 'i|ada', label: 'Ada', email: null, provider: 'oidc', claims: '[]', created_at: 1, last_seen_at: 2, revision: 3 },
  organisation: { id: 'acme', name: 'Acme', created_at: 1, created_by: 'ada', revision: 2 },
  membership: { org: 'acme', email: 'ada@example.com', role: 'admin', added_at: 1, added_by: 'ada' },
  device_share: { device_id: idOf(1), scope: 'org:acme', owner: ADA, name: 'device 1', until: NOON },
  revocation: { number: 7, at: NOON, kind: 'access', subject: idOf(1), code: 'x', message: 'y' },
  meta: { name: 'grant.secrets', value: 'v1.first.sealed' },
};

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'towline.db');
});
afterEach(() => rm(folder, { recursive: true }));

function insert(database: Database, table: string, row: Readonly<Record<string, unknown>>): void {
  const values = Object.values(row).map((value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : value));
  database.prepare(`INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${values.map(() => '?').join(', ')})`).run(...values);
}

/** A database as the version before secrets made it. */
async function makeOld(more: (database: Database) => void = () => undefined): Promise<void> {
  const database = new SQLite(path);
  database.pragma('journal_mode = WAL');
  migrate(database, { migrations: [firstTables, people], now: NOON });
  for (const [table, row] of Object.entries(ROWS)) insert(database, table, row);
  const { id, name, owner, publicKey, fingerprint, facts, enrolledAt, enrolledBy } = sampleDevice(1);
  const keys = { public_key: publicKey, fingerprint, enrolled_at: enrolledAt, enrolled_by: enrolledBy };
  insert(database, 'device', { id, name, owner, facts, ...keys, revision: 1 });
  more(database);
  database.close();
  await chmod(path, 0o600);
}

function rowsOf(database: Database): unknown[] {
  return Object.entries(ROWS).map(([table, row]) => database.prepare(`SELECT ${Object.keys(row).join(', ')} FROM ${table}`).all());
}

it('a database of the version before opens, keeps what is in it, and takes secrets', async () => {
  await makeOld();
  const store = await openStore(folder);
  expect(store.schema).toEqual({ from: 2, to: 3 });
  expect(await store.devices.get(idOf(1), [ADA])).toEqual(sampleDevice(1));
  expect(await store.secrets.list({}, { limit: 5 }, [ADA])).toEqual({ items: [], next: null });
  expect(await store.secrets.insert(sampleSecret(1))).toBe(true);
  await store[Symbol.asyncDispose]();
  const after = new SQLite(path, { readonly: true });
  expect(rowsOf(after)).toEqual(Object.values(ROWS).map((row) => [row]));
  expect(after.pragma('integrity_check', { simple: true })).toBe('ok');
  after.close();
});

it('leaves a database of the version before as it was when the step fails', async () => {
  // The name of the index is taken, so the step fails after it has made the table.
  await makeOld((database) => database.exec('CREATE INDEX secret_key ON meta (value)'));
  await expect(openStore(folder)).rejects.toMatchObject({ code: 'store_failed' });
  const after = new SQLite(path, { readonly: true });
  expect(after.prepare('SELECT max(number) FROM schema_migration').pluck().get()).toBe(people.number);
  expect(after.prepare(`SELECT count(*) FROM sqlite_schema WHERE name = 'secret'`).pluck().get()).toBe(0);
  expect(rowsOf(after)).toEqual(Object.values(ROWS).map((row) => [row]));
  after.close();
});
