import { rm } from 'node:fs/promises';
import { sampleDevice, sampleKey, sampleRecords } from '@towline/conformance/store-cases';
import type { StoreRecord } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { SqliteStore } from '@towline/store-sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore, temporaryFolder } from './open-store.ts';

const never = () => new AbortController().signal;
const DEVICES = 2_000;

let folder: string;
let store: SqliteStore;
beforeEach(async () => {
  folder = await temporaryFolder();
  store = await openStore(folder);
  await Promise.all(Array.from({ length: DEVICES }, (_, n) => store.devices.insert(sampleDevice(n))));
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function exported(from: SqliteStore): Promise<StoreRecord[]> {
  const records: StoreRecord[] = [];
  for await (const record of from.export(never())) records.push(record);
  return records;
}

describe('an export from SQLite', () => {
  it('is the state at its first object, whatever is written meanwhile, and holds nobody up', async () => {
    const export_ = store.export(never());
    const first = (await export_.next()).value as StoreRecord;
    await store.devices.remove(sampleDevice(1_999).id, { at: 1, code: 'device_removed', message: 'gone' }, SYSTEM_SCOPE);
    await store.devices.insert(sampleDevice(9_999));
    await store.audit.append(sampleRecords([{}]));
    const rest: StoreRecord[] = [];
    for await (const record of export_) rest.push(record);
    expect([first, ...rest].map(({ value }) => value)).toEqual(Array.from({ length: DEVICES }, (_, n) => sampleDevice(n)));
  });

  it('that nobody reads on does not keep the store from closing', async () => {
    const export_ = store.export(never());
    await export_.next();
    await store[Symbol.asyncDispose]();
    await expect(
      (async () => {
        for await (const _ of export_);
      })(),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^(cancelled|store_failed)$/) });
  });

  it('before the start and after the end is store_failed or cancelled', async () => {
    await store[Symbol.asyncDispose]();
    await expect(exported(store)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('an import into SQLite', () => {
  it('of an export gives a store whose export is equal, in the same order', async () => {
    await store.keys.insert(sampleKey(1));
    await store.audit.append(sampleRecords(Array.from({ length: 300 }, () => ({}))));
    const records = await exported(store);
    const other = await temporaryFolder();
    const copy = await openStore(other);
    await copy.import(store.export(never()), never());
    expect(await exported(copy)).toEqual(records);
    expect(records).toHaveLength(DEVICES + 301);
    await copy[Symbol.asyncDispose]();
    await rm(other, { recursive: true });
  });

  it('leaves nothing when the store is closed in the middle of it', async () => {
    const other = await temporaryFolder();
    const copy = await openStore(other);
    async function* endless() {
      for (let n = 0; ; n += 1) yield { kind: 'device', value: sampleDevice(n) } as const;
    }
    const importing = copy.import(endless(), never());
    setTimeout(() => void copy[Symbol.asyncDispose](), 200);
    await expect(importing).rejects.toMatchObject({ code: expect.stringMatching(/^(cancelled|store_failed)$/) });
    await copy[Symbol.asyncDispose]();
    const again = await openStore(other);
    expect(await exported(again)).toEqual([]);
    await again[Symbol.asyncDispose]();
    await rm(other, { recursive: true });
  });
});
