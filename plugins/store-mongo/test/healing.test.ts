import { ACME, ADA, BOB, idOf, keyIdOf, NOON, sampleDevice, sampleKey, sampleSession } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { MongoStore } from '@towline/store-mongo';
import type { Db } from 'mongodb';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type MongodbServer, startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { databaseName, openStore, withDatabase } from './open-store.ts';

const BUILD_MS = 600_000;
const NOTICE = { at: NOON, code: 'gone', message: 'gone' };

const missing = await whyNoMongodb();
let server: MongodbServer;
let database: string;
let store: MongoStore;

beforeAll(async () => {
  if (missing === null) server = await startMongodb();
}, BUILD_MS);
afterAll(() => server?.stop());
beforeEach(async () => {
  if (missing !== null) return;
  database = databaseName();
  store = await openStore(server.uri, database);
});
afterEach(async () => {
  if (missing !== null) return;
  await store[Symbol.asyncDispose]();
  await withDatabase(server.uri, database, (db) => db.dropDatabase());
});

/** What a process leaves that dies right after the write which decides. */
function leave(work: (db: Db) => Promise<unknown>): Promise<unknown> {
  return withDatabase(server.uri, database, work);
}

const byId = (id: string) => ({ _id: id as never });

it.skipIf(missing)('a removal that was cut short is ended by the next look at the revocations, with one revocation', async () => {
  await store.devices.insert(sampleDevice(1));
  await store.keys.insert(sampleKey(1, { kind: 'device', deviceId: idOf(1) }));
  const outbox = [{ op: 'cut', effect: 'revoke', notice: { ...NOTICE, kind: 'device', id: idOf(1) } }];
  await leave((db) => db.collection('devices').replaceOne(byId(idOf(1)), { gone: true, outbox }));
  expect(await store.devices.get(idOf(1), SYSTEM_SCOPE)).toBeNull();
  expect((await store.devices.list({}, { limit: 5 }, SYSTEM_SCOPE)).items).toEqual([]);
  const wanted = [{ ...NOTICE, number: 1, kind: 'device', id: idOf(1) }];
  expect(await store.revocations.listAfter(0)).toEqual(wanted);
  expect(await store.revocations.listAfter(0)).toEqual(wanted);
  expect((await store.keys.get(keyIdOf(1), [ADA]))?.revokedAt).toBe(NOON);
  expect(await store.devices.insert(sampleDevice(1))).toBe(true);
});

it.skipIf(missing)('a device comes again also where its removal was cut short, and the removal counts', async () => {
  const outbox = [{ op: 'cut', effect: 'revoke', notice: { ...NOTICE, kind: 'device', id: idOf(1) } }];
  await leave((db) => db.collection('devices').insertOne({ ...byId(idOf(1)), gone: true, outbox }));
  expect(await store.devices.insert(sampleDevice(1))).toBe(true);
  expect(await store.revocations.last()).toBe(1);
  expect(await store.devices.get(idOf(1), [ADA])).toEqual(sampleDevice(1));
});

it.skipIf(missing)('a revocation whose key is marked, but that is not told yet, is told at the next start, once', async () => {
  await store.keys.insert(sampleKey(1));
  const outbox = [{ op: 'cut', notice: { ...NOTICE, kind: 'key', id: keyIdOf(1) } }];
  await leave((db) => db.collection('keys').updateOne(byId(keyIdOf(1)), { $set: { revokedAt: NOON, outbox } }));
  const others = await Promise.all([openStore(server.uri, database), openStore(server.uri, database)]);
  expect(await store.revocations.listAfter(0)).toHaveLength(1);
  await Promise.all(others.map((other) => other[Symbol.asyncDispose]()));
});

it.skipIf(missing)('a new owner whose belongings did not follow gets them', async () => {
  await store.devices.insert(sampleDevice(1));
  await store.keys.insert(sampleKey(1, { kind: 'device', deviceId: idOf(1) }));
  await store.sessions.insert(sampleSession(1));
  const outbox = [{ op: 'cut', effect: 'move' }];
  await leave((db) => db.collection('devices').updateOne(byId(idOf(1)), { $set: { owner: BOB, revision: 2, outbox } }));
  expect(await store.revocations.last()).toBe(0);
  expect((await store.keys.get(keyIdOf(1), [BOB]))?.owner).toBe(BOB);
  expect((await store.sessions.get(idOf(1), [BOB]))?.owner).toBe(BOB);
  expect((await store.devices.update(idOf(1), { owner: ACME }, 2, [BOB])).revision).toBe(3);
});

it.skipIf(missing)('an import that was cut short leaves nothing at the next start', async () => {
  await store.devices.insert(sampleDevice(1));
  await leave((db) => db.collection('schema').insertOne(byId('import')));
  const next = await openStore(server.uri, database);
  expect((await next.devices.list({}, { limit: 5 }, SYSTEM_SCOPE)).items).toEqual([]);
  await next[Symbol.asyncDispose]();
});
