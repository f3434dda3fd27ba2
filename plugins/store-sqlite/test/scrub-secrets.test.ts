import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ACME, ACME_ID, ADA, NOON, sampleOrganisation, sampleSecret } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { SqliteStore } from '@towline/store-sqlite';
import SQLite from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openStore, temporaryFolder } from './open-store.ts';

/** Enough for a tree of several levels, with pages that are split and merged again. */
const SECRETS = 400;
/** Characters of a value; the longest take several pages of their own. */
const LENGTHS = [40, 90, 300, 700, 1_500, 3_900, 9_000, 22_000];

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

/** Text of which any part shows what it is of: `mark` every few characters. */
const marked = (mark: string, length: number) => `${mark}.`.repeat(Math.ceil(length / (mark.length + 1))).slice(0, length);
const mark = (kind: string, n: number) => `${kind}${createHash('sha256').update(`${n}`).digest('hex').slice(0, 10)}`;
const lengthOf = (n: number) => LENGTHS[(n * 7 + Math.floor(n / LENGTHS.length)) % LENGTHS.length]!;
const place = (n: number) => sampleSecret((n * 137) % SECRETS, { scope: n % 3 === 0 ? ACME : ADA });

async function plant(kind: string): Promise<void> {
  const insert = (n: number) => store.secrets.insert({ ...place(n), sealed: marked(mark(kind, n), lengthOf(n)) });
  await Promise.all(Array.from({ length: SECRETS }, (_, n) => insert(n)));
}

/** Files in which any of the texts lies. */
function holders(texts: readonly string[]): string[] {
  const contents = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')] as const);
  return contents.filter(([, content]) => texts.some((text) => content.includes(text))).map(([name]) => name);
}

const marks = (kind: string, from = 0, step = 1) =>
  Array.from({ length: SECRETS }, (_, n) => n)
    .filter((n) => n >= from && n % step === 0)
    .map((n) => mark(kind, n));

test('of secrets that were replaced by longer and shorter ones nothing is left, while a second store is open', async () => {
  await using second = await openStore(folder);
  await plant('old-');
  for (let n = 0; n < SECRETS; n += 1) {
    const { scope, name } = place(n);
    const sealed = marked(mark('new-', n), lengthOf(n + 3));
    await (n % 2 === 0 ? store : second).secrets.update(scope, name, { sealed, keyId: 'new' }, 1, SYSTEM_SCOPE);
  }
  expect(holders(marks('old-'))).not.toEqual([]);
  await second.scrub();
  expect(holders(marks('old-'))).toEqual([]);
  for (const n of [0, 1, 177, SECRETS - 1]) {
    const { scope, name } = place(n);
    expect((await store.secrets.get(scope, name, SYSTEM_SCOPE))?.sealed).toBe(marked(mark('new-', n), lengthOf(n + 3)));
  }
});

test('of secrets that were removed, by themselves or with their organisation, nothing is left; the others are whole', async () => {
  await store.organisations.insert(sampleOrganisation());
  await plant('old-');
  const of = (n: number) => [place(n).scope, place(n).name, SYSTEM_SCOPE] as const;
  for (let n = 0; n < SECRETS; n += 2) await store.secrets.remove(...of(n));
  await store.organisations.delete(ACME_ID, { at: NOON, code: 'org_deleted', message: 'gone' }, SYSTEM_SCOPE);
  const left = Array.from({ length: SECRETS }, (_, n) => n).filter((n) => n % 2 === 1 && n % 3 !== 0);
  await store.scrub();
  const gone = Array.from({ length: SECRETS }, (_, n) => n).filter((n) => !left.includes(n));
  expect(holders(gone.map((n) => mark('old-', n)))).toEqual([]);
  for (const n of left) expect((await store.secrets.get(...of(n)))?.sealed).toBe(marked(mark('old-', n), lengthOf(n)));
});

test('of what SQLite itself leaves where it splits and merges pages nothing is left', async () => {
  // The same numbers in each run.
  let seed = 7_919;
  const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  const live = new Map<number, string>();
  const used: string[] = [];
  const connection = new SQLite(join(folder, 'towline.db'));
  connection.pragma('secure_delete = ON');
  const insert = connection.prepare(`INSERT INTO secret VALUES (?, ?, 'old', ?, 1, '', 1, '', 1)`);
  const update = connection.prepare('UPDATE secret SET sealed = ? WHERE scope = ? AND name = ?');
  const remove = connection.prepare('DELETE FROM secret WHERE scope = ? AND name = ?');
  connection.transaction(() => {
    for (let turn = 0; turn < 10_000; turn += 1) {
      const n = random(SECRETS);
      const { scope, name } = place(n);
      const text = mark('old-', turn);
      const sealed = marked(text, [300, 700, 900, 1_300][random(4)]!);
      used.push(text);
      const removes = live.has(n) && random(3) === 0;
      if (removes) remove.run(scope, name);
      else if (live.has(n)) update.run(sealed, scope, name);
      else insert.run(scope, name, sealed);
      if (removes) live.delete(n);
      else live.set(n, text);
    }
  })();
  connection.pragma('wal_checkpoint(TRUNCATE)');
  connection.close();
  const current = new Set(live.values());
  const gone = used.filter((text) => !current.has(text));
  expect(holders(gone)).toEqual(['towline.db']);
  await store.scrub();
  expect(holders(gone)).toEqual([]);
  expect(holders([...current])).toEqual(['towline.db']);
  for (const [n, text] of live) expect((await store.secrets.get(place(n).scope, place(n).name, SYSTEM_SCOPE))?.sealed).toContain(text);
}, 60_000);
