import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { idOf, keyIdOf, NOON, sampleDevice, sampleRecords } from '@towline/conformance/store-cases';
import type { StoreRecord } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { SqliteStore } from '@towline/store-sqlite';
import SQLite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../src/thread/migrations/index.ts';
import { hasOldDatabase, makeOldDatabase, recordsOfOldDatabase } from './old-database.ts';
import { NOW, openStore, temporaryFolder } from './open-store.ts';

const LATEST = MIGRATIONS.length;
/** Every earlier one has to be there; that of the present one may be. */
const SCHEMAS = MIGRATIONS.map(({ number }) => number).filter((number) => number < LATEST || hasOldDatabase(number));
const PROGRAM = new URL('./programs/open.mjs', import.meta.url).pathname;

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'towline.db');
});
afterEach(() => rm(folder, { recursive: true }));

async function exported(store: SqliteStore): Promise<StoreRecord[]> {
  const records: StoreRecord[] = [];
  for await (const record of store.export(new AbortController().signal)) records.push(record);
  return records;
}

/** Tables and indexes by name, with the text they were made by. */
function shapeOf(file: string): unknown[] {
  const database = new SQLite(file, { readonly: true });
  const rows = database.prepare('SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name').raw().all() as [
    string,
    string,
  ][];
  database.close();
  return rows.map(([name, sql]) => [name, sql.replace(/\s+/g, ' ')]);
}

describe.each(SCHEMAS)('a database of schema %i', { timeout: 60_000 }, (schema) => {
  it('opens with all that was in it, and goes on from there', async () => {
    await makeOldDatabase(path, schema);
    const store = await openStore(folder);
    expect(store.schema).toEqual({ from: schema, to: LATEST });
    const before = recordsOfOldDatabase(schema);
    const records = await exported(store);
    expect(records).toMatchObject(before);
    expect(records).toHaveLength(before.length);

    const numbers = before.filter(({ kind }) => kind === 'revocation').map(({ value }) => (value as { number: number }).number);
    expect(await store.keys.revoke(keyIdOf(1), { at: NOON, code: 'key_revoked', message: 'gone' }, SYSTEM_SCOPE)).toBe(true);
    expect(await store.revocations.last()).toBe(Math.max(...numbers) + 1);
    await store.audit.append(sampleRecords([{}], await store.audit.head()));
    expect(await store.devices.insert(sampleDevice(9))).toBe(true);
    await store[Symbol.asyncDispose]();
  });

  it('becomes what a new database is, step by step, and passes the check of the whole file', async () => {
    await makeOldDatabase(path, schema);
    await (await openStore(folder))[Symbol.asyncDispose]();
    const fresh = join(folder, 'fresh.db');
    await (await openStore(folder, { path: fresh }))[Symbol.asyncDispose]();
    expect(shapeOf(path)).toEqual(shapeOf(fresh));
    const database = new SQLite(path, { readonly: true });
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    const steps = database.prepare('SELECT number, applied_at = ? FROM schema_migration ORDER BY number').raw().all(NOW);
    expect(steps).toEqual(MIGRATIONS.map(({ number }) => [number, number > schema ? 1 : 0]));
    database.close();
  });

  it('on which four processes start at once is brought up to date once, and all of them work', async () => {
    await makeOldDatabase(path, schema);
    const answers = await Promise.all([0, 1, 2, 3].map((n) => runProgram(path, String(100 + n * 10), String(104 + n * 10))));
    expect(answers.map((answer) => JSON.parse(answer))).toEqual(answers.map(() => ({ ok: true })));
    const store = await openStore(folder);
    expect(store.schema).toEqual({ from: LATEST, to: LATEST });
    for (const n of [0, 1, 2, 3]) expect(await store.devices.get(idOf(104 + n * 10), SYSTEM_SCOPE)).not.toBeNull();
    const records = (await exported(store)).filter(({ kind, value }) => kind !== 'device' || (value as { id: string }).id < idOf(100));
    expect(records).toMatchObject(recordsOfOldDatabase(schema));
    await store[Symbol.asyncDispose]();
  });
});

function runProgram(...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 50_000 });
  return text(child.stdout);
}
