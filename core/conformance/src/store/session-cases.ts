import assert from 'node:assert/strict';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { count, race } from './expectations.ts';
import { ACME, ADA, BOB, idOf, sampleDevice, sampleSession, sampleShare } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const ids = (page: { readonly items: readonly { readonly id: string }[] }) => page.items.map(({ id }) => id);

/** Promises of the open sessions. */
export const sessionCases: readonly StoreCase[] = [
  {
    name: 'sessions: one is read back as it was inserted',
    async run({ store }) {
      assert.equal(await store.sessions.insert(sampleSession(1)), true);
      assert.deepStrictEqual(await store.sessions.get(idOf(1), [ADA]), sampleSession(1));
    },
  },
  {
    name: 'sessions: one outside the scopes of the caller is answered like one that does not exist',
    async run({ store }) {
      await store.sessions.insert(sampleSession(1));
      for (const caller of [[BOB], []]) assert.equal(await store.sessions.get(idOf(1), caller), null);
      for (const caller of [[BOB, ADA], SYSTEM_SCOPE] as const) {
        assert.deepStrictEqual(await store.sessions.get(idOf(1), caller), sampleSession(1));
      }
      assert.equal(await store.sessions.get(idOf(2), SYSTEM_SCOPE), null);
    },
  },
  {
    name: 'sessions: an id that exists is not inserted again, and nothing is changed',
    async run({ store }) {
      await store.sessions.insert(sampleSession(1));
      assert.equal(await store.sessions.insert(sampleSession(1, { owner: BOB })), false);
      assert.deepStrictEqual(await store.sessions.get(idOf(1), SYSTEM_SCOPE), sampleSession(1));
    },
  },
  {
    name: 'sessions: a list shows what the caller may see, of one device where asked, in the order of the ids',
    async run({ store }) {
      for (const [n, owner] of [
        [4, ACME],
        [3, ADA],
        [2, BOB],
        [1, ACME],
      ] as const) {
        await store.sessions.insert(sampleSession(n, { owner, deviceId: idOf(n < 3 ? 8 : 9) }));
      }
      assert.deepEqual(ids(await store.sessions.list({}, ALL, SYSTEM_SCOPE)), [idOf(1), idOf(2), idOf(3), idOf(4)]);
      assert.deepEqual(ids(await store.sessions.list({}, ALL, [ACME, ADA])), [idOf(1), idOf(3), idOf(4)]);
      assert.deepEqual(ids(await store.sessions.list({}, ALL, [])), []);
      assert.deepEqual(ids(await store.sessions.list({ deviceId: idOf(8) }, ALL, SYSTEM_SCOPE)), [idOf(1), idOf(2)]);
      assert.deepEqual(ids(await store.sessions.list({ deviceId: idOf(8) }, ALL, [ACME])), [idOf(1)]);
    },
  },
  {
    name: 'sessions: those of a device are seen by whom it is shared with as long as it is, each once',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB), sampleShare(ACME, { until: 1 })] }));
      await store.devices.insert(sampleDevice(2));
      for (const [n, device] of [
        [1, 1],
        [2, 2],
        [3, 1],
      ] as const) {
        await store.sessions.insert(sampleSession(n, { deviceId: idOf(device) }));
      }
      for (const caller of [[BOB], [ACME], [ACME, BOB]]) {
        assert.deepEqual(ids(await store.sessions.list({}, ALL, caller)), [idOf(1), idOf(3)]);
        assert.deepEqual(ids(await store.sessions.list({ deviceId: idOf(1) }, ALL, caller)), [idOf(1), idOf(3)]);
        assert.deepEqual(ids(await store.sessions.list({ deviceId: idOf(2) }, ALL, caller)), []);
        assert.deepStrictEqual(await store.sessions.get(idOf(1), caller), sampleSession(1));
        assert.equal(await store.sessions.get(idOf(2), caller), null);
      }
      assert.deepEqual(ids(await store.sessions.list({}, ALL, [BOB, ADA])), [idOf(1), idOf(2), idOf(3)]);
      await store.devices.update(idOf(1), { shares: [] }, 1, [ADA]);
      assert.deepEqual(ids(await store.sessions.list({}, ALL, [BOB])), []);
      assert.equal(await store.sessions.get(idOf(1), [BOB]), null);
    },
  },
  {
    name: 'sessions: one is forgotten once, also by many at one time',
    async run({ store }) {
      for (const n of [1, 2]) await store.sessions.insert(sampleSession(n));
      assert.equal(count(await race(20, () => store.sessions.remove(idOf(1))), true), 1);
      assert.equal(await store.sessions.remove(idOf(1)), false);
      assert.equal(await store.sessions.get(idOf(1), SYSTEM_SCOPE), null);
      assert.deepStrictEqual(await store.sessions.get(idOf(2), [ADA]), sampleSession(2));
    },
  },
];
