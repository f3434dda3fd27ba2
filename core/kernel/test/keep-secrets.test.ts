import { randomBytes } from 'node:crypto';
import type { Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type OrgId, type Scope, TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSecretKeeping } from '../src/secrets/keep-secrets.ts';
import { createKeyRing } from '../src/secrets/key-ring.ts';
import { openStoreHere, type StoreHere, withFault } from './store-here.ts';

const ACME = 'org:acme' as Scope;
const ASKER = {
  principal: { kind: 'user', id: 'ada', label: 'ada', provider: 'test', scopes: [{ scope: ACME, role: 'admin' }], admin: false },
  address: '127.0.0.1',
} as const;

let here: StoreHere;
beforeEach(async () => {
  here = await openStoreHere();
  await here.store.organisations.insert({ id: 'acme' as OrgId, name: 'Acme', createdAt: 1, createdBy: 'test', revision: 1 });
});
afterEach(() => here[Symbol.asyncDispose]());

const keepingOn = (store: Store) =>
  createSecretKeeping({
    store,
    keys: createKeyRing([{ bytes: randomBytes(32) }]),
    clock: { now: Date.now },
    audit: async () => {},
    enforce: async () => {},
  });

const names = async () => (await here.store.secrets.list({ scope: ACME }, { limit: 100 }, SYSTEM_SCOPE)).items.map(({ name }) => name);

it('a store that fails behind the writing of a secret costs nobody the others of the scope', async () => {
  const set = (store: Store, name: string) => keepingOn(store).set(ASKER, { scope: ACME, name }, 'x');
  for (const name of ['ONE', 'TWO']) await set(here.store, name);
  let looks = 0;
  const failing = withFault(here.store, 'organisations', 'get', () => {
    looks += 1;
    if (looks === 2) throw new TowlineError('store_failed');
  });
  await expect(set(failing, 'THREE')).rejects.toMatchObject({ code: 'store_failed' });
  expect(looks).toBe(2);
  expect(await names()).toEqual(['ONE', 'THREE', 'TWO']);
});

it('a secret that is written while its organisation is deleted does not stay', async () => {
  let looks = 0;
  const { store } = here;
  const slow = new Proxy(store, {
    get(target, name) {
      if (name !== 'secrets') return Reflect.get(target, name) as unknown;
      return {
        ...Object.fromEntries(
          (['listEntries', 'remove', 'get', 'count'] as const).map((one) => [one, store.secrets[one].bind(store.secrets)]),
        ),
        insert: async (secret: never) => {
          looks += 1;
          await store.organisations.delete('acme' as OrgId, { at: 1, code: 'x', message: 'x' }, SYSTEM_SCOPE);
          return store.secrets.insert(secret);
        },
      };
    },
  });
  await expect(keepingOn(slow).set(ASKER, { scope: ACME, name: 'LATE' }, 'x')).rejects.toMatchObject({ code: 'org_deleted' });
  expect(looks).toBe(1);
  expect(await names()).toEqual([]);
});

it('a list for people reads no value from the store', async () => {
  await keepingOn(here.store).set(ASKER, { scope: ACME, name: 'ONE' }, 'x');
  const failing = withFault(here.store, 'secrets', 'list', () => {
    throw new TowlineError('store_failed');
  });
  const { items } = await keepingOn(failing).list(ASKER.principal, {}, { limit: 500 });
  expect(items.map((entry) => [entry.name, 'sealed' in entry])).toEqual([['ONE', false]]);
});
