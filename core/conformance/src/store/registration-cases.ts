import assert from 'node:assert/strict';
import type { Registration, RegistrationDecision } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { race, rejectsWith } from './expectations.ts';
import { ACME, ADA, BOB, idOf, NOON, sampleRegistration } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const HOUR = 3_600_000;
const APPROVAL: RegistrationDecision = { state: 'approved', decidedAt: NOON + 50, decidedBy: 'issuer|ada' };
const REJECTION: RegistrationDecision = { state: 'rejected', decidedAt: NOON + 60, decidedBy: 'issuer|bob', reason: 'unknown machine' };
const ids = (page: { readonly items: readonly Registration[] }) => page.items.map(({ id }) => id);

/** Promises of the requests to enrol. */
export const registrationCases: readonly StoreCase[] = [
  {
    name: 'registrations: one is read back as it was inserted, with revision 1',
    async run({ store }) {
      assert.equal(await store.registrations.insert({ ...sampleRegistration(1), revision: 5 }), true);
      assert.deepStrictEqual(await store.registrations.get(idOf(1), [ADA]), sampleRegistration(1));
      const decided = sampleRegistration(2, REJECTION);
      await store.registrations.insert(decided);
      assert.deepStrictEqual(await store.registrations.get(idOf(2), [ADA]), decided);
    },
  },
  {
    name: 'registrations: one outside the scopes of the caller is answered like one that does not exist',
    async run({ store }) {
      await store.registrations.insert(sampleRegistration(1));
      for (const caller of [[BOB], []]) assert.equal(await store.registrations.get(idOf(1), caller), null);
      for (const caller of [[BOB, ADA], SYSTEM_SCOPE] as const) {
        assert.deepStrictEqual(await store.registrations.get(idOf(1), caller), sampleRegistration(1));
      }
      assert.equal(await store.registrations.get(idOf(2), SYSTEM_SCOPE), null);
    },
  },
  {
    name: 'registrations: an id that exists is not inserted again, and nothing is changed',
    async run({ store }) {
      await store.registrations.insert(sampleRegistration(1));
      assert.equal(await store.registrations.insert(sampleRegistration(1, { publicKey: 'of a thief', owner: BOB })), false);
      assert.deepStrictEqual(await store.registrations.get(idOf(1), SYSTEM_SCOPE), sampleRegistration(1));
    },
  },
  {
    name: 'registrations: the pending list holds those that wait and have not expired, oldest first',
    async run({ store }) {
      await store.registrations.insert(sampleRegistration(1, { createdAt: NOON + 30 }));
      await store.registrations.insert(sampleRegistration(2, { createdAt: NOON + 10 }));
      await store.registrations.insert(sampleRegistration(3, { createdAt: NOON + 20 }));
      await store.registrations.insert(sampleRegistration(4, { expiresAt: NOON + 100 }));
      for (const n of [5, 6]) await store.registrations.insert(sampleRegistration(n));
      await store.registrations.decide(idOf(5), APPROVAL, [ADA]);
      await store.registrations.decide(idOf(6), REJECTION, [ADA]);
      assert.deepEqual(ids(await store.registrations.listPending({ now: NOON + 100 }, ALL, [ADA])), [idOf(2), idOf(3), idOf(1)]);
      assert.deepEqual(ids(await store.registrations.listPending({ now: NOON + 99 }, ALL, SYSTEM_SCOPE)), [
        idOf(4),
        idOf(2),
        idOf(3),
        idOf(1),
      ]);
    },
  },
  {
    name: 'registrations: the pending list shows what the caller may see, of one owner where asked',
    async run({ store }) {
      for (const [n, owner] of [
        [1, ADA],
        [2, BOB],
        [3, ACME],
      ] as const)
        await store.registrations.insert(sampleRegistration(n, { owner }));
      const list = async (caller: Parameters<typeof store.registrations.get>[1], owner?: typeof ADA) =>
        ids(await store.registrations.listPending({ now: NOON, ...(owner && { owner }) }, ALL, caller));
      assert.deepEqual(await list(SYSTEM_SCOPE), [idOf(1), idOf(2), idOf(3)]);
      assert.deepEqual(await list([ACME, ADA]), [idOf(1), idOf(3)]);
      assert.deepEqual(await list([]), []);
      assert.deepEqual(await list(SYSTEM_SCOPE, BOB), [idOf(2)]);
      assert.deepEqual(await list([ADA, ACME], ACME), [idOf(3)]);
      assert.deepEqual(await list([ADA], BOB), []);
    },
  },
  {
    name: 'registrations: the newest of a device that has not expired is found, whatever its state',
    async run({ store }) {
      const ofDevice = { deviceId: sampleRegistration(9).deviceId };
      await store.registrations.insert(sampleRegistration(3, { ...ofDevice, createdAt: NOON, expiresAt: NOON + HOUR }));
      await store.registrations.insert(sampleRegistration(2, { ...ofDevice, createdAt: NOON + 10, expiresAt: NOON + 200 }));
      await store.registrations.insert(sampleRegistration(1, { createdAt: NOON + 20 }));
      await store.registrations.decide(idOf(2), REJECTION, [ADA]);
      const find = async (now: number) => (await store.registrations.findByDevice(ofDevice.deviceId, now))?.id;
      assert.equal(await find(NOON + 199), idOf(2));
      assert.equal(await find(NOON + 200), idOf(3));
      assert.equal(await find(NOON + HOUR), undefined);
      assert.equal(await store.registrations.findByDevice(idOf(8), NOON), null);
    },
  },
  {
    name: 'registrations: those that wait are counted for an owner and for an address',
    async run({ store }) {
      for (const n of [1, 2, 3]) await store.registrations.insert(sampleRegistration(n, { address: n === 3 ? '192.0.2.9' : '192.0.2.1' }));
      await store.registrations.insert(sampleRegistration(4, { owner: BOB }));
      await store.registrations.insert(sampleRegistration(5, { expiresAt: NOON + 100 }));
      await store.registrations.insert(sampleRegistration(6));
      await store.registrations.decide(idOf(6), APPROVAL, [ADA]);
      assert.equal(await store.registrations.countPending({ owner: ADA }, NOON + 100), 3);
      assert.equal(await store.registrations.countPending({ owner: ADA }, NOON + 99), 4);
      assert.equal(await store.registrations.countPending({ address: '192.0.2.1' }, NOON + 100), 3);
      assert.equal(await store.registrations.countPending({ address: '192.0.2.9' }, NOON + 100), 1);
      assert.equal(await store.registrations.countPending({ owner: ACME }, NOON), 0);
    },
  },
  {
    name: 'registrations: a decision is stored and raises the revision',
    async run({ store }) {
      for (const n of [1, 2]) await store.registrations.insert(sampleRegistration(n));
      const approved = sampleRegistration(1, { ...APPROVAL, revision: 2 });
      assert.deepStrictEqual(await store.registrations.decide(idOf(1), APPROVAL, [ADA]), approved);
      assert.deepStrictEqual(await store.registrations.get(idOf(1), [ADA]), approved);
      const rejected = sampleRegistration(2, { ...REJECTION, revision: 2 });
      assert.deepStrictEqual(await store.registrations.decide(idOf(2), REJECTION, SYSTEM_SCOPE), rejected);
      assert.deepStrictEqual(await store.registrations.get(idOf(2), [ADA]), rejected);
    },
  },
  {
    name: 'registrations: one that was decided is not decided again',
    async run({ store }) {
      await store.registrations.insert(sampleRegistration(1));
      const decided = await store.registrations.decide(idOf(1), REJECTION, [ADA]);
      for (const decision of [APPROVAL, REJECTION]) assert.equal(await store.registrations.decide(idOf(1), decision, [ADA]), null);
      assert.deepStrictEqual(await store.registrations.get(idOf(1), [ADA]), decided);
    },
  },
  {
    name: 'registrations: deciding one the caller may not see is not_found, as of one that does not exist',
    async run({ store }) {
      await store.registrations.insert(sampleRegistration(1));
      for (const caller of [[BOB], []]) await rejectsWith(store.registrations.decide(idOf(1), APPROVAL, caller), 'not_found');
      await rejectsWith(store.registrations.decide(idOf(2), APPROVAL, SYSTEM_SCOPE), 'not_found');
      assert.deepStrictEqual(await store.registrations.get(idOf(1), [ADA]), sampleRegistration(1));
    },
  },
  {
    name: 'registrations: of twenty decisions at one time exactly one wins, and it is the one that stays',
    async run({ store }) {
      await store.registrations.insert(sampleRegistration(1));
      const decide = (n: number) =>
        store.registrations.decide(idOf(1), { ...(n % 2 ? APPROVAL : REJECTION), decidedBy: `admin ${n}` }, [ADA]);
      const winners = (await race(20, decide)).filter((outcome) => outcome !== null);
      assert.equal(winners.length, 1);
      assert.deepStrictEqual(await store.registrations.get(idOf(1), [ADA]), winners[0]);
    },
  },
  {
    name: 'registrations: expired ones are deleted and counted, the others stay',
    async run({ store }) {
      for (const [n, expiresAt] of [
        [1, NOON - 1],
        [2, NOON],
        [3, NOON + 1],
        [4, NOON - HOUR],
      ] as const) {
        await store.registrations.insert(sampleRegistration(n, { expiresAt }));
      }
      assert.equal(await store.registrations.deleteExpired(NOON), 2);
      const left = await Promise.all([1, 2, 3, 4].map(async (n) => (await store.registrations.get(idOf(n), [ADA])) !== null));
      assert.deepEqual(left, [false, true, true, false]);
      assert.equal(await store.registrations.deleteExpired(NOON), 0);
    },
  },
  {
    name: 'registrations: all of one device are deleted, those of others stay',
    async run({ store }) {
      for (const n of [1, 2, 3]) await store.registrations.insert(sampleRegistration(n, { deviceId: idOf(n === 3 ? 8 : 7) }));
      await store.registrations.decide(idOf(1), APPROVAL, [ADA]);
      await store.registrations.deleteForDevice(idOf(7));
      const left = await Promise.all([1, 2, 3].map(async (n) => (await store.registrations.get(idOf(n), SYSTEM_SCOPE)) !== null));
      assert.deepEqual(left, [false, false, true]);
    },
  },
];
