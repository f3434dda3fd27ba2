import { execFileSync } from 'node:child_process';
import { chmod, mkdir, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sampleDevice, sampleRecords } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { plugin } from '@towline/store-sqlite';
import SQLite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MIGRATIONS } from '../src/thread/migrations/index.ts';
import { createStore, openStore, temporaryFolder } from './open-store.ts';

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'towline.db');
});
afterEach(() => rm(folder, { recursive: true }));

const openAndClose = async (options: { readonly path?: string } = {}) => (await openStore(folder, options))[Symbol.asyncDispose]();
const modeOf = async (file: string) => ((await stat(file)).mode & 0o777).toString(8);

describe('the database file', () => {
  it('is made in the data folder for its owner only, with its log files', async () => {
    const store = await openStore(folder);
    await store.devices.insert(sampleDevice(1));
    const files = await readdir(folder);
    expect(files.sort()).toEqual(['towline.db', 'towline.db-shm', 'towline.db-wal']);
    for (const file of files) expect(await modeOf(join(folder, file))).toBe('600');
    await store[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual(['towline.db']);
  });

  it('is made where the option says, in folders of its own', async () => {
    const deep = join(folder, 'a', 'b');
    await openAndClose({ path: join(deep, 'relay.sqlite') });
    expect(await modeOf(deep)).toBe('700');
    expect(await modeOf(join(deep, 'relay.sqlite'))).toBe('600');
  });

  it('with an empty name, a NUL or an unknown option is refused by the schema', () => {
    const validate = (value: unknown) => plugin.options['~standard'].validate(value);
    expect(validate({})).toEqual({ value: {} });
    expect(validate({ path: '/x' })).toEqual({ value: { path: '/x' } });
    for (const bad of [{ path: '' }, { path: 'a\0b' }, { path: 5 }, { file: '/x' }, null]) expect(validate(bad)).toHaveProperty('issues');
  });

  it('that others may read is refused with what to do', async () => {
    await openAndClose();
    await chmod(path, 0o640);
    await expect(openStore(folder)).rejects.toMatchObject({
      code: 'credentials_unsafe',
      hint: expect.stringContaining(`chmod 600 ${path}`),
    });
    await chmod(path, 0o600);
    await openAndClose();
  });

  it('below something that is no folder is data_unwritable and named', async () => {
    await writeFile(join(folder, 'file'), '');
    const bad = join(folder, 'file', 'sub', 'towline.db');
    await expect(openStore(folder, { path: bad })).rejects.toMatchObject({
      code: 'data_unwritable',
      message: expect.stringContaining(join(folder, 'file', 'sub')),
    });
    await mkdir(join(folder, 'dir.db'));
    await expect(openStore(folder, { path: join(folder, 'dir.db') })).rejects.toMatchObject({ code: 'data_unwritable' });
  });

  it.skipIf(process.platform === 'win32')('in a folder that the user may not write is data_unwritable and named', async () => {
    await chmod(folder, 0o555);
    const program = new URL('./programs/open.mjs', import.meta.url).pathname;
    // Root may write anywhere, so as root the store is opened by a process of nobody.
    const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const answer = JSON.parse(execFileSync(process.execPath, [program, path], { ...user, encoding: 'utf8' }));
    expect(answer).toMatchObject({
      code: 'data_unwritable',
      message: expect.stringContaining(folder),
      hint: expect.stringContaining('--data'),
    });
    await chmod(folder, 0o755);
  });

  it('of another program is file_damaged and left as it is', async () => {
    const other = new SQLite(path);
    other.exec('CREATE TABLE theirs (x)');
    other.close();
    await chmod(path, 0o600);
    const before = await readFile(path);
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'file_damaged', message: expect.stringContaining('another program') });
    expect(await readFile(path)).toEqual(before);
  });

  it('that is no database is file_damaged and left as it is', async () => {
    await writeFile(path, 'this is text, and long enough to be taken for the head of a file\n'.repeat(100), { mode: 0o600 });
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'file_damaged', message: expect.stringContaining(path) });
    expect((await readFile(path, 'utf8')).startsWith('this is text')).toBe(true);
  });

  it('with a damaged page is file_damaged at the start', async () => {
    const store = await openStore(folder);
    await store.audit.append(sampleRecords(Array.from({ length: 500 }, () => ({}))));
    await store[Symbol.asyncDispose]();
    const file = await open(path, 'r+');
    const { size } = await file.stat();
    for (let at = 4_096 * 20; at < size; at += 4_096 * 7) await file.write(Buffer.alloc(64, 0xa5), 0, 64, at);
    await file.close();
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'file_damaged', hint: expect.stringContaining('backup') });
  });

  it('that was cut short is file_damaged at the start', async () => {
    const store = await openStore(folder);
    await store.audit.append(sampleRecords(Array.from({ length: 500 }, () => ({}))));
    await store[Symbol.asyncDispose]();
    await truncate(path, 4_096 * 10);
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'file_damaged' });
  });

  it('of a newer schema is store_schema with both numbers, and left as it is', async () => {
    await openAndClose();
    const newer = new SQLite(path);
    newer.exec(`INSERT INTO schema_migration VALUES (${MIGRATIONS.length + 1}, 'from the future', 0)`);
    newer.close();
    const before = await readFile(path);
    const numbers = new RegExp(`schema ${MIGRATIONS.length + 1}\\b.*up to ${MIGRATIONS.length}\\b`);
    await expect(openStore(folder)).rejects.toMatchObject({ code: 'store_schema', message: expect.stringMatching(numbers) });
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(['towline.db']);
  });

  it('that is deleted while in use is noticed by the ping', async () => {
    const store = await openStore(folder);
    await store.ping();
    await rm(path);
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_failed' });
    await writeFile(path, '');
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_failed' });
    await store[Symbol.asyncDispose]();
  });
});

describe('the life of a store', () => {
  it('refuses calls before the start and after the end', async () => {
    const store = createStore(folder);
    await expect(store.devices.get(sampleDevice(1).id, SYSTEM_SCOPE)).rejects.toMatchObject({ code: 'store_failed' });
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_failed' });
    await store.start(new AbortController().signal);
    await store.ping();
    await store[Symbol.asyncDispose]();
    await expect(store.devices.insert(sampleDevice(1))).rejects.toMatchObject({ code: 'store_failed' });
    await expect(store.ping()).rejects.toMatchObject({ code: 'store_failed' });
    await expect(store.start(new AbortController().signal)).rejects.toMatchObject({ code: 'store_failed' });
  });

  it('ends twice, without a start, and after a start that failed', async () => {
    const never = createStore(folder);
    await never[Symbol.asyncDispose]();
    await never[Symbol.asyncDispose]();
    await mkdir(path);
    const failed = createStore(folder);
    await expect(failed.start(new AbortController().signal)).rejects.toMatchObject({ code: 'data_unwritable' });
    await failed[Symbol.asyncDispose]();
    await failed[Symbol.asyncDispose]();
  });

  it('finishes at the end what was called before', async () => {
    const store = await openStore(folder);
    const inserts = Array.from({ length: 300 }, (_, n) => store.devices.insert(sampleDevice(n)));
    const found = store.devices.list({}, { limit: 1 }, SYSTEM_SCOPE);
    await store[Symbol.asyncDispose]();
    expect(await Promise.all(inserts)).toEqual(inserts.map(() => true));
    await found;
    const again = await openStore(folder);
    expect((await again.devices.list({}, { limit: 500 }, SYSTEM_SCOPE)).items).toHaveLength(300);
    await again[Symbol.asyncDispose]();
  });

  it('gives a start up when it is aborted, before and during it', async () => {
    await expect(createStore(folder).start(AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
    const abort = new AbortController();
    const store = createStore(folder);
    const start = store.start(abort.signal);
    abort.abort(new Error('during'));
    await expect(start).rejects.toThrow('during');
    await store[Symbol.asyncDispose]();
    await openAndClose();
  });

  it('can be ended while it starts', async () => {
    const store = createStore(folder);
    const start = store.start(new AbortController().signal);
    const [started, ended] = await Promise.allSettled([start, store[Symbol.asyncDispose]()]);
    expect(started).toMatchObject({ status: 'rejected', reason: { code: 'cancelled' } });
    expect(ended.status).toBe('fulfilled');
  });
});
