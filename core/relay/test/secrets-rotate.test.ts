import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Secret, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { Scope } from '@towline/protocol';
import { SqliteStore } from '@towline/store-sqlite';
import SQLite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bin, startProgram } from '../../../test/support/process.ts';
import { runRelay } from '../../../test/support/relay-process.ts';
import { storedTrail } from '../../../test/support/stored.ts';
import { createKeyRing, type KeyRing } from '../../kernel/src/secrets/key-ring.ts';
import { openSecret, sealSecret } from '../../kernel/src/secrets/user-secrets.ts';

const SCOPES = ['org:acme', 'user:ada@example.com'] as Scope[];
const PLAIN = 'planted-value-of-a-secret';
const key = (id: string) => ({ id, bytes: randomBytes(32) });
const [FIRST, SECOND, LOST] = [key('first'), key('second'), key('lost')];
const [OLD, NEW] = [createKeyRing([FIRST]), createKeyRing([SECOND])];

let dir: string;
let data: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'towline-rotate-'));
  data = join(dir, 'data');
});
afterEach(() => rm(dir, { recursive: true }));

const quiet = () => undefined;

async function withStore<Result>(work: (store: Store) => Promise<Result>): Promise<Result> {
  const parts = { log: { debug: quiet, info: quiet, warn: quiet, error: quiet }, clock: { now: Date.now } };
  await using store = new SqliteStore(join(data, 'towline.db'), parts);
  await store.start(AbortSignal.timeout(30_000));
  return await work(store);
}

function secretOf(ring: KeyRing, n: number): Secret {
  const [scope, name] = [SCOPES[n % 2]!, `NAME_${n}`];
  const by = { createdAt: 1, createdBy: 'ada', updatedAt: 2, updatedBy: 'bob' };
  return { scope, name, ...sealSecret(ring, { scope, name }, `${PLAIN} ${n}`), ...by, revision: 1 };
}

/** Answers what was stored. */
function plant(ring: KeyRing, count: number, from = 0): Promise<Secret[]> {
  const made = Array.from({ length: count }, (_, n) => secretOf(ring, from + n));
  return withStore(async (store) => {
    await Promise.all(made.map((secret) => store.secrets.insert(secret)));
    return made;
  });
}

const stored = () => withStore(async (store) => (await store.secrets.list({}, { limit: 500 }, SYSTEM_SCOPE)).items);

/** The command, with these keys in its ring. */
function rotateArgs(...keys: readonly (typeof FIRST)[]): string[] {
  const config = join(dir, 'config.yaml');
  const lines = keys.map(({ id, bytes }) => `    - { id: ${id}, key: "${bytes.toString('base64')}" }\n`);
  writeFileSync(config, `credentials:\n  encryption_keys:\n${lines.join('')}`, { mode: 0o600 });
  return ['secrets', 'rotate', '--data', data, '--config', config];
}

/** Files of the data folder in which any of the texts lies, byte by byte. */
function holders(texts: readonly string[]): string[] {
  const contents = readdirSync(data).map((name) => [name, readFileSync(join(data, name), 'latin1')] as const);
  return contents.filter(([, content]) => texts.some((text) => content.includes(text))).map(([name]) => name);
}

const bodyOf = ({ sealed }: Secret) => sealed.slice(sealed.lastIndexOf('.') + 1);
/** How many secrets the database has under a key. */
function countUnder(keyId: string): number {
  const database = new SQLite(join(data, 'towline.db'), { readonly: true });
  try {
    return database.prepare('SELECT count(*) FROM secret WHERE key_id = ?').pluck().get(keyId) as number;
  } finally {
    database.close();
  }
}

describe('towline-relay secrets rotate, on secrets of users', () => {
  it('leaves neither their text nor anything that the old key opens in any file, and all open with the new one', async () => {
    const before = await plant(OLD, 250);
    expect(holders(before.map(bodyOf))).toEqual(['towline.db']);
    expect(await runRelay(rotateArgs(SECOND, FIRST))).toMatchObject({
      code: 0,
      stdout: '250 encrypted anew with key second, 0 were already\n',
      stderr: '',
    });
    expect(holders([PLAIN, 'v1.first.', ...before.map(bodyOf)])).toEqual([]);
    expect(holders(['v1.second.'])).toEqual(['towline.db']);
    const after = await stored();
    expect(after.map((secret) => openSecret(NEW, secret)).toSorted()).toEqual(before.map((_, n) => `${PLAIN} ${n}`).toSorted());
    const detail = { key: 'second', sealed: 250, current: 0, failed: 0 };
    expect(storedTrail(data)).toMatchObject([{ action: 'secrets.rotated', outcome: 'ok', detail }]);
    expect(await runRelay(rotateArgs(SECOND))).toMatchObject({ code: 0, stdout: '0 encrypted anew with key second, 250 were already\n' });
  });

  it('that is killed in the middle is finished by the next', async () => {
    await plant(OLD, 400);
    const program = startProgram(bin('towline-relay'), rotateArgs(SECOND, FIRST));
    await expect.poll(() => countUnder('second'), { interval: 5, timeout: 20_000 }).toBeGreaterThan(0);
    program.child.kill('SIGKILL');
    await program.finished;
    const done = countUnder('second');
    const finished = await runRelay(rotateArgs(SECOND, FIRST));
    expect(finished).toMatchObject({ code: 0, stdout: `${400 - done} encrypted anew with key second, ${done} were already\n` });
    expect(holders([PLAIN, 'v1.first.'])).toEqual([]);
    expect((await stored()).map((secret) => openSecret(NEW, secret))).toHaveLength(400);
  });

  it('does all others when some cannot be decrypted, and then says which, with the key that they need, and fails', async () => {
    await plant(OLD, 10);
    const lost = await plant(createKeyRing([LOST]), 2, 10);
    const { scope: owner, name: first } = secretOf(OLD, 0);
    const clear = { sealed: `${PLAIN} in the clear`, keyId: 'first' };
    const damaged = await withStore((store) => store.secrets.update(owner, first, clear, 1, SYSTEM_SCOPE));
    const finished = await runRelay(rotateArgs(SECOND, FIRST));
    expect(finished).toMatchObject({ code: 1, stdout: '9 encrypted anew with key second, 0 were already\n' });
    expect(finished.stderr).toContain('3 secrets could not be decrypted and stay as they are.');
    expect(finished.stderr).toContain('org:acme/NAME_0 (secret), encrypted with an unknown key, is damaged');
    for (const { scope, name } of lost) expect(finished.stderr).toContain(`${scope}/${name} (secret) is encrypted with key lost`);
    expect(finished.stderr).not.toContain(PLAIN);
    expect(storedTrail(data)).toMatchObject([{ outcome: 'failed', reason: expect.stringMatching(/^secret_/), detail: { failed: 3 } }]);
    expect((await stored()).filter(({ keyId }) => keyId !== 'second').toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
      damaged,
      ...lost,
    ]);
    // The key is found again, and the damaged one removed.
    await withStore((store) => store.secrets.remove(owner, first, SYSTEM_SCOPE));
    expect(await runRelay(rotateArgs(SECOND, LOST))).toMatchObject({
      code: 0,
      stdout: '2 encrypted anew with key second, 9 were already\n',
    });
    expect(holders([PLAIN, 'v1.first.', 'v1.lost.'])).toEqual([]);
  });
});
