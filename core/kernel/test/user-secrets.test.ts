import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Secret, SecretRepository, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type Scope, TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { allPages } from '../src/people/pages.ts';
import { createKeyRing, type KeyRing } from '../src/secrets/key-ring.ts';
import { openKeyRing } from '../src/secrets/open-key-ring.ts';
import { resealSecrets } from '../src/secrets/reseal-secrets.ts';
import { openSecret, sealSecret } from '../src/secrets/user-secrets.ts';
import { createKeptLog, openStoreHere, type StoreHere } from './store-here.ts';

const OLD = { id: 'old', bytes: randomBytes(32) };
const NEW = { id: 'new', bytes: randomBytes(32) };
const [OLD_RING, RING] = [createKeyRing([OLD]), createKeyRing([NEW, OLD])];
const ACME = 'org:acme' as Scope;
const ADA = 'user:ada@example.com' as Scope;
const VALUE = 'pläin "value" $(of) a \n secret';

let here: StoreHere;
let secrets: SecretRepository;
beforeEach(async () => {
  here = await openStoreHere();
  secrets = here.store.secrets;
});
afterEach(() => here[Symbol.asyncDispose]());

function secretOf(ring: KeyRing, name: string, value = `${VALUE} ${name}`, scope = ACME): Secret {
  const by = { createdAt: 1, createdBy: 'ada', updatedAt: 2, updatedBy: 'bob' };
  return { scope, name, ...sealSecret(ring, { scope, name }, value), ...by, revision: 1 };
}

async function plant(ring: KeyRing, count: number, prefix = 'NAME'): Promise<void> {
  const names = Array.from({ length: count }, (_, n) => `${prefix}_${n}`);
  await Promise.all(names.map((name, n) => secrets.insert(secretOf(ring, name, undefined, n % 2 === 0 ? ACME : ADA))));
}

async function all(): Promise<Secret[]> {
  const found: Secret[] = [];
  for await (const secret of allPages((page) => secrets.list({}, page, SYSTEM_SCOPE))) found.push(secret);
  return found;
}

/** Every secret opens with the newest key alone, to the value that it had. */
async function expectAllNew(count: number): Promise<void> {
  const found = await all();
  const alone = createKeyRing([NEW]);
  expect(found.map((secret) => openSecret(alone, secret))).toEqual(found.map(({ name }) => `${VALUE} ${name}`));
  expect(found.filter(({ keyId }) => keyId !== 'new')).toEqual([]);
  expect(found).toHaveLength(count);
}

/** The secrets of the store, where something happens before the n-th update. */
function withUpdates(before: (n: number, name: string) => Promise<unknown>): SecretRepository {
  let n = 0;
  const update: SecretRepository['update'] = async (...args) => {
    n += 1;
    await before(n, args[1]);
    return secrets.update(...args);
  };
  return { ...secrets, update };
}

describe('a secret', () => {
  it('opens to the value that was sealed, also when it comes back from a store', async () => {
    await secrets.insert(secretOf(OLD_RING, 'A', VALUE));
    const found = (await secrets.get(ACME, 'A', [ACME]))!;
    expect(found.keyId).toBe('old');
    expect([openSecret(OLD_RING, found), openSecret(RING, found)]).toEqual([VALUE, VALUE]);
  });

  it.each([
    ['to another scope', { scope: ADA }],
    ['to another name', { name: 'B' }],
    ['and replaced by its value in the clear', { sealed: VALUE }],
    ['and emptied', { sealed: '' }],
    ['and replaced by a value of the relay', { sealed: OLD_RING.seal(VALUE, { purpose: 'grant secrets', scope: ACME, name: 'A' }) }],
  ])('that was moved %s is damaged: the error names it, and not its value', (_how, change) => {
    const moved = { ...secretOf(OLD_RING, 'A', VALUE), ...change };
    const fault = faultOf(() => openSecret(OLD_RING, moved));
    expect(fault.code).toBe('secret_damaged');
    expect(fault.message).toContain(`${moved.scope}/${moved.name} (secret)`);
    expect(JSON.stringify([fault.message, fault.hint, fault.detail])).not.toContain('value');
  });

  it('without its key tells the id of the key, and whose secret it is', () => {
    const fault = faultOf(() => openSecret(createKeyRing([NEW]), secretOf(OLD_RING, 'A')));
    expect(fault).toMatchObject({ code: 'secret_key_missing', message: expect.stringMatching(/org:acme\/A \(secret\).* key old/) });
  });
});

describe('encrypting secrets anew', () => {
  it('changes every one, over many pages, and nothing about it but the key; a second run finds nothing to do', async () => {
    await plant(OLD_RING, 1_203);
    await plant(RING, 4, 'LATER');
    const before = await all();
    expect(await resealSecrets(secrets, RING)).toEqual({ sealed: 1_203, current: 4, failed: 0, faults: [] });
    await expectAllNew(1_207);
    const plain = ({ sealed: _, keyId: __, revision: ___, ...rest }: Secret) => rest;
    expect((await all()).map(plain)).toEqual(before.map(plain));
    expect(await resealSecrets(secrets, RING)).toEqual({ sealed: 0, current: 1_207, failed: 0, faults: [] });
  });

  it('that is cut short is finished by the next run', async () => {
    await plant(OLD_RING, 40);
    const failing = withUpdates(async (n) => {
      if (n === 11) throw new TowlineError('store_failed');
    });
    await expect(resealSecrets(failing, RING)).rejects.toMatchObject({ code: 'store_failed' });
    expect(await resealSecrets(secrets, RING)).toMatchObject({ sealed: 30, current: 10, failed: 0 });
    await expectAllNew(40);
  });

  it('finds what lies under the id of the newest key, but was encrypted with a former key of that id', async () => {
    await plant(createKeyRing([{ ...OLD, id: 'new' }]), 3);
    expect(await secrets.listNotUnder('new')).toEqual([]);
    expect(await resealSecrets(secrets, RING)).toMatchObject({ sealed: 3, failed: 0 });
    await expectAllNew(3);
  });

  it('is held up by none that cannot be decrypted: they stay, are counted, and twenty are told', async () => {
    await plant(OLD_RING, 30);
    const lost = createKeyRing([{ id: 'lost', bytes: randomBytes(32) }]);
    await plant(lost, 150, 'LOST');
    await secrets.insert({ ...secretOf(OLD_RING, 'MOVED'), name: 'A_DAMAGED' });
    const before = (await all()).filter(({ name }) => !name.startsWith('NAME'));
    const { faults, ...counts } = await resealSecrets(secrets, RING);
    expect(counts).toEqual({ sealed: 30, current: 0, failed: 151 });
    expect(faults).toHaveLength(20);
    expect(faults[0]).toMatchObject({ code: 'secret_damaged', message: expect.stringContaining('org:acme/A_DAMAGED') });
    expect(faults[1]).toMatchObject({ code: 'secret_key_missing', message: expect.stringContaining('key lost') });
    expect((await all()).filter(({ name }) => !name.startsWith('NAME'))).toEqual(before);
  });

  it('never puts back a value that was set or removed meanwhile', async () => {
    await plant(OLD_RING, 6);
    const busy = withUpdates(async (n, name) => {
      const scope = Number(name.slice(-1)) % 2 === 0 ? ACME : ADA;
      if (n === 2) await secrets.remove(scope, name, SYSTEM_SCOPE);
      if (n === 3) await secrets.update(scope, name, sealSecret(OLD_RING, { scope, name }, 'set by old'), 1, SYSTEM_SCOPE);
      if (n === 5) await secrets.update(scope, name, sealSecret(RING, { scope, name }, 'set by new'), 1, SYSTEM_SCOPE);
    });
    expect(await resealSecrets(busy, RING)).toMatchObject({ failed: 0 });
    const values = (await all()).map((secret) => openSecret(createKeyRing([NEW]), secret));
    expect(values).toHaveLength(5);
    expect(values.filter((value) => value.startsWith('set by')).toSorted()).toEqual(['set by new', 'set by old']);
  });

  it('also takes what was set with the old key behind it', async () => {
    await plant(OLD_RING, 5);
    const busy = withUpdates(async (n) => {
      // The first of all, in the order in which they are taken.
      if (n === 4) await secrets.insert(secretOf(OLD_RING, 'A'));
    });
    expect(await resealSecrets(busy, RING)).toMatchObject({ sealed: 6, failed: 0 });
    await expectAllNew(6);
  });

  it('gives up on one that others change all the time, and says which', async () => {
    await plant(OLD_RING, 1);
    const busy = withUpdates(async () => {
      const { scope, name, revision } = (await all())[0]!;
      await secrets.update(scope, name, sealSecret(OLD_RING, { scope, name }, 'again'), revision, SYSTEM_SCOPE);
    });
    const outcome = resealSecrets(busy, RING);
    await expect(outcome).rejects.toMatchObject({ code: 'store_conflict', message: expect.stringContaining('org:acme/NAME_0') });
  });
});

it('no key is made for a store that holds secrets which need another one', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'towline-key-'));
  try {
    await secrets.insert(secretOf(OLD_RING, 'A'));
    const parts = { config: { dataDir: dir, encryptionKeys: [] }, store: here.store as Store, log: createKeptLog() };
    await expect(openKeyRing(parts)).rejects.toMatchObject({ code: 'secret_key_missing', message: expect.stringContaining('key old') });
    expect(await readdir(dir)).toEqual([]);
  } finally {
    await rm(dir, { recursive: true });
  }
});

function faultOf(open: () => string): TowlineError {
  try {
    open();
  } catch (error) {
    return error as TowlineError;
  }
  throw new Error('it was opened');
}
