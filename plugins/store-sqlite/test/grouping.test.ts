import { rm } from 'node:fs/promises';
import { sampleDevice, sampleRecords } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { SqliteStore } from '@towline/store-sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MAX_WAITING_REQUESTS } from '../src/limits.ts';
import { openStore, temporaryFolder } from './open-store.ts';

let folder: string;
let store: SqliteStore;

beforeEach(async () => {
  folder = await temporaryFolder();
  store = await openStore(folder);
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

it('commits writes that wait at one time together', async () => {
  const before = store.stats();
  const outcomes = await Promise.all(Array.from({ length: 1_000 }, (_, n) => store.devices.insert(sampleDevice(n))));
  const after = store.stats();
  expect(outcomes.every(Boolean)).toBe(true);
  expect(after.writes - before.writes).toBe(1_000);
  expect(after.commits - before.commits).toBeLessThan(100);
});

it('commits writes that follow each other one by one', async () => {
  const before = store.stats();
  for (let n = 0; n < 10; n += 1) await store.devices.insert(sampleDevice(n));
  expect(store.stats().commits - before.commits).toBe(10);
});

it('leaves the event loop free while ten thousand audit records are appended', async () => {
  let turns = 0;
  let running = true;
  const count = () => {
    turns += 1;
    if (running) setImmediate(count);
  };
  setImmediate(count);
  const records = sampleRecords(Array.from({ length: 10_000 }, () => ({})));
  const batches = Array.from({ length: 20 }, (_, n) => records.slice(n * 500, n * 500 + 500));
  const turnsBefore = turns;
  for (const batch of batches) await store.audit.append(batch);
  running = false;
  expect((await store.audit.head())?.number).toBe(10_000);
  // On the same thread there would be about one turn for each of the twenty batches.
  expect(turns - turnsBefore).toBeGreaterThan(500);
});

it('answers a look-up while writes wait', async () => {
  const order: string[] = [];
  const records = sampleRecords(Array.from({ length: 5_000 }, () => ({})));
  const append = store.audit.append(records).then(() => order.push('append'));
  const read = store.meta.get('x').then(() => order.push('read'));
  await Promise.all([append, read]);
  expect(order).toEqual(['read', 'append']);
});

it('refuses calls beyond the limit of what may wait, and keeps the others', async () => {
  const calls = Array.from({ length: MAX_WAITING_REQUESTS + 100 }, (_, n) => store.meta.compareAndSet(`name ${n}`, null, 'value'));
  const settled = await Promise.allSettled(calls);
  const refused = settled.filter((one) => one.status === 'rejected');
  expect(refused).toHaveLength(100);
  for (const one of refused) expect(one.reason).toMatchObject({ code: 'store_failed', hint: expect.stringContaining('Try again') });
  expect(await store.meta.get(`name ${MAX_WAITING_REQUESTS - 1}`)).toBe('value');
  expect(await store.meta.get(`name ${MAX_WAITING_REQUESTS}`)).toBeNull();
});

it('rejects a value that cannot be stored and keeps the calls beside it', async () => {
  const settled = await Promise.allSettled([
    store.devices.insert(sampleDevice(1)),
    store.devices.insert({ ...sampleDevice(2), facts: (() => undefined) as never }),
    store.devices.insert({ ...sampleDevice(3), name: undefined as never }),
    store.devices.insert(sampleDevice(4)),
    store.devices.get(sampleDevice(1).id, undefined as never),
  ]);
  expect(settled.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.code))).toEqual([
    true,
    'store_failed',
    'store_failed',
    true,
    'store_failed',
  ]);
  expect((await store.devices.list({}, { limit: 10 }, SYSTEM_SCOPE)).items.map(({ id }) => id)).toEqual([
    sampleDevice(1).id,
    sampleDevice(4).id,
  ]);
});
