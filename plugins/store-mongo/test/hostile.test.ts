import { ADA, BOB, idOf, keyIdOf, NOON, sampleDevice, sampleKey, sampleRecords, sampleSession } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { MongoStore } from '@towline/store-mongo';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MongodbServer, startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { databaseName, openStore, withDatabase } from './open-store.ts';

const BUILD_MS = 600_000;
const NOTICE = { at: NOON, code: 'key_revoked', message: 'gone' };

const missing = await whyNoMongodb();
const database = databaseName();
let server: MongodbServer;
let store: MongoStore;

beforeAll(async () => {
  if (missing !== null) return;
  server = await startMongodb();
  store = await openStore(server.uri, database);
}, BUILD_MS);
afterAll(async () => {
  if (missing !== null) return;
  await store[Symbol.asyncDispose]();
  await withDatabase(server.uri, database, (db) => db.dropDatabase());
  await server.stop();
});

it.skipIf(missing)('names with dollar signs, dots and NUL in free parts of an object come back as they were', async () => {
  const detail = { $where: 'sleep(1000)', 'a.b': { $gt: '' }, 'nul\0': ['\0'], __proto__x: null, '': 1 };
  const session = sampleSession(1, { detail });
  expect(await store.sessions.insert(session)).toBe(true);
  expect(await store.sessions.get(session.id, [ADA])).toEqual(session);
  const records = sampleRecords([{ detail }]);
  await store.audit.append(records);
  expect((await store.audit.list({}, 'ascending', { limit: 1 }, [ADA])).items).toEqual(records);
});

it.skipIf(missing)('an operator where a value belongs is refused, and finds and changes nothing', async () => {
  await store.keys.insert(sampleKey(1));
  await store.devices.insert(sampleDevice(1));
  const any = { $gt: '' } as never;
  const refused = [
    store.keys.get(any, SYSTEM_SCOPE),
    store.keys.revoke(any, NOTICE, [ADA]),
    store.keys.spend(any),
    store.devices.list({ name: any }, { limit: 1 }, [ADA]),
    store.devices.get(idOf(1), [any]),
    store.registrations.countPending({ owner: any }, NOON),
    store.meta.get(any),
    store.users.list({ email: any }, { limit: 1 }),
    store.secrets.list({ scope: any }, { limit: 1 }, [ADA]),
    store.secrets.listEntries({ scope: any }, { limit: 1 }, [ADA]),
    store.isScopeUsed(any),
    store.standing({ userId: any, orgs: [] }),
  ];
  for (const outcome of await Promise.allSettled(refused)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'store_failed' } });
  }
  await store.meta.compareAndSet('name', null, 'first');
  expect(await store.meta.compareAndSet('name', any, 'second')).toBe(false);
  expect(await store.keys.get(keyIdOf(1), [ADA])).toEqual(sampleKey(1));
  expect(await store.keys.get(keyIdOf(1), [BOB])).toBeNull();
});

it.skipIf(missing)('an address that cannot be read or reached is a clear error without the password', async () => {
  for (const uri of ['mongodb://ada:geheim@[::bad/', 'mongodb://ada:geheim@127.0.0.1:1/?serverSelectionTimeoutMS=300']) {
    const error = await openStore(uri, 'none').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'store_failed' });
    expect(`${(error as Error).message}${(error as { detail?: string }).detail}`).not.toContain('geheim');
  }
});

it.skipIf(missing)('a database of a newer version is not opened', async () => {
  const newer = databaseName();
  await withDatabase(server.uri, newer, (db) => db.collection('schema').insertOne({ _id: 'schema' as never, version: 99 }));
  await expect(openStore(server.uri, newer)).rejects.toMatchObject({ code: 'store_schema' });
  await withDatabase(server.uri, newer, (db) => db.dropDatabase());
});
