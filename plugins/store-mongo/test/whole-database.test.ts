import { ADA, idOf, sampleDevice } from '@towline/conformance/store-cases';
import type { StoreRecord } from '@towline/contract';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MongodbServer, startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { databaseOf } from '../src/database.ts';
import { withLock } from '../src/lock.ts';
import { databaseName, makeStore, openStore, withDatabase } from './open-store.ts';

const BUILD_MS = 600_000;
/** Short, but far above what a loaded machine lets one process stand still. */
const TIMES = { beatMs: 100, lifeMs: 3_000, waitMs: 5_000 };
const signal = new AbortController().signal;

const missing = await whyNoMongodb();
let server: MongodbServer;
beforeAll(async () => {
  if (missing === null) server = await startMongodb();
}, BUILD_MS);
afterAll(() => server?.stop());

it.skipIf(missing)('the lock of a holder that lives is waited for in vain; that of one that died is taken', async () => {
  const name = databaseName();
  const client = new MongoClient(server.uri);
  const database = databaseOf(client.db(name));
  await withLock(
    database,
    signal,
    async () => {
      await expect(withLock(database, signal, async () => 'taken', TIMES)).rejects.toMatchObject({ code: 'data_in_use' });
    },
    TIMES,
  );
  expect(await withLock(database, signal, async () => 'free', TIMES)).toBe('free');
  await database.schema.insertOne({ _id: 'lock', holder: 'dead', beat: 7 });
  const outcome = await withLock(database, signal, async ({ confirm }) => confirm().then(() => 'taken'), TIMES);
  expect(outcome).toBe('taken');
  expect(await database.schema.findOne({ _id: 'lock' })).toBeNull();
  await client.db(name).dropDatabase();
  await client.close();
});

it.skipIf(missing)('who has lost the lock meanwhile is told before anything is written', async () => {
  const name = databaseName();
  const client = new MongoClient(server.uri);
  const database = databaseOf(client.db(name));
  const work = withLock(database, signal, async ({ confirm }) => {
    await database.schema.updateOne({ _id: 'lock' }, { $set: { holder: 'another' } });
    await confirm();
  });
  await expect(work).rejects.toMatchObject({ code: 'data_in_use' });
  expect(await database.schema.findOne({ _id: 'lock' })).toMatchObject({ holder: 'another' });
  await client.db(name).dropDatabase();
  await client.close();
});

it.skipIf(missing)('an import that lost the database to another process deletes nothing of it', async () => {
  const name = databaseName();
  const [importing, other] = [await openStore(server.uri, name), await openStore(server.uri, name)];
  async function* records(): AsyncGenerator<StoreRecord> {
    for (let n = 0; n < 200; n += 1) yield { kind: 'device', value: sampleDevice(1_000 + n) };
    yield { kind: 'device', value: sampleDevice(2_000) };
    await withDatabase(server.uri, name, async (db) => {
      await db.collection('devices').deleteMany({});
      await db.collection('schema').deleteMany({ _id: { $in: ['import', 'lock'] as never[] } });
    });
    await other.devices.insert(sampleDevice(1));
  }
  await expect(importing.import(records(), signal)).rejects.toMatchObject({ code: 'data_in_use' });
  expect((await other.devices.list({}, { limit: 5 }, [ADA])).items.map(({ id }) => id)).toEqual([idOf(1)]);
  for (const store of [importing, other]) await store[Symbol.asyncDispose]();
  await withDatabase(server.uri, name, (db) => db.dropDatabase());
});

it.skipIf(missing)('a start tells the schema before it and since', async () => {
  const { store, reopen, dispose } = await makeStore(server);
  expect(store.schema).toEqual({ from: 0, to: 1 });
  expect((await reopen()).schema).toEqual({ from: 1, to: 1 });
  await dispose();
});

it.skipIf(missing)('what an address wishes of concerns does not weaken what is acknowledged', async () => {
  const sent: { readonly commandName: string; readonly command: Readonly<Record<string, unknown>> }[] = [];
  const name = databaseName();
  const weak = `${server.uri}${server.uri.includes('?') ? '&' : '?'}w=0&journal=false&wtimeoutMS=1&readConcernLevel=local&readPreference=secondary`;
  const store = await openStore(weak, name, (event) => sent.push(event));
  await store.devices.insert(sampleDevice(1));
  await store.devices.get(idOf(1), [ADA]);
  const last = (wanted: string) => sent.findLast(({ commandName }) => commandName === wanted)?.command;
  expect(last('insert')?.writeConcern).toEqual({ w: 'majority', j: true, wtimeout: 20_000 });
  expect(last('find')?.readConcern).toEqual({ level: 'majority' });
  expect(last('find')?.$readPreference).toBeUndefined();
  await store[Symbol.asyncDispose]();
  await withDatabase(server.uri, name, (db) => db.dropDatabase());
});

it.skipIf(missing)('an error of the database carries nothing of what was sent', async () => {
  const { store, dispose } = await makeStore(server);
  const sealed = 'v1.sealed-and-not-for-logs';
  const error = await store.meta.compareAndSet('name', null, sealed.repeat(800_000)).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'store_failed' });
  const { cause, detail } = error as { readonly cause: Error; readonly detail: string };
  expect(`${detail} ${JSON.stringify(cause)} ${cause.message} ${cause.stack}`).not.toContain('sealed');
  await dispose();
});
