import assert from 'node:assert/strict';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { count, race } from './expectations.ts';
import { ACME, ADA, BOB, idOf, keyIdOf, NOON, sampleKey } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const REVOKED = { at: NOON + 9, code: 'key_revoked', message: 'The key was revoked.' };
const ids = (page: { readonly items: readonly { readonly id: string }[] }) => page.items.map(({ id }) => id);

/** Promises of the API keys. */
export const keyCases: readonly StoreCase[] = [
  {
    name: 'keys: one is read back as it was inserted, with revision 1',
    async run({ store }) {
      const full = sampleKey(1, {
        kind: 'enrolment',
        userId: 'issuer|ada',
        email: 'ada@example.com',
        admin: true,
        scopes: [
          { scope: ADA, role: 'admin' },
          { scope: ACME, role: 'viewer' },
        ],
        streams: ['shell', 'exec'],
        devices: [idOf(1), idOf(2)],
        bounded: true,
        deviceId: idOf(3),
        remaining: 0,
        expiresAt: NOON + 1,
        lastUsedAt: NOON + 2,
      });
      assert.equal(await store.keys.insert({ ...full, revision: 9 }), true);
      assert.deepStrictEqual(await store.keys.get(keyIdOf(1), [ADA]), full);
      const none = sampleKey(2, { scopes: [], streams: [], devices: [], bounded: false });
      await store.keys.insert(none);
      assert.deepStrictEqual(await store.keys.get(keyIdOf(2), [ADA]), none);
    },
  },
  {
    name: 'keys: one outside the scopes of the caller is answered like one that does not exist',
    async run({ store }) {
      await store.keys.insert(sampleKey(1));
      for (const caller of [[BOB], []]) assert.equal(await store.keys.get(keyIdOf(1), caller), null);
      for (const caller of [[BOB, ADA], SYSTEM_SCOPE] as const)
        assert.deepStrictEqual(await store.keys.get(keyIdOf(1), caller), sampleKey(1));
      assert.equal(await store.keys.get(keyIdOf(2), SYSTEM_SCOPE), null);
    },
  },
  {
    name: 'keys: an id that exists is not inserted again, and nothing is changed',
    async run({ store }) {
      await store.keys.insert(sampleKey(1));
      assert.equal(await store.keys.insert(sampleKey(1, { hash: 'of a thief', admin: true })), false);
      assert.deepStrictEqual(await store.keys.get(keyIdOf(1), SYSTEM_SCOPE), sampleKey(1));
    },
  },
  {
    name: 'keys: a list shows what the caller may see and nothing else, in the order of the ids',
    async run({ store }) {
      for (const [n, owner] of [
        [4, ACME],
        [3, ADA],
        [2, BOB],
        [1, ACME],
      ] as const)
        await store.keys.insert(sampleKey(n, { owner }));
      assert.deepEqual(ids(await store.keys.list({}, ALL, SYSTEM_SCOPE)), [1, 2, 3, 4].map(keyIdOf));
      assert.deepEqual(ids(await store.keys.list({}, ALL, [ACME, ADA])), [1, 3, 4].map(keyIdOf));
      assert.deepEqual(ids(await store.keys.list({}, ALL, [])), []);
    },
  },
  {
    name: 'keys: they are found by kind and by device, within what the caller may see',
    async run({ store }) {
      await store.keys.insert(sampleKey(1, { kind: 'device', deviceId: idOf(1) }));
      await store.keys.insert(sampleKey(2, { kind: 'device', deviceId: idOf(2) }));
      await store.keys.insert(sampleKey(3, { kind: 'enrolment', owner: BOB }));
      await store.keys.insert(sampleKey(4));
      assert.deepEqual(ids(await store.keys.list({ kind: 'device' }, ALL, [ADA])), [1, 2].map(keyIdOf));
      assert.deepEqual(ids(await store.keys.list({ kind: 'enrolment' }, ALL, SYSTEM_SCOPE)), [keyIdOf(3)]);
      assert.deepEqual(ids(await store.keys.list({ kind: 'enrolment' }, ALL, [ADA])), []);
      assert.deepEqual(ids(await store.keys.list({ deviceId: idOf(2) }, ALL, [ADA])), [keyIdOf(2)]);
      assert.deepEqual(ids(await store.keys.list({ deviceId: idOf(2) }, ALL, [BOB])), []);
      assert.deepEqual(ids(await store.keys.list({ deviceId: idOf(2), kind: 'user' }, ALL, SYSTEM_SCOPE)), []);
    },
  },
  {
    name: 'keys: they are found by the user they act as, within what the caller may see',
    async run({ store }) {
      for (const n of [1, 2]) await store.keys.insert(sampleKey(n, { userId: 'issuer|ada' }));
      await store.keys.insert(sampleKey(3, { userId: 'issuer|ada', owner: BOB }));
      await store.keys.insert(sampleKey(4, { userId: 'issuer|ada2' }));
      await store.keys.insert(sampleKey(5));
      await store.keys.revoke(keyIdOf(2), REVOKED, [ADA]);
      const userId = 'issuer|ada';
      assert.deepEqual(ids(await store.keys.list({ userId }, ALL, SYSTEM_SCOPE)), [1, 3].map(keyIdOf));
      assert.deepEqual(ids(await store.keys.list({ userId }, ALL, [ADA])), [keyIdOf(1)]);
      assert.deepEqual(ids(await store.keys.list({ userId, includeRevoked: true }, ALL, [ADA])), [1, 2].map(keyIdOf));
      assert.deepEqual(ids(await store.keys.list({ userId, kind: 'device' }, ALL, SYSTEM_SCOPE)), []);
      assert.deepEqual(ids(await store.keys.list({ userId, deviceId: idOf(1) }, ALL, SYSTEM_SCOPE)), []);
      assert.deepEqual(ids(await store.keys.list({ userId: 'issuer' }, ALL, SYSTEM_SCOPE)), []);
      for (const caller of [[], [ACME]]) assert.deepEqual(ids(await store.keys.list({ userId }, ALL, caller)), []);
    },
  },
  {
    name: 'keys: revoked ones are listed only when asked for',
    async run({ store }) {
      for (const n of [1, 2]) await store.keys.insert(sampleKey(n));
      await store.keys.revoke(keyIdOf(1), REVOKED, [ADA]);
      for (const caller of [[ADA], SYSTEM_SCOPE] as const) {
        assert.deepEqual(ids(await store.keys.list({}, ALL, caller)), [keyIdOf(2)]);
        assert.deepEqual(ids(await store.keys.list({ includeRevoked: false }, ALL, caller)), [keyIdOf(2)]);
        assert.deepEqual(ids(await store.keys.list({ includeRevoked: true }, ALL, caller)), [1, 2].map(keyIdOf));
      }
    },
  },
  {
    name: 'keys: the time of last use is set and never moves back',
    async run({ store }) {
      await store.keys.insert(sampleKey(1));
      await store.keys.touch(keyIdOf(1), NOON + 10);
      await store.keys.touch(keyIdOf(1), NOON + 5);
      assert.equal((await store.keys.get(keyIdOf(1), [ADA]))?.lastUsedAt, NOON + 10);
      await store.keys.touch(keyIdOf(1), NOON + 11);
      assert.equal((await store.keys.get(keyIdOf(1), [ADA]))?.lastUsedAt, NOON + 11);
    },
  },
  {
    name: 'keys: each spending takes one use, until none is left',
    async run({ store }) {
      await store.keys.insert(sampleKey(1, { kind: 'enrolment', remaining: 2 }));
      assert.deepEqual([await store.keys.spend(keyIdOf(1)), (await store.keys.get(keyIdOf(1), [ADA]))?.remaining], [true, 1]);
      assert.deepEqual([await store.keys.spend(keyIdOf(1)), (await store.keys.get(keyIdOf(1), [ADA]))?.remaining], [true, 0]);
      assert.deepEqual([await store.keys.spend(keyIdOf(1)), (await store.keys.get(keyIdOf(1), [ADA]))?.remaining], [false, 0]);
    },
  },
  {
    name: 'keys: one without a limit can always be spent and gets none',
    async run({ store }) {
      await store.keys.insert(sampleKey(1, { kind: 'enrolment' }));
      for (let n = 0; n < 3; n += 1) assert.equal(await store.keys.spend(keyIdOf(1)), true);
      assert.equal((await store.keys.get(keyIdOf(1), [ADA]))?.remaining, undefined);
    },
  },
  {
    name: 'keys: one that is revoked, unknown or not for enrolling has no use to spend',
    async run({ store }) {
      for (const n of [1, 2]) await store.keys.insert(sampleKey(n, { kind: 'enrolment', ...(n === 1 && { remaining: 5 }) }));
      for (const n of [1, 2]) await store.keys.revoke(keyIdOf(n), REVOKED, [ADA]);
      await store.keys.insert(sampleKey(3));
      for (const n of [1, 2, 3, 4]) assert.equal(await store.keys.spend(keyIdOf(n)), false);
      assert.equal((await store.keys.get(keyIdOf(1), [ADA]))?.remaining, 5);
    },
  },
  {
    name: 'keys: of twenty that want the last uses at one time only as many win as are left',
    async run({ store }) {
      for (const remaining of [1, 5]) {
        await store.keys.insert(sampleKey(remaining, { kind: 'enrolment', remaining }));
        const outcomes = await race(20, () => store.keys.spend(keyIdOf(remaining)));
        assert.deepEqual([count(outcomes, true), count(outcomes, false)], [remaining, 20 - remaining]);
        assert.equal((await store.keys.get(keyIdOf(remaining), [ADA]))?.remaining, 0);
      }
    },
  },
  {
    name: 'keys: revoking one marks it and leaves a revocation',
    async run({ store }) {
      for (const n of [1, 2]) await store.keys.insert(sampleKey(n));
      assert.equal(await store.keys.revoke(keyIdOf(1), REVOKED, [ADA]), true);
      assert.equal((await store.keys.get(keyIdOf(1), [ADA]))?.revokedAt, REVOKED.at);
      assert.deepStrictEqual(await store.keys.get(keyIdOf(2), [ADA]), sampleKey(2));
      assert.deepStrictEqual(await store.revocations.listAfter(0), [{ ...REVOKED, number: 1, kind: 'key', id: keyIdOf(1) }]);
    },
  },
  {
    name: 'keys: revoking one the caller may not see answers false and changes nothing',
    async run({ store }) {
      await store.keys.insert(sampleKey(1));
      for (const caller of [[BOB], []]) assert.equal(await store.keys.revoke(keyIdOf(1), REVOKED, caller), false);
      assert.equal(await store.keys.revoke(keyIdOf(2), REVOKED, SYSTEM_SCOPE), false);
      assert.deepStrictEqual(await store.keys.get(keyIdOf(1), [ADA]), sampleKey(1));
      assert.equal(await store.revocations.last(), 0);
    },
  },
  {
    name: 'keys: one is revoked once, also by many at one time, with one revocation',
    async run({ store }) {
      await store.keys.insert(sampleKey(1));
      const outcomes = await race(20, (n) => store.keys.revoke(keyIdOf(1), { ...REVOKED, at: NOON + n }, [ADA]));
      assert.deepEqual([count(outcomes, true), count(outcomes, false)], [1, 19]);
      assert.equal(await store.keys.revoke(keyIdOf(1), REVOKED, [ADA]), false);
      const revocations = await store.revocations.listAfter(0);
      assert.deepEqual(
        revocations.map(({ at }) => at),
        [(await store.keys.get(keyIdOf(1), [ADA]))?.revokedAt],
      );
    },
  },
  {
    name: 'keys: the older keys of a device are revoked without a revocation, the kept one, newer ones and those of others stay',
    async run({ store }) {
      for (const n of [1, 2, 4, 6]) await store.keys.insert(sampleKey(n, { kind: 'device', deviceId: idOf(1) }));
      await store.keys.insert(sampleKey(3, { kind: 'device', deviceId: idOf(2) }));
      await store.keys.insert(sampleKey(5));
      await store.keys.revoke(keyIdOf(1), REVOKED, [ADA]);
      await store.keys.revokeOlderOfDevice(idOf(1), keyIdOf(4), NOON + 20);
      const revokedAt = await Promise.all([1, 2, 3, 4, 5, 6].map(async (n) => (await store.keys.get(keyIdOf(n), [ADA]))?.revokedAt));
      assert.deepEqual(revokedAt, [REVOKED.at, NOON + 20, undefined, undefined, undefined, undefined]);
      assert.equal(await store.revocations.last(), 1);
    },
  },
];
