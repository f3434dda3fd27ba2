import { setTimeout as wait } from 'node:timers/promises';
import { idOf, sampleDevice, sampleRecords } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { expect, it, onTestFinished } from 'vitest';
import { startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { databaseName, openStore } from './open-store.ts';

const missing = (await whyNoMongodb()) ?? (process.env.TOWLINE_TEST_MONGODB_URI ? 'the server that was given is not ours to kill' : null);
const TEST_MS = 600_000;

it.skipIf(missing)(
  'a database that is killed and comes back under load: calls fail with store_failed, recover by themselves, and nothing acknowledged is lost',
  async () => {
    const server = await startMongodb();
    onTestFinished(() => server.stop());
    const store = await openStore(server.uri, databaseName());
    onTestFinished(() => store[Symbol.asyncDispose]());
    const acknowledged: number[] = [];
    const codes = new Set<unknown>();
    let running = true;
    let next = 0;
    const write = async () => {
      while (running) {
        const n = (next += 1);
        await store.devices.insert(sampleDevice(n)).then(
          (inserted) => inserted && acknowledged.push(n),
          (error: { readonly code?: unknown }) => codes.add(error.code),
        );
      }
    };
    const writers = Array.from({ length: 4 }, write);
    await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(20);
    await server.kill!();
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_failed' });
    await wait(500);
    const before = acknowledged.length;
    await server.restart!();
    await expect.poll(() => acknowledged.length, { timeout: 30_000 }).toBeGreaterThan(before + 20);
    running = false;
    await Promise.all(writers);
    await store.ping();
    for (const n of acknowledged) expect(await store.devices.get(idOf(n), SYSTEM_SCOPE)).not.toBeNull();
    expect([...codes]).toEqual(['store_failed']);
    await store.audit.append(sampleRecords([{}, {}], await store.audit.head()));
  },
  TEST_MS,
);
