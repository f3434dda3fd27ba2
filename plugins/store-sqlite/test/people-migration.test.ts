import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ADA, BOB, idOf, keyIdOf, NOON, sampleDevice, sampleKey, sampleLogin, sampleShare } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { Scope } from '@towline/protocol';
import SQLite, { type Database } from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrate } from '../src/thread/migrate.ts';
import { firstTables } from '../src/thread/migrations/0001-first-tables.ts';
import { MIGRATIONS } from '../src/thread/migrations/index.ts';
import { NOW, openStore, temporaryFolder } from './open-store.ts';

const NOTICE = { at: NOON + 9, code: 'gone', message: 'gone' };
/** Has been given before all revocations that are left. */
const LAST_NUMBER = 7;

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'towline.db');
});
afterEach(() => rm(folder, { recursive: true }));

/** A database as the first version made it. */
async function makeOld(fill: (database: Database) => void): Promise<void> {
  const database = new SQLite(path);
  database.pragma('journal_mode = WAL');
  migrate(database, { migrations: [firstTables], now: NOON });
  fill(database);
  database.close();
  await chmod(path, 0o600);
}

function insert(database: Database, table: string, row: Record<string, unknown>): void {
  const values = Object.values(row).map((value) => (typeof value === 'object' ? JSON.stringify(value) : value));
  database.prepare(`INSERT INTO ${table} (${Object.keys(row).join(', ')}) VALUES (${values.map(() => '?').join(', ')})`).run(...values);
}

function fillOld(database: Database): void {
  const { id, name, owner, publicKey, fingerprint, facts, enrolledAt, enrolledBy } = sampleDevice(1);
  const times = { enrolled_at: enrolledAt, enrolled_by: enrolledBy, revision: 4 };
  insert(database, 'device', { id, name, owner, public_key: publicKey, fingerprint, facts, ...times });
  const { hash, scopes, createdAt, createdBy } = sampleKey(1);
  const key = { id: keyIdOf(1), kind: 'user', hash, name: 'key 1', owner, admin: 0, scopes, created_at: createdAt, created_by: createdBy };
  insert(database, 'api_key', { ...key, revision: 1 });
  insert(database, 'api_key', { ...key, id: keyIdOf(2), scopes: [{ scope: BOB, role: 'viewer' }], revision: 1 });
  insert(database, 'meta', { name: 'relay', value: 'id' });
  for (let number = 1; number <= LAST_NUMBER; number += 1) {
    insert(database, 'revocation', { at: NOON + number, kind: 'key', subject: `key ${number}`, code: 'key_revoked', message: 'gone' });
  }
  database.exec(`DELETE FROM revocation WHERE number < 3 OR number = ${LAST_NUMBER}`);
}

it('a database of the first version opens and keeps what is in it', async () => {
  await makeOld(fillOld);
  const store = await openStore(folder);
  expect(await store.devices.get(idOf(1), [ADA])).toEqual(sampleDevice(1, { revision: 4 }));
  expect(await store.keys.get(keyIdOf(1), [ADA])).toEqual(sampleKey(1));
  expect(await store.meta.get('relay')).toBe('id');
  expect(await store.revocations.listAfter(0)).toEqual(
    [3, 4, 5, 6].map((number) => ({ number, at: NOON + number, kind: 'key', id: `key ${number}`, code: 'key_revoked', message: 'gone' })),
  );
  await store[Symbol.asyncDispose]();
  const steps = new SQLite(path, { readonly: true });
  expect(steps.prepare('SELECT number, applied_at FROM schema_migration ORDER BY number').raw().all()).toEqual([
    [1, NOON],
    [2, NOW],
    [3, NOW],
  ]);
  expect(steps.pragma('integrity_check', { simple: true })).toBe('ok');
  steps.close();
});

it('goes on with the numbers of the revocations, also of those that were deleted', async () => {
  await makeOld(fillOld);
  const store = await openStore(folder);
  expect(await store.revocations.last()).toBe(LAST_NUMBER);
  await store.users.note(sampleLogin(1));
  await store.users.disable(sampleLogin(1).id, 'ada', NOTICE);
  expect(await store.revocations.listAfter(LAST_NUMBER)).toMatchObject([{ number: LAST_NUMBER + 1, kind: 'user' }]);
  expect(await store.revocations.deleteBefore(NOON + 5)).toBe(2);
  await store[Symbol.asyncDispose]();
});

it('begins with revocation 1 where there was none', async () => {
  await makeOld(() => undefined);
  const store = await openStore(folder);
  expect(await store.revocations.last()).toBe(0);
  await store.keys.insert(sampleKey(1));
  await store.keys.revoke(keyIdOf(1), NOTICE, [ADA]);
  expect(await store.revocations.last()).toBe(1);
  await store[Symbol.asyncDispose]();
});

it('finds the scopes that old keys name, and shares an old device', async () => {
  await makeOld(fillOld);
  const store = await openStore(folder);
  expect(await store.isScopeUsed(BOB)).toBe(true);
  expect(await store.isScopeUsed('org:unused' as Scope)).toBe(false);
  await store.devices.update(idOf(1), { shares: [sampleShare(BOB)] }, 4, [ADA]);
  expect((await store.devices.list({}, { limit: 5 }, [BOB])).items).toHaveLength(1);
  expect((await store.keys.list({}, { limit: 5 }, SYSTEM_SCOPE)).items).toHaveLength(2);
  await store[Symbol.asyncDispose]();
});

it('leaves a database of the first version as it was when the step fails', async () => {
  // The name of a table that the step makes is taken, so it fails after it has changed others.
  await makeOld((database) => {
    fillOld(database);
    database.exec('CREATE TABLE membership (x)');
  });
  await expect(openStore(folder)).rejects.toMatchObject({ code: 'store_failed' });
  const after = new SQLite(path, { readonly: true });
  expect(after.prepare('SELECT max(number) FROM schema_migration').pluck().get()).toBe(MIGRATIONS[0]!.number);
  expect(after.prepare('SELECT count(*) FROM revocation').pluck().get()).toBe(4);
  expect(after.prepare(`SELECT count(*) FROM pragma_table_info('device') WHERE name = 'shares'`).pluck().get()).toBe(0);
  after.close();
});
