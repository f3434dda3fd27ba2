import {
  ACME,
  ADA,
  BOB,
  keyIdOf,
  NOON,
  sampleDevice,
  sampleKey,
  sampleLogin,
  sampleMembership,
  sampleOrganisation,
  sampleRecords,
  sampleRegistration,
  sampleSecret,
  sampleSession,
  sampleShare,
} from '@towline/conformance/store-cases';
import type { MongoStore } from '@towline/store-mongo';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MongodbServer, startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { makeStore } from './open-store.ts';

const BUILD_MS = 600_000;
const NOTICE = { at: NOON, code: 'gone', message: 'gone' };
const signal = new AbortController().signal;

const missing = await whyNoMongodb();
let server: MongodbServer;
beforeAll(async () => {
  if (missing === null) server = await startMongodb();
}, BUILD_MS);
afterAll(() => server?.stop());

type StoreRecord = Parameters<MongoStore['import']>[0] extends AsyncIterable<infer One> ? One : never;

async function all(records: AsyncIterable<StoreRecord>): Promise<StoreRecord[]> {
  const found: StoreRecord[] = [];
  for await (const record of records) found.push(record);
  return found;
}

async function* from(records: readonly StoreRecord[]): AsyncGenerator<StoreRecord> {
  yield* records;
}

async function fill(store: MongoStore): Promise<void> {
  await store.meta.compareAndSet('na\0me', null, '$value');
  await store.users.note(sampleLogin(1));
  await store.organisations.insert(sampleOrganisation());
  for (const n of [2, 1]) await store.organisations.setMember(sampleMembership(n), [ACME]);
  await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB)] }));
  await store.devices.update(sampleDevice(1).id, { name: 'new' }, 1, [ADA], NOTICE);
  await store.registrations.insert(sampleRegistration(1));
  for (const n of [1, 2]) await store.keys.insert(sampleKey(n));
  await store.keys.revoke(keyIdOf(2), NOTICE, [ADA]);
  await store.secrets.insert(sampleSecret(1));
  await store.sessions.insert(sampleSession(1));
  await store.audit.append(sampleRecords([{}, {}, {}]));
}

it.skipIf(missing)(
  'an export fills an empty store that then gives the same export; numbers go on; one that holds anything is refused',
  async () => {
    const [one, other] = [await makeStore(server), await makeStore(server)];
    const [source, target] = [one.store as MongoStore, other.store as MongoStore];
    await fill(source);
    const records = await all(source.export(signal));
    expect(records.map(({ kind }) => kind).join(' ')).toBe(
      'meta user organisation membership membership secret device registration key key session revocation revocation audit audit audit',
    );
    await target.import(from(records), signal);
    expect(await all(target.export(signal))).toEqual(records);
    await target.keys.revoke(keyIdOf(1), NOTICE, [ADA]);
    expect(await target.revocations.last()).toBe(3);
    await target.audit.append(sampleRecords([{}], await target.audit.head()));
    await expect(target.import(from(records), signal)).rejects.toMatchObject({ code: 'conflict' });
    await Promise.all([one.dispose(), other.dispose()]);
  },
);

it.skipIf(missing)('an import that fails names the record and leaves the store empty', async () => {
  const [one, other] = [await makeStore(server), await makeStore(server)];
  await fill(one.store as MongoStore);
  const records = await all((one.store as MongoStore).export(signal));
  const target = other.store as MongoStore;
  const broken = [
    [...records.slice(0, 2), records[1]!],
    [records[6]!, records[0]!],
    [...records.slice(0, 3), { kind: 'membership', value: { ...records[3]!.value, org: 'none' } }],
    records.filter((_, n) => n !== 14),
    [{ kind: 'device', value: {} }],
    [{ kind: 'other', value: {} }],
  ] as readonly StoreRecord[][];
  for (const given of broken) {
    await expect(target.import(from(given), signal)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringMatching(/Record \d+/),
    });
    expect(await all(target.export(signal))).toEqual([]);
  }
  await target.import(from(records), signal);
  expect(await all(target.export(signal))).toEqual(records);
  await Promise.all([one.dispose(), other.dispose()]);
});
