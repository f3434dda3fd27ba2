import { rm } from 'node:fs/promises';
import type { Worker } from 'node:worker_threads';
import { sampleDevice } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { expect, it } from 'vitest';
import { openStore, temporaryFolder } from './open-store.ts';

it.each([
  ['writer', 0],
  ['reader', 1],
] as const)('the death of the %s thread rejects what waits and all that comes, and what was acknowledged stays', async (_, index) => {
  const folder = await temporaryFolder();
  const workers: Worker[] = [];
  const note = (worker: Worker) => workers.push(worker);
  process.on('worker', note);
  const store = await openStore(folder);
  process.off('worker', note);
  expect(workers).toHaveLength(2);
  expect(await store.devices.insert(sampleDevice(1))).toBe(true);

  const waiting = Array.from({ length: 200 }, (_, n) =>
    index === 0 ? store.devices.insert(sampleDevice(n + 2)) : store.devices.get(sampleDevice(1).id, SYSTEM_SCOPE),
  );
  const death = workers[index]!.terminate();
  const settled = await Promise.allSettled(waiting);
  const rejected = settled.filter((one) => one.status === 'rejected');
  expect(rejected.length).toBeGreaterThan(0);
  for (const one of rejected) expect(one.reason).toMatchObject({ code: 'store_failed' });
  await death;
  await Promise.all(
    workers.map((worker) => new Promise((resolve) => (worker.threadId === -1 ? resolve(0) : worker.once('exit', resolve)))),
  );

  await expect(store.ping()).rejects.toMatchObject({ code: 'store_failed' });
  await expect(store.devices.get(sampleDevice(1).id, SYSTEM_SCOPE)).rejects.toMatchObject({ code: 'store_failed' });
  await expect(store.meta.compareAndSet('a', null, 'b')).rejects.toMatchObject({ code: 'store_failed' });
  await store[Symbol.asyncDispose]();

  const again = await openStore(folder);
  const there = settled.filter((one) => one.status === 'fulfilled').length;
  const { items } = await again.devices.list({}, { limit: 500 }, SYSTEM_SCOPE);
  expect(items.length).toBeGreaterThanOrEqual(index === 0 ? there + 1 : 1);
  await again[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
