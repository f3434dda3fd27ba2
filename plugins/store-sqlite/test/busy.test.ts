import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { idOf, sampleDevice } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import SQLite, { type Database } from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { BUSY_TIMEOUT_MS } from '../src/limits.ts';
import { MIGRATIONS } from '../src/thread/migrations/index.ts';
import { makeOldDatabase } from './old-database.ts';
import { createStore, openStore, temporaryFolder } from './open-store.ts';

/** Long enough for a wait to come to its end on a busy machine. */
const PATIENCE_MS = BUSY_TIMEOUT_MS * 5;

/** Holds the lock for writing, as another process in the middle of a change does. */
function holdLock(path: string): Database {
  const other = new SQLite(path);
  other.exec('BEGIN IMMEDIATE');
  return other;
}

describe.concurrent('while another process holds the lock of the file', () => {
  it('a write waits until it is given back, and look-ups do not', async () => {
    const folder = await temporaryFolder();
    const store = await openStore(folder);
    await store.devices.insert(sampleDevice(1));
    const other = holdLock(join(folder, 'towline.db'));
    const outcome = { known: false };
    const write = store.devices.insert(sampleDevice(2)).finally(() => {
      outcome.known = true;
    });
    for (let n = 0; n < 20; n += 1) expect(await store.devices.get(idOf(1), SYSTEM_SCOPE)).not.toBeNull();
    expect(outcome.known).toBe(false);
    other.exec('COMMIT');
    expect(await write).toBe(true);
    other.close();
    await store[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  it(
    'for too long a write fails with store_failed, leaves nothing, and the next one after that succeeds',
    async () => {
      const folder = await temporaryFolder();
      const store = await openStore(folder);
      const other = holdLock(join(folder, 'towline.db'));
      const failed = await Promise.allSettled([store.devices.insert(sampleDevice(1)), store.devices.insert(sampleDevice(2))]);
      for (const one of failed) {
        expect(one).toMatchObject({ status: 'rejected', reason: { code: 'store_failed', detail: expect.stringContaining('SQLITE_BUSY') } });
      }
      other.exec('COMMIT');
      expect((await store.devices.list({}, { limit: 5 }, SYSTEM_SCOPE)).items).toEqual([]);
      expect(await store.devices.insert(sampleDevice(1))).toBe(true);
      await store.ping();
      other.close();
      await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
    PATIENCE_MS,
  );

  it(
    'for too long a start that has to migrate fails with data_in_use, and changes nothing',
    async () => {
      const folder = await temporaryFolder();
      const path = join(folder, 'towline.db');
      await makeOldDatabase(path, 1);
      const other = holdLock(path);
      await expect(createStore(folder).start(AbortSignal.timeout(PATIENCE_MS))).rejects.toMatchObject({
        code: 'data_in_use',
        message: expect.stringContaining(path),
      });
      other.exec('COMMIT');
      expect(other.prepare('SELECT max(number) FROM schema_migration').pluck().get()).toBe(1);
      other.close();
      const store = await openStore(folder);
      expect(store.schema).toEqual({ from: 1, to: MIGRATIONS.length });
      await store[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
    PATIENCE_MS,
  );
});
