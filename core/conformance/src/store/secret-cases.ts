import assert from 'node:assert/strict';
import type { Caller, Secret, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { Scope } from '@towline/protocol';
import { count, race, rejectsWith } from './expectations.ts';
import { ACME, ACME_ID, ADA, BOB, NOON, sampleOrganisation, sampleSecret } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const NOTICE = { at: NOON + 90, code: 'org_deleted', message: 'The organisation was deleted.' };
const CHANGE = { sealed: 'v1.second.0123456789abcdef.bmV3', keyId: 'second', updatedAt: NOON + 50, updatedBy: 'bob@example.com' };
/** Begins as the scope of Acme, and sorts behind it. */
const ACME_2 = 'org:acme-2' as Scope;
/** Hold other scopes than Ada's, or what only looks like hers. */
const STRANGERS: readonly Caller[] = [[], [BOB], ['user:ada@example.co' as Scope, `${ADA}m` as Scope, 'org:ada@example.com' as Scope]];
const { name: NAME } = sampleSecret(1);

async function insertAll(store: Store, ...secrets: readonly Secret[]): Promise<void> {
  for (const secret of secrets) assert.equal(await store.secrets.insert(secret), true);
}

async function listed(store: Store, caller: Caller, scope?: Scope): Promise<readonly Secret[]> {
  return (await store.secrets.list(scope === undefined ? {} : { scope }, ALL, caller)).items;
}

/** Promises of the secrets. */
export const secretCases: readonly StoreCase[] = [
  {
    name: 'secrets: one is read back as it was inserted, with revision 1',
    async run({ store }) {
      await insertAll(
        store,
        sampleSecret(1, { revision: 7, updatedAt: NOON + 5, updatedBy: 'bob@example.com', sealed: 's'.repeat(30_000) }),
      );
      const wanted = sampleSecret(1, { updatedAt: NOON + 5, updatedBy: 'bob@example.com', sealed: 's'.repeat(30_000) });
      for (const caller of [[ADA], [BOB, ADA], SYSTEM_SCOPE] as const) {
        assert.deepStrictEqual(await store.secrets.get(ADA, NAME, caller), wanted);
        assert.deepStrictEqual(await listed(store, caller), [wanted]);
      }
    },
  },
  {
    name: 'secrets: one whose scope the caller does not hold is answered like one that does not exist, and nothing is changed',
    async run({ store }) {
      await insertAll(store, sampleSecret(1));
      for (const caller of STRANGERS) {
        assert.equal(await store.secrets.get(ADA, NAME, caller), null);
        for (const filter of [{}, { scope: ADA }]) {
          assert.deepEqual(await store.secrets.list(filter, ALL, caller), { items: [], next: null });
        }
        for (const revision of [1, 2]) await rejectsWith(store.secrets.update(ADA, NAME, CHANGE, revision, caller), 'not_found');
        assert.equal(await store.secrets.remove(ADA, NAME, caller), false);
      }
      assert.deepStrictEqual(await store.secrets.get(ADA, NAME, SYSTEM_SCOPE), sampleSecret(1));
    },
  },
  {
    name: 'secrets: a list shows what the caller may see and nothing else, in the order of scope and name',
    async run({ store }) {
      const secrets = [
        sampleSecret(1, { scope: ACME, name: 'B' }),
        sampleSecret(2, { scope: ACME, name: 'Z' }),
        sampleSecret(3, { scope: ACME, name: '_' }),
        sampleSecret(4, { scope: ACME, name: 'a' }),
        sampleSecret(5, { scope: ACME_2, name: 'A' }),
        sampleSecret(6, { scope: ADA, name: 'A' }),
        sampleSecret(7, { scope: ADA, name: 'A_' }),
        sampleSecret(8, { scope: BOB, name: 'A' }),
      ];
      await insertAll(store, ...secrets.toReversed());
      const at = (...places: readonly number[]) => places.map((place) => secrets[place]);
      assert.deepStrictEqual(await listed(store, SYSTEM_SCOPE), secrets);
      assert.deepStrictEqual(await listed(store, [ADA, ACME, 'org:none' as Scope, ADA]), at(0, 1, 2, 3, 5, 6));
      assert.deepStrictEqual(await listed(store, [ACME]), at(0, 1, 2, 3));
      assert.deepStrictEqual(await listed(store, [BOB, ADA, ACME], ADA), at(5, 6));
      assert.deepStrictEqual(await listed(store, SYSTEM_SCOPE, ACME_2), at(4));
      assert.deepStrictEqual(await listed(store, [ADA, ACME], BOB), []);
    },
  },
  {
    name: 'secrets: a list of entries is the same list, for the same callers, without the values',
    async run({ store }) {
      const secrets = [sampleSecret(1, { scope: ACME }), sampleSecret(2, { sealed: 's'.repeat(30_000) }), sampleSecret(3, { scope: BOB })];
      await insertAll(store, ...secrets.toReversed());
      await store.secrets.update(ADA, sampleSecret(2).name, CHANGE, 1, [ADA]);
      for (const caller of [SYSTEM_SCOPE, [ADA, ACME], [BOB], ...STRANGERS] as const) {
        for (const filter of [{}, { scope: ADA }]) {
          const { items, next } = await store.secrets.list(filter, ALL, caller);
          const entries = items.map(({ sealed: _value, ...entry }) => entry);
          assert.deepStrictEqual(await store.secrets.listEntries(filter, ALL, caller), { items: entries, next });
        }
      }
      const { items, next } = await store.secrets.listEntries({}, { limit: 1 }, SYSTEM_SCOPE);
      const second = await store.secrets.listEntries({}, { limit: 1, ...(next === null ? {} : { cursor: next }) }, SYSTEM_SCOPE);
      assert.deepEqual(
        [...items, ...second.items].map(({ name }) => name),
        [secrets[0]!.name, secrets[1]!.name],
      );
    },
  },
  {
    name: 'secrets: a name stands once in a scope, and is another secret in another scope and in other letters',
    async run({ store }) {
      const others = [sampleSecret(2, { name: NAME, scope: BOB }), sampleSecret(3, { name: NAME.toLowerCase() })];
      await insertAll(store, sampleSecret(1), ...others);
      assert.equal(await store.secrets.insert(sampleSecret(4, { name: NAME })), false);
      assert.deepStrictEqual(await store.secrets.get(ADA, NAME, [ADA]), sampleSecret(1));
      await store.secrets.update(BOB, NAME, CHANGE, 1, [BOB]);
      assert.equal(await store.secrets.remove(ADA, NAME.toLowerCase(), [ADA]), true);
      assert.deepStrictEqual(await listed(store, SYSTEM_SCOPE), [sampleSecret(1), { ...others[0], ...CHANGE, revision: 2 }]);
      assert.equal(await store.secrets.remove(ADA, NAME, [ADA]), true);
      await insertAll(store, sampleSecret(4, { name: NAME }));
    },
  },
  {
    name: 'secrets: an update sets the value and its key, who made it and when, and nothing else; the revision grows',
    async run({ store }) {
      await insertAll(store, sampleSecret(1), sampleSecret(2));
      const forged = { ...CHANGE, scope: BOB, name: 'OTHER', createdAt: 1, createdBy: 'mallory', revision: 40 };
      const updated = sampleSecret(1, { ...CHANGE, revision: 2 });
      assert.deepStrictEqual(await store.secrets.update(ADA, NAME, forged, 1, [ADA]), updated);
      assert.deepStrictEqual(await store.secrets.get(ADA, NAME, [ADA]), updated);
      // As when the same value is encrypted with another key.
      const { sealed, keyId } = sampleSecret(9, { keyId: 'third' });
      const again = { ...updated, sealed, keyId, revision: 3 };
      assert.deepStrictEqual(await store.secrets.update(ADA, NAME, { sealed, keyId }, 2, SYSTEM_SCOPE), again);
      assert.deepStrictEqual(await listed(store, SYSTEM_SCOPE), [again, sampleSecret(2)]);
    },
  },
  {
    name: 'secrets: an update of another revision is store_conflict, one of a secret that is not there not_found; nothing is changed',
    async run({ store }) {
      await insertAll(store, sampleSecret(1));
      for (const revision of [0, 2]) await rejectsWith(store.secrets.update(ADA, NAME, CHANGE, revision, [ADA]), 'store_conflict');
      await rejectsWith(store.secrets.update(ADA, 'NEVER', CHANGE, 1, [ADA]), 'not_found');
      await rejectsWith(store.secrets.update(BOB, NAME, CHANGE, 1, [ADA, BOB]), 'not_found');
      assert.deepStrictEqual(await listed(store, SYSTEM_SCOPE), [sampleSecret(1)]);
    },
  },
  {
    name: 'secrets: of many that insert, update or remove one at one time exactly one wins',
    async run({ store }) {
      const inserted = await race(20, (n) => store.secrets.insert(sampleSecret(1, { sealed: `sealed ${n}` })));
      assert.deepEqual([count(inserted, true), count(inserted, false)], [1, 19]);
      assert.equal((await store.secrets.get(ADA, NAME, [ADA]))?.sealed, `sealed ${inserted.indexOf(true)}`);
      const updated = await race(20, async (n) => {
        const { revision } = await store.secrets.update(ADA, NAME, { ...CHANGE, sealed: `changed ${n}` }, 1, [ADA]);
        return revision;
      });
      assert.deepEqual([count(updated, 2), count(updated, 'store_conflict')], [1, 19]);
      assert.equal((await store.secrets.get(ADA, NAME, [ADA]))?.sealed, `changed ${updated.indexOf(2)}`);
      const removed = await race(20, () => store.secrets.remove(ADA, NAME, [ADA]));
      assert.deepEqual([count(removed, true), count(removed, false)], [1, 19]);
      assert.equal(await store.secrets.get(ADA, NAME, SYSTEM_SCOPE), null);
    },
  },
  {
    name: 'secrets: one that is removed while it is updated does not come back',
    async run({ store }) {
      for (let turn = 1; turn <= 10; turn += 1) {
        await insertAll(store, sampleSecret(1));
        const outcomes = await race<unknown>(2, async (n) =>
          n === 0 ? (await store.secrets.update(ADA, NAME, CHANGE, 1, [ADA])).revision : store.secrets.remove(ADA, NAME, [ADA]),
        );
        assert.ok(outcomes[0] === 2 || outcomes[0] === 'not_found', String(outcomes[0]));
        assert.equal(outcomes[1], true);
        assert.equal(await store.secrets.get(ADA, NAME, SYSTEM_SCOPE), null);
      }
    },
  },
  {
    name: 'secrets: those of a scope are counted',
    async run({ store }) {
      await insertAll(store, sampleSecret(1), sampleSecret(2), sampleSecret(3, { scope: BOB }));
      assert.deepEqual(await Promise.all([ADA, BOB, ACME].map((scope) => store.secrets.count(scope))), [2, 1, 0]);
      await store.secrets.remove(ADA, NAME, [ADA]);
      assert.equal(await store.secrets.count(ADA), 1);
    },
  },
  {
    name: 'secrets: those under other keys are told, at most 100, until there are none',
    async run({ store }) {
      const keyIds = ['before', 'current', 'currenu', 'curren', 'Current', ''];
      await insertAll(store, ...keyIds.map((keyId, n) => sampleSecret(1_000 + n, { keyId, scope: n % 2 === 0 ? ADA : BOB })));
      const others = await store.secrets.listNotUnder('current');
      const wanted = keyIds.filter((keyId) => keyId !== 'current').toSorted();
      assert.deepEqual(others.map(({ keyId }) => keyId).toSorted(), wanted);
      for (const other of others) assert.deepStrictEqual(other, await store.secrets.get(other.scope, other.name, SYSTEM_SCOPE));
      await insertAll(store, ...Array.from({ length: 120 }, (_, n) => sampleSecret(n, { keyId: 'old' })));
      const seen = new Set<string>();
      for (let turn = 0; turn < 3; turn += 1) {
        const some = await store.secrets.listNotUnder('current');
        assert.ok(some.length <= 100, `${some.length} at once`);
        for (const { scope, name, revision } of some) {
          seen.add(`${scope}/${name}`);
          await store.secrets.update(scope, name, { sealed: 'v1.current', keyId: 'current' }, revision, SYSTEM_SCOPE);
        }
      }
      assert.equal(seen.size, 125);
      assert.deepEqual(await store.secrets.listNotUnder('current'), []);
    },
  },
  {
    name: 'secrets: those of an organisation go with it, and no others',
    async run({ store }) {
      const others = [sampleSecret(3, { scope: ACME_2 }), sampleSecret(4, { scope: 'user:acme' as Scope })];
      await store.organisations.insert(sampleOrganisation());
      await insertAll(store, sampleSecret(1, { scope: ACME }), sampleSecret(2, { scope: ACME }), ...others);
      assert.equal(await store.organisations.delete(ACME_ID, NOTICE, [ADA]), false);
      assert.equal(await store.secrets.count(ACME), 2);
      assert.equal(await store.organisations.delete(ACME_ID, NOTICE, [ACME]), true);
      assert.deepStrictEqual(await listed(store, SYSTEM_SCOPE), others);
      assert.deepEqual(await store.secrets.listNotUnder('none'), others);
    },
  },
];
