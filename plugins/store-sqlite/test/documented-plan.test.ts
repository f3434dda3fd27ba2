import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NOON, sampleDevice } from '@towline/conformance/store-cases';
import type { Scope } from '@towline/protocol';
import type { Database } from 'better-sqlite3';
import { expect, it } from 'vitest';
import { ROOT } from '../../../test/support/process.ts';
import { openDatabase } from '../src/thread/open-database.ts';
import { readOperations, writeOperations } from '../src/thread/operations.ts';
import { Statements } from '../src/thread/statements.ts';
import { temporaryFolder } from './open-store.ts';

const SCOPES = Array.from({ length: 20 }, (_, n) => `org:${n}` as Scope);

/** The statements of one call, as the documentation shows them: without the columns, each followed by the steps of its plan. */
function shown(database: Database, texts: Iterable<string>): string {
  const pages = Array.from(texts, (sql) => {
    const marks = Array.from(sql.matchAll(/\?/g), () => 1);
    const plan = database
      .prepare<number[], { id: number; parent: number; detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...marks)
      .map(({ parent, detail }) => `${parent === 0 ? '' : '  '}${detail.replace(/ VIRTUAL TABLE INDEX \d+:/, '')}`);
    return [sql.replace(/^SELECT .*? FROM /, 'SELECT … FROM '), '', ...plan].join('\n');
  });
  return pages.join('\n\n');
}

/** Words and marks alone: where lines are broken does not count. */
const words = (text: string) => text.replace(/\s+/g, ' ').trim();

it('the documentation shows the statements and plans of a page of devices as they are', async () => {
  const folder = await temporaryFolder();
  const { database } = openDatabase({ role: 'writer', path: join(folder, 'plan.db'), now: NOON });
  const write = writeOperations(new Statements(database));
  for (const n of [1, 2, 3]) write['devices.insert'](sampleDevice(n, { owner: SCOPES[n]! }));
  const texts = new Set<string>();
  const prepare = (sql: string) => {
    texts.add(sql);
    return database.prepare(sql);
  };
  const statements = new Statements({ prepare } as Database);
  const list = readOperations(statements, database.name)['devices.list'];
  const { next } = list({}, { limit: 1 }, SCOPES);
  texts.clear();
  list({}, { limit: 1, cursor: next! }, SCOPES);
  const actual = shown(database, texts);
  const blocks = readFileSync(join(ROOT, 'docs', 'store.md'), 'utf8').matchAll(/```\n(SELECT[\s\S]*?)```/g);
  expect(Array.from(blocks, ([, block]) => words(block!))).toEqual([words(actual)]);
  database.close();
  await rm(folder, { recursive: true });
});
