import assert from 'node:assert/strict';
import type { Standing, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { OrgId, Scope } from '@towline/protocol';
import {
  ACME,
  ACME_ID,
  ADA,
  BOB,
  idOf,
  keyIdOf,
  NOON,
  sampleDevice,
  sampleKey,
  sampleLogin,
  sampleMembership,
  sampleOrganisation,
  sampleRegistration,
  sampleSecret,
  sampleShare,
  sampleUser,
} from './samples.ts';
import type { StoreCase } from './store-case.ts';

const NOTICE = { at: NOON + 90, code: 'access_ended', message: 'The access has ended.' };
const GONE_ID = 'gone' as OrgId;
const THIRD_ID = 'third' as OrgId;
const NOTHING: Standing = { user: null, key: null, memberships: [], deletedOrgs: [] };
const { id: USER, email: EMAIL } = sampleUser(1) as { id: string; email: string };

/** The first user, operator of Acme, and a deleted organisation that it belonged to. */
async function fill(store: Store): Promise<void> {
  await store.users.note(sampleLogin(1, { claims: [{ scope: `org:${GONE_ID}` as Scope, role: 'admin' }] }));
  for (const id of [GONE_ID, ACME_ID, THIRD_ID]) await store.organisations.insert(sampleOrganisation({ id }));
  for (const org of [GONE_ID, ACME_ID]) {
    await store.organisations.setMember(sampleMembership(1, { org, email: EMAIL, role: 'operator' }), SYSTEM_SCOPE);
  }
  await store.organisations.setMember(sampleMembership(2, { org: THIRD_ID, email: 'other@example.com' }), SYSTEM_SCOPE);
  await store.organisations.delete(GONE_ID, NOTICE, SYSTEM_SCOPE);
  await store.keys.insert(sampleKey(1));
}

/** Promises of the look-ups over the whole store. */
export const standingCases: readonly StoreCase[] = [
  {
    name: 'standing: of a user, key and organisations that are not there, nothing is told',
    async run({ store }) {
      assert.deepStrictEqual(await store.standing({ userId: USER, orgs: [] }), NOTHING);
      assert.deepStrictEqual(await store.standing({ userId: USER, email: EMAIL, keyId: keyIdOf(1), orgs: [ACME_ID] }), NOTHING);
      assert.deepStrictEqual(await store.standing({ userId: USER, ofUser: true, orgs: [] }), NOTHING);
    },
  },
  {
    name: 'standing: it tells the user, the key, the memberships of the address and which named organisations were deleted',
    async run({ store }) {
      await fill(store);
      const user = (await store.users.get(USER))!;
      const memberships = [{ org: ACME_ID, role: 'operator' as const }];
      assert.deepStrictEqual(
        await store.standing({ userId: USER, email: EMAIL, keyId: keyIdOf(1), orgs: [ACME_ID, GONE_ID, 'never' as OrgId] }),
        { user, key: sampleKey(1), memberships, deletedOrgs: [GONE_ID] },
      );
      assert.deepStrictEqual(await store.standing({ userId: USER, email: EMAIL, orgs: [ACME_ID] }), { ...NOTHING, user, memberships });
      const stranger = await store.standing({ userId: 'issuer|nobody', email: 'other@example.com', orgs: [] });
      assert.deepStrictEqual(stranger, { ...NOTHING, memberships: [{ org: THIRD_ID, role: 'viewer' }] });
    },
  },
  {
    name: 'standing: without an address there are no memberships, also when one was noted for the user before',
    async run({ store }) {
      await fill(store);
      assert.deepStrictEqual((await store.standing({ userId: USER, orgs: [] })).memberships, []);
    },
  },
  {
    name: 'standing: of a bounded credential the noted address counts, and the organisations of the claims',
    async run({ store }) {
      await fill(store);
      const { memberships, deletedOrgs } = await store.standing({ userId: USER, ofUser: true, orgs: [ACME_ID] });
      assert.deepStrictEqual([memberships, deletedOrgs], [[{ org: ACME_ID, role: 'operator' }], [GONE_ID]]);
      const { email: _, ...login } = sampleLogin(1);
      await store.users.note({ ...login, claims: [] });
      const now = await store.standing({ userId: USER, ofUser: true, orgs: [] });
      assert.deepStrictEqual([now.memberships, now.deletedOrgs], [[], []]);
    },
  },
  {
    name: 'standing: it shows what was acknowledged before',
    async run({ store }) {
      await fill(store);
      const now = () => store.standing({ userId: USER, email: EMAIL, keyId: keyIdOf(1), orgs: [ACME_ID] });
      assert.equal((await now()).user?.disabledAt, undefined);
      await store.users.disable(USER, 'ada', NOTICE);
      assert.equal((await now()).user?.disabledAt, NOTICE.at);
      await store.keys.revoke(keyIdOf(1), NOTICE, SYSTEM_SCOPE);
      assert.equal((await now()).key?.revokedAt, NOTICE.at);
      await store.organisations.setMember(sampleMembership(1, { email: EMAIL, role: 'viewer' }), [ACME]);
      assert.deepStrictEqual((await now()).memberships, [{ org: ACME_ID, role: 'viewer' }]);
      await store.organisations.delete(ACME_ID, NOTICE, [ACME]);
      const { memberships, deletedOrgs } = await now();
      assert.deepStrictEqual([memberships, deletedOrgs], [[], [ACME_ID]]);
    },
  },
  {
    name: 'scopes: one is used by a device, a key, a scope of a key, a request to enrol, a share or a secret, and by nothing else',
    async run({ store }) {
      const used = () => store.isScopeUsed(ACME);
      const unused = async () => assert.equal(await used(), false);
      await fill(store);
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB)] }));
      await unused();
      assert.deepEqual([await store.isScopeUsed(ADA), await store.isScopeUsed(BOB)], [true, true]);
      await store.devices.update(idOf(1), { shares: [sampleShare(ACME, { until: 1 })] }, 1, [ADA]);
      assert.deepEqual([await used(), await store.isScopeUsed(BOB)], [true, false]);
      await store.devices.update(idOf(1), { shares: [], owner: ACME }, 2, [ADA]);
      assert.equal(await used(), true);
      await store.devices.remove(idOf(1), NOTICE, [ACME]);
      await unused();
      await store.registrations.insert(sampleRegistration(1, { owner: ACME, state: 'rejected' }));
      assert.equal(await used(), true);
      await store.registrations.deleteForDevice(idOf(1));
      await unused();
      const secret = sampleSecret(1, { scope: ACME });
      await store.secrets.insert(secret);
      assert.equal(await used(), true);
      await store.secrets.remove(ACME, secret.name, [ACME]);
      await unused();
      await store.keys.insert(sampleKey(5, { owner: BOB, scopes: [{ scope: ACME, role: 'viewer' }] }));
      assert.equal(await used(), true);
      await store.keys.insert(sampleKey(6, { owner: 'org:keys' as Scope, scopes: [] }));
      assert.equal(await store.isScopeUsed('org:keys' as Scope), true);
    },
  },
];
