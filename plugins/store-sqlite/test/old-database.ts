import { existsSync, readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoreRecord } from '@towline/contract';
import SQLite from 'better-sqlite3';

const FIXTURES = join(import.meta.dirname, 'fixtures');

/** Whether there is one of that schema. */
export function hasOldDatabase(schema: number): boolean {
  return existsSync(join(FIXTURES, `schema-${schema}.sql`));
}

/** Makes a database of an earlier schema on a path, as the version of that time left it. */
export async function makeOldDatabase(path: string, schema: number): Promise<void> {
  const database = new SQLite(path);
  database.pragma('journal_mode = WAL');
  // Tables of a dump come in any order.
  database.pragma('foreign_keys = OFF');
  // The counters of a dump are written into a table of SQLite's own.
  database.exec(readFileSync(join(FIXTURES, `schema-${schema}.sql`), 'utf8'));
  database.close();
  await chmod(path, 0o600);
}

/** What the version of that time answered for it. */
export function recordsOfOldDatabase(schema: number): StoreRecord[] {
  const lines = readFileSync(join(FIXTURES, `schema-${schema}.jsonl`), 'utf8')
    .trim()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as StoreRecord);
}
