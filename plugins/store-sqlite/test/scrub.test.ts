import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import SQLite from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, temporaryFolder } from './open-store.ts';

const PLANTED = 'planted-secret-that-was-replaced';

let folder: string;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => rm(folder, { recursive: true }));

/** Files of the database in which the text lies. */
function holders(text = PLANTED): string[] {
  return readdirSync(folder).filter((name) => readFileSync(join(folder, name), 'latin1').includes(text));
}

test('what was replaced lies in the log until it is scrubbed, and then nowhere, while a second store is open', async () => {
  await using store = await openStore(folder);
  await using second = await openStore(folder);
  await store.meta.compareAndSet('secret', null, PLANTED);
  await store.meta.compareAndSet('other', null, 'stays');
  await second.meta.compareAndSet('secret', PLANTED, 'sealed');
  expect(holders()).toEqual(['towline.db-wal']);
  await second.scrub();
  expect(holders()).toEqual([]);
  expect(await store.meta.get('secret')).toBe('sealed');
  expect(await second.meta.get('other')).toBe('stays');
});

test('what a connection that zeroes nothing left between the records goes too', async () => {
  await (await openStore(folder))[Symbol.asyncDispose]();
  const earlier = new SQLite(join(folder, 'towline.db'));
  earlier.pragma('secure_delete = OFF');
  earlier.prepare('INSERT INTO meta (name, value) VALUES (?, ?)').run('secret', `${PLANTED} `.repeat(10));
  earlier.prepare('UPDATE meta SET value = ?').run('short');
  earlier.close();
  expect(holders()).toEqual(['towline.db']);
  await using store = await openStore(folder);
  await store.scrub();
  expect(holders()).toEqual([]);
  expect(await store.meta.get('secret')).toBe('short');
});

test('writes made at the same time are kept, and a scrub that cannot empty the log says so and can be repeated', async () => {
  await using store = await openStore(folder);
  const writes = Array.from({ length: 200 }, (_, at) => store.meta.compareAndSet(`name ${at}`, null, `value ${at}`));
  await Promise.all([...writes, store.scrub(), store.scrub()]);
  for (const at of [0, 77, 199]) expect(await store.meta.get(`name ${at}`)).toBe(`value ${at}`);
  const reader = new SQLite(join(folder, 'towline.db'), { readonly: true });
  try {
    const rows = reader.prepare('SELECT value FROM meta').iterate();
    rows.next();
    await store.meta.compareAndSet('name 0', 'value 0', 'another');
    await expect(store.scrub()).rejects.toMatchObject({ code: 'data_in_use' });
    rows.return?.();
  } finally {
    reader.close();
  }
  await store.scrub();
  expect(await store.meta.get('name 0')).toBe('another');
}, 40_000);
