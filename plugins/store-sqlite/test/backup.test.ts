import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { idOf, sampleDevice, sampleRecords } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { SqliteStore } from '@towline/store-sqlite';
import SQLite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mountSmallDisk } from '../../../test/support/full-disk.ts';
import { openStore, temporaryFolder } from './open-store.ts';

/** About 15 MB: several steps of a backup, so that something can happen in the middle of one. */
const RECORDS = 15_000;
/** Each copies that to the disk, some several times. */
const PATIENCE_MS = 120_000;
const never = () => new AbortController().signal;

let folder: string;
let target: string;
let store: SqliteStore;

beforeEach(async () => {
  folder = await temporaryFolder();
  target = join(folder, 'copy.db');
  await mkdir(join(folder, 'data'));
  store = await openStore(join(folder, 'data'));
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const fill = () => store.audit.append(sampleRecords(Array.from({ length: RECORDS }, () => ({}))));

/** Inserts devices one after the other, from several places at one time, until it is stopped; tells how many are acknowledged. */
function writeOn(lanes: number) {
  const state = { acknowledged: [] as number[], on: true };
  const lane = async (first: number) => {
    for (let n = first; state.on; n += lanes) {
      expect(await store.devices.insert(sampleDevice(n))).toBe(true);
      state.acknowledged.push(n);
    }
  };
  const running = Promise.all(Array.from({ length: lanes }, (_, n) => lane(n)));
  const stop = () => {
    state.on = false;
    return running;
  };
  return { acknowledged: state.acknowledged, stop };
}

async function devicesIn(backup: string): Promise<Set<string>> {
  const copy = await openStore(folder, { path: backup });
  const found = new Set<string>();
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof copy.devices.list>> = await copy.devices.list(
      {},
      { limit: 500, ...(cursor === null ? {} : { cursor }) },
      SYSTEM_SCOPE,
    );
    for (const { id } of page.items) found.add(id);
    cursor = page.next;
  } while (cursor !== null);
  await copy[Symbol.asyncDispose]();
  return found;
}

/** Resolves when something changes in the folder of the backup: that it has begun. */
async function begun(): Promise<void> {
  const watcher = watch(folder);
  await once(watcher, 'change');
  watcher.close();
}

/** What a backup left beside its place. */
const leftovers = async () => (await readdir(folder)).filter((name) => name !== 'data');

describe('a backup', { timeout: PATIENCE_MS }, () => {
  it('under continuous writes opens as a store, holds all that was acknowledged before, is of one moment, and holds no write up', async () => {
    await fill();
    const writing = writeOn(4);
    await expect.poll(() => writing.acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(20);
    const before = [...writing.acknowledged];
    await store.backup(target, never());
    const during = writing.acknowledged.length - before.length;
    await writing.stop();
    expect(during).toBeGreaterThan(0);

    const kept = await devicesIn(target);
    expect(before.filter((n) => !kept.has(idOf(n)))).toEqual([]);
    // Each lane waits for one device before it writes the next: one moment holds no device without those before it.
    for (const id of kept) {
      const n = Number.parseInt(id, 16);
      if (n >= 4) expect(kept.has(idOf(n - 4)), id).toBe(true);
    }
    const copy = await openStore(folder, { path: target });
    expect(await copy.audit.head()).toEqual(await store.audit.head());
    await copy[Symbol.asyncDispose]();
  });

  it('is for its owner only, leaves nothing beside it, and passes the check of the whole file', async () => {
    await fill();
    await store.backup(target, never());
    expect(await leftovers()).toEqual(['copy.db']);
    expect(((await stat(target)).mode & 0o777).toString(8)).toBe('600');
    const copy = new SQLite(target);
    expect(copy.pragma('integrity_check', { simple: true })).toBe('ok');
    copy.close();
  });

  it('of an empty store, and with blanks in its name, is a store', async () => {
    const odd = join(folder, ' a backup of monday .db ');
    await store.backup(odd, never());
    expect(await leftovers()).toEqual([' a backup of monday .db ']);
    // As it is restored.
    await rename(odd, target);
    expect((await devicesIn(target)).size).toBe(0);
  });

  it('of which two are made at one time to one place, is one of them', async () => {
    const outcomes = await Promise.allSettled([store.backup(target, never()), store.backup(target, never())]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'conflict' } });
    expect(await leftovers()).toEqual(['copy.db']);
  });
});

describe('a backup is refused', { timeout: PATIENCE_MS }, () => {
  it('where a file, a folder or the database itself is, which stay as they are', async () => {
    await writeFile(target, 'mine');
    await expect(store.backup(target, never())).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining(target) });
    expect(await readFile(target, 'utf8')).toBe('mine');
    for (const taken of [folder, join(folder, 'data', 'towline.db')]) {
      await expect(store.backup(taken, never())).rejects.toMatchObject({ code: 'conflict' });
    }
    expect(await store.devices.insert(sampleDevice(1))).toBe(true);
  });

  it('where no folder is, below a file, and for a name with a NUL', async () => {
    await writeFile(target, '');
    for (const bad of [join(folder, 'none', 'copy.db'), join(target, 'copy.db'), join(folder, 'a\0b')]) {
      await expect(store.backup(bad, never())).rejects.toMatchObject({ code: 'data_unwritable' });
    }
    expect(await leftovers()).toEqual(['copy.db']);
  });

  it('on a disk that is full or may not be written, leaves nothing there, and the store goes on', async ({ skip }) => {
    const disk = await mountSmallDisk(join(folder, 'disk'));
    if (disk === null) return skip('this user may not mount a small disk');
    await using _ = disk;
    await fill();
    await expect(store.backup(join(disk.dir, 'copy.db'), never())).rejects.toMatchObject({
      code: 'data_unwritable',
      message: expect.stringContaining('SQLITE_FULL'),
    });
    expect(await readdir(disk.dir)).toEqual([]);
    disk.fill();
    await expect(store.backup(join(disk.dir, 'copy.db'), never())).rejects.toMatchObject({ code: 'data_unwritable' });
    disk.clear();
    await disk.writable(false);
    await expect(store.backup(join(disk.dir, 'copy.db'), never())).rejects.toMatchObject({
      code: 'data_unwritable',
      message: expect.stringContaining('EROFS'),
    });
    expect(await readdir(disk.dir)).toEqual([]);
    expect(await store.devices.insert(sampleDevice(1))).toBe(true);
    await store.backup(target, never());
    expect(await devicesIn(target)).toEqual(new Set([idOf(1)]));
  });

  it('when the database turns out to be damaged: no copy of it is kept', async () => {
    await fill();
    await store[Symbol.asyncDispose]();
    store = await openStore(join(folder, 'data'));
    const file = await open(join(folder, 'data', 'towline.db'), 'r+');
    const { size } = await file.stat();
    for (let at = 4_096 * 40; at < size; at += 4_096 * 7) await file.write(Buffer.alloc(64, 0xa5), 0, 64, at);
    await file.close();
    await expect(store.backup(target, never())).rejects.toMatchObject({ code: 'file_damaged', hint: expect.stringContaining('backup') });
    expect(await leftovers()).toEqual([]);
  });
});

describe('a backup that is given up', { timeout: PATIENCE_MS }, () => {
  it('before or in the middle leaves nothing, and the store goes on', async () => {
    await fill();
    await expect(store.backup(target, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    const abort = new AbortController();
    const begin = begun();
    const backup = store.backup(target, abort.signal);
    await begin;
    abort.abort(new Error('during'));
    await expect(backup).rejects.toThrow('during');
    expect(await leftovers()).toEqual([]);
    expect(await store.devices.insert(sampleDevice(1))).toBe(true);
  });

  it('because the store is closed leaves nothing', async () => {
    await fill();
    const begin = begun();
    const backup = store.backup(target, never());
    const ended = expect(backup).rejects.toMatchObject({ code: expect.stringMatching(/^(cancelled|store_failed)$/) });
    await begin;
    await store[Symbol.asyncDispose]();
    await ended;
    expect(await leftovers()).toEqual([]);
    await expect(store.backup(target, never())).rejects.toMatchObject({ code: 'cancelled' });
  });
});
