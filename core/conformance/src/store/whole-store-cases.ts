import assert from 'node:assert/strict';
import type { DeviceFacts, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { count, race } from './expectations.ts';
import {
  ACME,
  ACME_ID,
  ADA,
  BOB,
  idOf,
  keyIdOf,
  NOON,
  plain,
  sampleDevice,
  sampleKey,
  sampleLogin,
  sampleMembership,
  sampleOrganisation,
  sampleRecords,
  sampleRegistration,
  sampleSecret,
  sampleSession,
  sampleShare,
} from './samples.ts';
import type { StoreCase } from './store-case.ts';

const TEXTS = [
  '',
  ' leading and trailing ',
  `it's "quoted" \\ and; -- DROP TABLE device`,
  'a\0b',
  '\u0001\u001b[31m\r\n\t',
  'Grüße, мир, 世界',
  '👩‍👩‍👧‍👦',
  'e\u0301 is not \u00e9',
  '%_*?[a-z]$where{"$gt":""}',
  '__proto__',
];
const REVOKED = { at: NOON, code: 'key_revoked', message: 'gone' };

/** Promises that hold for the store as a whole. */
export const wholeStoreCases: readonly StoreCase[] = [
  {
    name: 'store: it answers a ping',
    async run({ store }) {
      assert.deepEqual(await race(1, () => store.ping()), [undefined]);
    },
  },
  {
    name: 'store: what was acknowledged is there after it is opened again',
    async run(handle) {
      const before = await fill(handle.store);
      const store = await handle.reopen();
      assert.deepStrictEqual(await everything(store), before);
      await store.audit.append(sampleRecords(plain(1), await store.audit.head()));
      await store.keys.revoke(keyIdOf(1), REVOKED, [ADA]);
      assert.equal(await store.revocations.last(), 5);
    },
  },
  {
    name: 'store: text comes back as it was given, whatever is in it',
    async run({ store }) {
      for (const [n, text] of TEXTS.entries()) {
        const device = sampleDevice(n, { name: text, enrolledBy: text, facts: factsOf(text) });
        await store.devices.insert(device);
        assert.deepStrictEqual(await store.devices.get(device.id, [ADA]), device);
        assert.deepStrictEqual((await store.devices.list({ name: text }, { limit: 5 }, [ADA])).items, [device]);
        assert.equal(await store.meta.compareAndSet(`name ${text}`, null, text), true);
        assert.equal(await store.meta.get(`name ${text}`), text);
        const records = sampleRecords(
          [{ actor: { kind: 'user', id: text, label: text }, detail: { [text]: text } }],
          await store.audit.head(),
        );
        const secret = sampleSecret(n, { sealed: text, keyId: text, createdBy: text, updatedBy: text });
        await store.secrets.insert(secret);
        assert.deepStrictEqual(await store.secrets.get(ADA, secret.name, [ADA]), secret);
        await store.audit.append(records);
        assert.deepStrictEqual((await store.audit.list({ actor: text }, 'ascending', { limit: 5 }, [ADA])).items, records);
      }
    },
  },
  {
    name: 'store: large values are kept whole',
    async run({ store }) {
      const large = 'ü'.repeat(500_000);
      await store.meta.compareAndSet('large', null, large);
      assert.equal((await store.meta.get('large')) === large, true);
      const records = sampleRecords([{ detail: { argv: [large] } }]);
      await store.audit.append(records);
      const { items } = await store.audit.list({}, 'ascending', { limit: 1 }, [ADA]);
      assert.equal(JSON.stringify(items) === JSON.stringify(records), true);
    },
  },
  {
    name: 'store: calls that fail leave nothing and do not touch those made beside them',
    async run({ store }) {
      await store.devices.insert(sampleDevice(0));
      const calls = await race(40, async (n) => {
        if (n % 4 === 1) return store.devices.update(idOf(0), { name: 'late' }, 9, [ADA]);
        if (n % 4 === 2) return store.audit.append(sampleRecords(plain(3)).slice(1));
        if (n % 4 === 3) return store.registrations.decide(idOf(9), { state: 'approved', decidedAt: 1, decidedBy: 'ada' }, [ADA]);
        return store.devices.insert(sampleDevice(n + 1));
      });
      assert.deepEqual([count(calls, true), count(calls, 'store_conflict'), count(calls, 'not_found')], [10, 20, 10]);
      const { items } = await store.devices.list({}, { limit: 500 }, [ADA]);
      assert.deepEqual(
        items.map(({ name }) => name),
        [0, 1, 5, 9, 13, 17, 21, 25, 29, 33, 37].map((n) => `device ${n}`),
      );
      assert.equal(await store.audit.head(), null);
    },
  },
  {
    name: 'two stores on one data: what one acknowledged the other sees',
    needsSecond: true,
    async run(handle) {
      const first = handle.store;
      const second = await handle.second!();
      await first.devices.insert(sampleDevice(1));
      assert.deepStrictEqual(await second.devices.get(idOf(1), [ADA]), sampleDevice(1));
      await second.keys.insert(sampleKey(1));
      await second.keys.revoke(keyIdOf(1), REVOKED, [ADA]);
      assert.equal(await first.revocations.last(), 1);
      assert.equal((await first.keys.get(keyIdOf(1), [ADA]))?.revokedAt, NOON);
    },
  },
  {
    name: 'two stores on one data: a race between them has exactly one winner',
    needsSecond: true,
    async run(handle) {
      const stores = [handle.store, await handle.second!()];
      const on = (n: number) => stores[n % 2]!;
      await on(0).registrations.insert(sampleRegistration(1));
      const decided = await race(20, (n) =>
        on(n).registrations.decide(idOf(1), { state: 'approved', decidedAt: NOON, decidedBy: `admin ${n}` }, [ADA]),
      );
      assert.equal(count(decided, null), 19);
      await on(1).keys.insert(sampleKey(1, { kind: 'enrolment', remaining: 3 }));
      assert.equal(count(await race(20, (n) => on(n).keys.spend(keyIdOf(1))), true), 3);
      const appended = await race(20, (n) => on(n).audit.append(sampleRecords([{ action: `try.${n}` }])));
      assert.deepEqual([count(appended, undefined), count(appended, 'store_conflict')], [1, 19]);
      await on(0).users.note(sampleLogin(1));
      assert.equal(count(await race(20, (n) => on(n).users.disable(sampleLogin(1).id, 'ada', REVOKED)), true), 1);
      await on(1).organisations.insert(sampleOrganisation());
      for (const n of [0, 1]) await on(n).organisations.setMember(sampleMembership(n, { role: 'admin' }), [ACME]);
      const left = await race(2, (n) => on(n).organisations.removeMember(ACME_ID, sampleMembership(n).email, REVOKED, [ACME]));
      assert.deepEqual(left.toSorted(), ['done', 'last_admin']);
      await on(0).secrets.insert(sampleSecret(1));
      const sealed = await race(20, (n) => on(n).secrets.update(ADA, sampleSecret(1).name, { sealed: `${n}`, keyId: 'x' }, 1, [ADA]));
      assert.equal(count(sealed, 'store_conflict'), 19);
      assert.equal(count(await race(20, (n) => on(n).meta.compareAndSet('name', null, `${n}`)), true), 1);
    },
  },
  {
    name: 'two stores on one data: both write at one time and nothing is lost',
    needsSecond: true,
    async run(handle) {
      const stores = [handle.store, await handle.second!()];
      const inserted = await race(200, (n) => stores[n % 2]!.devices.insert(sampleDevice(n)));
      assert.equal(count(inserted, true), 200);
      for (const store of stores) {
        const { items } = await store.devices.list({}, { limit: 500 }, SYSTEM_SCOPE);
        assert.deepEqual(
          items,
          Array.from({ length: 200 }, (_, n) => sampleDevice(n)),
        );
      }
    },
  },
];

async function fill(store: Store): Promise<unknown> {
  for (const n of [1, 2]) {
    await store.devices.insert(sampleDevice(n));
    await store.keys.insert(sampleKey(n));
    await store.registrations.insert(sampleRegistration(n));
    await store.sessions.insert(sampleSession(n));
    await store.secrets.insert(sampleSecret(n));
  }
  await store.secrets.update(ADA, sampleSecret(1).name, { sealed: 'v1.second', keyId: 'second' }, 1, [ADA]);
  await store.devices.update(idOf(1), { name: 'renamed' }, 1, [ADA]);
  await store.keys.revoke(keyIdOf(2), REVOKED, [ADA]);
  await store.registrations.decide(idOf(1), { state: 'approved', decidedAt: NOON, decidedBy: 'ada' }, [ADA]);
  await store.sessions.remove(idOf(2));
  await fillPeople(store);
  await store.audit.append(sampleRecords(plain(3)));
  await store.meta.compareAndSet('relay', null, 'id');
  return everything(store);
}

async function fillPeople(store: Store): Promise<void> {
  await store.devices.update(idOf(1), { shares: [sampleShare(BOB, { streams: ['shell'], until: NOON })] }, 2, [ADA]);
  for (const n of [1, 2]) await store.users.note(sampleLogin(n));
  await store.users.disable(sampleLogin(2).id, 'ada', REVOKED);
  for (const id of [ACME_ID, 'gone' as typeof ACME_ID]) await store.organisations.insert(sampleOrganisation({ id }));
  for (const n of [1, 2]) await store.organisations.setMember(sampleMembership(n), [ACME]);
  await store.organisations.removeMember(ACME_ID, sampleMembership(2).email, REVOKED, [ACME]);
  await store.organisations.delete('gone' as typeof ACME_ID, REVOKED, SYSTEM_SCOPE);
}

async function everything(store: Store): Promise<unknown> {
  const page = { limit: 500 };
  return {
    devices: await store.devices.list({}, page, SYSTEM_SCOPE),
    shared: await store.devices.list({}, page, [BOB]),
    users: await store.users.list({}, page),
    organisations: await Promise.all([ACME_ID, 'gone' as typeof ACME_ID].map((id) => store.organisations.get(id, SYSTEM_SCOPE))),
    members: await store.organisations.listMembers(ACME_ID, page, SYSTEM_SCOPE),
    secrets: await store.secrets.list({}, page, SYSTEM_SCOPE),
    keys: await store.keys.list({ includeRevoked: true }, page, SYSTEM_SCOPE),
    registrations: await Promise.all([1, 2].map((n) => store.registrations.get(idOf(n), SYSTEM_SCOPE))),
    sessions: await store.sessions.list({}, page, SYSTEM_SCOPE),
    audit: await store.audit.list({}, 'ascending', page, SYSTEM_SCOPE),
    head: await store.audit.head(),
    revocations: await store.revocations.listAfter(0),
    meta: await store.meta.get('relay'),
  };
}

function factsOf(text: string): DeviceFacts {
  return { hostname: text, platform: text, arch: text, version: text };
}
