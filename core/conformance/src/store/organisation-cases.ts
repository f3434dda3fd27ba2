import assert from 'node:assert/strict';
import type { Caller, Membership, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { OrgId, Scope } from '@towline/protocol';
import { count, race } from './expectations.ts';
import { ACME, ACME_ID, ADA, NOON, sampleMembership, sampleOrganisation } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const NOTICE = { at: NOON + 90, code: 'access_ended', message: 'The access has ended.' };
const DELETED = { at: NOON + 90, code: 'org_deleted', message: 'The organisation was deleted.' };
const OTHER = 'org:acme-2' as Scope;
/** Hold no organisation, or another one. */
const STRANGERS: readonly Caller[] = [[], [ADA], [OTHER], ['user:acme' as Scope, 'acme' as Scope]];
const emailOf = (n: number) => sampleMembership(n).email;
const admin = (n: number) => sampleMembership(n, { role: 'admin' });

async function members(store: Store, caller: Caller = [ACME]): Promise<readonly Membership[]> {
  return (await store.organisations.listMembers(ACME_ID, ALL, caller)).items;
}

async function insertWith(store: Store, ...given: readonly Membership[]): Promise<void> {
  await store.organisations.insert(sampleOrganisation());
  for (const membership of given) assert.equal(await store.organisations.setMember(membership, [ACME]), 'done');
}

/** Promises of the organisations and their members. */
export const organisationCases: readonly StoreCase[] = [
  {
    name: 'organisations: one is read back as it was inserted, with revision 1, and listed in the order of the ids',
    async run({ store }) {
      assert.equal(await store.organisations.insert(sampleOrganisation({ revision: 7 })), true);
      assert.deepStrictEqual(await store.organisations.get(ACME_ID, [ACME]), sampleOrganisation());
      const other = sampleOrganisation({ id: 'acme-2' as OrgId, name: 'Other' });
      const first = sampleOrganisation({ id: 'aaa' as OrgId });
      for (const organisation of [other, first]) await store.organisations.insert(organisation);
      assert.deepStrictEqual((await store.organisations.list(ALL, SYSTEM_SCOPE)).items, [first, sampleOrganisation(), other]);
      assert.deepStrictEqual((await store.organisations.list(ALL, [OTHER, ADA, ACME])).items, [sampleOrganisation(), other]);
    },
  },
  {
    name: 'organisations: one whose scope the caller does not hold is answered like one that does not exist, and nothing is changed',
    async run({ store }) {
      await insertWith(store, admin(1), sampleMembership(2));
      for (const caller of STRANGERS) {
        const { organisations } = store;
        assert.equal(await organisations.get(ACME_ID, caller), null);
        assert.deepEqual(await organisations.list(ALL, caller), { items: [], next: null });
        assert.deepEqual(await organisations.listMembers(ACME_ID, ALL, caller), { items: [], next: null });
        assert.equal(await organisations.setMember(sampleMembership(2, { role: 'admin' }), caller, NOTICE), 'absent');
        assert.equal(await organisations.removeMember(ACME_ID, emailOf(2), NOTICE, caller), 'absent');
        assert.equal(await organisations.delete(ACME_ID, DELETED, caller), false);
      }
      assert.deepStrictEqual(await store.organisations.get(ACME_ID, SYSTEM_SCOPE), sampleOrganisation());
      assert.deepStrictEqual(await members(store), [admin(1), sampleMembership(2)]);
      assert.equal(await store.revocations.last(), 0);
    },
  },
  {
    name: 'organisations: a deleted one is still got, but has no members, is not listed and takes none; a revocation tells of it',
    async run({ store }) {
      await insertWith(store, admin(1));
      assert.equal(await store.organisations.delete(ACME_ID, DELETED, [ACME]), true);
      const deleted = sampleOrganisation({ deletedAt: DELETED.at, revision: 2 });
      for (const caller of [[ACME], SYSTEM_SCOPE] as const) {
        assert.deepStrictEqual(await store.organisations.get(ACME_ID, caller), deleted);
        assert.deepEqual((await store.organisations.list(ALL, caller)).items, []);
        assert.deepEqual(await members(store, caller), []);
        assert.equal(await store.organisations.setMember(admin(2), caller, NOTICE), 'absent');
      }
      assert.deepStrictEqual(await store.revocations.listAfter(0), [{ ...DELETED, number: 1, kind: 'org', id: ACME_ID }]);
    },
  },
  {
    name: 'organisations: an id is given once, also after the end of its organisation',
    async run({ store }) {
      const again = () => store.organisations.insert(sampleOrganisation({ name: 'of a thief', createdBy: 'mallory' }));
      await insertWith(store, admin(1));
      assert.equal(await again(), false);
      assert.deepStrictEqual(await store.organisations.get(ACME_ID, [ACME]), sampleOrganisation());
      await store.organisations.delete(ACME_ID, DELETED, [ACME]);
      assert.equal(await again(), false);
      assert.equal((await store.organisations.get(ACME_ID, [ACME]))?.name, 'Acme, Inc.');
    },
  },
  {
    name: 'organisations: one is made once and deleted once, also by many at one time',
    async run({ store }) {
      const made = await race(20, (n) => store.organisations.insert(sampleOrganisation({ name: `${n}` })));
      assert.deepEqual([count(made, true), count(made, false)], [1, 19]);
      assert.equal((await store.organisations.get(ACME_ID, [ACME]))?.name, `${made.indexOf(true)}`);
      const deleted = await race(20, () => store.organisations.delete(ACME_ID, DELETED, [ACME]));
      assert.deepEqual([count(deleted, true), count(deleted, false)], [1, 19]);
      assert.equal(await store.revocations.last(), 1);
      assert.equal(await store.organisations.delete('never' as OrgId, DELETED, SYSTEM_SCOPE), false);
    },
  },
  {
    name: 'members: they are listed in the order of their addresses; another role leaves who added them and when',
    async run({ store }) {
      await insertWith(store, sampleMembership(3), sampleMembership(1), admin(2));
      assert.deepStrictEqual(await members(store), [sampleMembership(1), admin(2), sampleMembership(3)]);
      const change = sampleMembership(3, { role: 'operator', addedAt: NOON + 70, addedBy: 'mallory' });
      assert.equal(await store.organisations.setMember(change, [ACME]), 'done');
      assert.deepStrictEqual(await members(store, SYSTEM_SCOPE), [
        sampleMembership(1),
        admin(2),
        sampleMembership(3, { role: 'operator' }),
      ]);
    },
  },
  {
    name: 'members: those of one organisation are not those of another',
    async run({ store }) {
      await insertWith(store, admin(1), sampleMembership(2));
      const there = { org: 'acme-2' as OrgId, role: 'operator' } as const;
      await store.organisations.insert(sampleOrganisation({ id: there.org }));
      for (const n of [2, 3]) await store.organisations.setMember(sampleMembership(n, there), SYSTEM_SCOPE);
      assert.deepStrictEqual(await members(store), [admin(1), sampleMembership(2)]);
      assert.equal(await store.organisations.removeMember(ACME_ID, emailOf(3), NOTICE, SYSTEM_SCOPE), 'absent');
      await store.organisations.removeMember(ACME_ID, emailOf(2), NOTICE, SYSTEM_SCOPE);
      await store.organisations.delete(ACME_ID, DELETED, SYSTEM_SCOPE);
      const left = (await store.organisations.listMembers(there.org, ALL, [OTHER])).items;
      assert.deepStrictEqual(left, [sampleMembership(2, there), sampleMembership(3, there)]);
    },
  },
  {
    name: 'members: without the organisation or the member the outcome is absent',
    async run({ store }) {
      assert.equal(await store.organisations.setMember(admin(1), SYSTEM_SCOPE, NOTICE), 'absent');
      assert.equal(await store.organisations.removeMember(ACME_ID, emailOf(1), NOTICE, SYSTEM_SCOPE), 'absent');
      await insertWith(store, admin(1));
      assert.equal(await store.organisations.removeMember(ACME_ID, emailOf(2), NOTICE, SYSTEM_SCOPE), 'absent');
      assert.equal(await store.revocations.last(), 0);
    },
  },
  {
    name: 'members: a change with a notice, and a removal, leaves a revocation of the address',
    async run({ store }) {
      await insertWith(store, admin(1), sampleMembership(2));
      const { organisations } = store;
      assert.equal(await store.revocations.last(), 0);
      assert.equal(await organisations.setMember(sampleMembership(2, { role: 'operator' }), [ACME], NOTICE), 'done');
      assert.equal(await organisations.removeMember(ACME_ID, emailOf(2), NOTICE, [ACME]), 'done');
      assert.equal(await organisations.removeMember(ACME_ID, emailOf(2), NOTICE, [ACME]), 'absent');
      assert.deepStrictEqual(
        await store.revocations.listAfter(0),
        [1, 2].map((number) => ({ ...NOTICE, number, kind: 'membership' as const, id: emailOf(2) })),
      );
      assert.deepStrictEqual(await members(store), [admin(1)]);
    },
  },
  {
    name: 'members: the last admin is neither removed nor given another role',
    async run({ store }) {
      await insertWith(store, admin(1), sampleMembership(2));
      assert.equal(await store.organisations.removeMember(ACME_ID, emailOf(1), NOTICE, [ACME]), 'last_admin');
      assert.equal(await store.organisations.setMember(sampleMembership(1), [ACME], NOTICE), 'last_admin');
      assert.deepStrictEqual(await members(store), [admin(1), sampleMembership(2)]);
      assert.equal(await store.revocations.last(), 0);
      assert.equal(await store.organisations.setMember(admin(1), [ACME]), 'done');
      assert.equal(await store.organisations.setMember(admin(2), [ACME]), 'done');
      assert.equal(await store.organisations.setMember(sampleMembership(1), [ACME]), 'done');
      assert.equal(await store.organisations.removeMember(ACME_ID, emailOf(2), NOTICE, [ACME]), 'last_admin');
    },
  },
  {
    name: 'members: of all admins that go at one time one stays',
    async run({ store }) {
      await insertWith(store, ...[0, 1, 2, 3].map(admin));
      const outcomes = await race(4, (n) =>
        n % 2 === 0
          ? store.organisations.removeMember(ACME_ID, emailOf(n), NOTICE, [ACME])
          : store.organisations.setMember(sampleMembership(n), [ACME], NOTICE),
      );
      assert.deepEqual([count(outcomes, 'done'), count(outcomes, 'last_admin')], [3, 1]);
      const left = (await members(store)).filter(({ role }) => role === 'admin').map(({ email }) => email);
      assert.deepEqual(left, [emailOf(outcomes.indexOf('last_admin'))]);
      assert.equal(await store.revocations.last(), 3);
    },
  },
];
