import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ADA, sampleSecret } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import SQLite from 'better-sqlite3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeOldDatabase } from './old-database.ts';
import { openStore, temporaryFolder } from './open-store.ts';

/** The last schema without secrets. */
const BEFORE = 2;

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'towline.db');
  await makeOldDatabase(path, BEFORE);
});
afterEach(() => rm(folder, { recursive: true }));

it('a database of the version before has no secrets, and takes them', async () => {
  await using store = await openStore(folder);
  expect(await store.secrets.list({}, { limit: 5 }, SYSTEM_SCOPE)).toEqual({ items: [], next: null });
  expect(await store.secrets.insert(sampleSecret(1))).toBe(true);
  expect(await store.secrets.get(ADA, sampleSecret(1).name, [ADA])).toEqual(sampleSecret(1));
});

it('leaves a database of the version before as it was when the step fails', async () => {
  const contents = () => {
    const database = new SQLite(path);
    const tables = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`).pluck().all() as string[];
    const rows = tables.map((table) => [table, database.prepare(`SELECT * FROM "${table}"`).all()]);
    database.close();
    return rows;
  };
  const database = new SQLite(path);
  // The name of the index is taken, so the step fails after it has made the table.
  database.exec('CREATE INDEX secret_key ON meta (value)');
  database.close();
  const before = contents();
  await expect(openStore(folder)).rejects.toMatchObject({ code: 'store_failed' });
  expect(contents()).toEqual(before);
});
