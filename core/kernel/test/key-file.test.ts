import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadGrantRing, rotateStoredSecrets } from '../src/grants/ring.ts';
import { keyFilePath, makeEncryptionKey, readEncryptionKey } from '../src/secrets/key-file.ts';
import { createKeyRing } from '../src/secrets/key-ring.ts';
import { openKeyRing } from '../src/secrets/open-key-ring.ts';
import { sealWithCurrentKey } from '../src/secrets/sealed-values.ts';
import { createKeptLog, openStoreHere } from './store-here.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'towline-key-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('the key file', () => {
  it('has one key when several make it at once, for its owner only, with nothing beside it', async () => {
    const path = keyFilePath(dir);
    const made = await Promise.all(Array.from({ length: 20 }, () => makeEncryptionKey(path)));
    expect(new Set(made.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1);
    expect(made[0]).toHaveLength(32);
    expect(await readEncryptionKey(path)).toEqual(made[0]);
    expect(await readdir(dir)).toEqual(['encryption.key']);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('that cannot be made is an error with a code', async () => {
    await expect(makeEncryptionKey(keyFilePath(join(dir, 'absent')))).rejects.toMatchObject({ code: 'data_unwritable' });
  });

  it.each([
    ['is read by others', 0o640, `${Buffer.alloc(32, 7).toString('base64')}\n`, 'credentials_unsafe'],
    ['is no key', 0o600, 'hunter2-hunter2', 'file_damaged'],
  ])('that %s is refused, and not shown', async (_what, mode, content, code) => {
    await writeFile(keyFilePath(dir), content);
    await chmod(keyFilePath(dir), mode);
    const fault = await readEncryptionKey(keyFilePath(dir)).catch((error: unknown) => error as Error);
    expect(fault).toMatchObject({ code });
    expect(String(fault)).not.toContain(content.trim());
  });
});

describe('the grant secrets of a store', () => {
  it('are one ring for all that open them at once, encrypted, and are rotated while they are encrypted anew', async () => {
    await using here = await openStoreHere();
    const { meta } = here.store;
    const log = createKeptLog();
    const config = { dataDir: dir, encryptionKeys: [] };
    const keys = await Promise.all(Array.from({ length: 5 }, () => openKeyRing({ config, store: here.store, log })));
    expect(new Set(keys.map(({ current }) => current)).size).toBe(1);
    const rings = await Promise.all(keys.map((each) => loadGrantRing(meta, each)));
    expect(new Set(rings.map(({ current }) => current.id)).size).toBe(1);

    const next = createKeyRing([{ id: 'next', bytes: Buffer.alloc(32, 9) }, { bytes: (await readEncryptionKey(keyFilePath(dir)))! }]);
    const outcomes = await Promise.allSettled([
      rotateStoredSecrets(meta, keys[0]!),
      sealWithCurrentKey(meta, next),
      sealWithCurrentKey(meta, next),
    ]);
    // The rotation of grants may lose, and then says so; encrypting anew never does.
    expect(outcomes.slice(1).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    await sealWithCurrentKey(meta, next);
    const after = await loadGrantRing(meta, next);
    expect(after.value).toMatch(/^v1\.next\./);
    expect(after.published).toHaveLength(outcomes[0]!.status === 'fulfilled' ? 2 : 1);
    expect(after.published.map(({ id }) => id)).toContain(rings[0]!.current.id);
  });
});
