import assert from 'node:assert/strict';
import type { Caller, Device, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { rejectsWith } from './expectations.ts';
import { ACME, ADA, BOB, idOf, keyIdOf, NOON, sampleDevice, sampleKey, sampleRegistration, sampleSession, sampleShare } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const GONE = { at: NOON, code: 'access_ended', message: 'The access has ended.' };

async function names(store: Store, filter: Parameters<Store['devices']['list']>[0], caller: Caller): Promise<string[]> {
  return (await store.devices.list(filter, ALL, caller)).items.map(({ name }) => name);
}

/** Promises of what shares and owners show. */
export const shareCases: readonly StoreCase[] = [
  {
    name: 'shares: they are read back as they were given, and replaced by an update',
    async run({ store }) {
      const shares = [sampleShare(BOB, { role: 'viewer', streams: ['shell'], until: NOON + 5 }), sampleShare(ACME, { streams: [] })];
      await store.devices.insert(sampleDevice(1, { shares }));
      assert.deepStrictEqual(await store.devices.get(idOf(1), [ADA]), sampleDevice(1, { shares }));
      const other = [sampleShare(ACME)];
      assert.deepStrictEqual((await store.devices.update(idOf(1), { shares: other }, 1, [ADA])).shares, other);
      assert.deepStrictEqual((await store.devices.update(idOf(1), { name: 'new' }, 2, [ADA])).shares, other);
      assert.deepStrictEqual(await store.devices.get(idOf(1), [ACME]), sampleDevice(1, { name: 'new', shares: other, revision: 3 }));
    },
  },
  {
    name: 'shares: a device is got, listed, changed and removed by who holds a scope it is shared with, and by nobody else',
    async run({ store }) {
      for (const n of [1, 2]) await store.devices.insert(sampleDevice(n, { shares: n === 1 ? [sampleShare(BOB)] : [] }));
      const device = sampleDevice(1, { shares: [sampleShare(BOB)] });
      for (const caller of [[BOB], [ACME, BOB], [ADA]]) assert.deepStrictEqual(await store.devices.get(idOf(1), caller), device);
      assert.deepStrictEqual((await store.devices.list({}, ALL, [BOB])).items, [device]);
      for (const caller of [[ACME], []]) {
        assert.equal(await store.devices.get(idOf(1), caller), null);
        assert.deepEqual(await names(store, {}, caller), []);
        await rejectsWith(store.devices.update(idOf(1), { name: 'mine' }, 1, caller), 'not_found');
        assert.equal(await store.devices.remove(idOf(1), GONE, caller), false);
      }
      await rejectsWith(store.devices.update(idOf(2), { name: 'mine' }, 1, [BOB]), 'not_found');
      assert.equal(await store.devices.remove(idOf(2), GONE, [BOB]), false);
      assert.equal((await store.devices.update(idOf(1), { name: 'new' }, 1, [BOB])).name, 'new');
      assert.equal(await store.devices.remove(idOf(1), GONE, [BOB]), true);
      assert.deepEqual(await names(store, {}, SYSTEM_SCOPE), ['device 2']);
    },
  },
  {
    name: 'shares: one whose end has passed still shows the device',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB, { until: 1 })] }));
      assert.equal((await store.devices.get(idOf(1), [BOB]))?.name, 'device 1');
      assert.deepEqual(await names(store, {}, [BOB]), ['device 1']);
    },
  },
  {
    name: 'shares: a device that is reached in several ways is listed once',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB), sampleShare(ACME)] }));
      await store.devices.insert(sampleDevice(2, { owner: BOB, shares: [sampleShare(ADA), sampleShare(ACME)] }));
      for (const filter of [{}, { idPrefix: '00' }]) {
        for (const caller of [[ADA, BOB, ACME], [BOB, ACME], [ACME, ADA], [ACME]]) {
          assert.deepEqual(await names(store, filter, caller), ['device 1', 'device 2']);
        }
      }
      assert.deepEqual(await names(store, { name: 'device 1' }, [ADA, BOB, ACME]), ['device 1']);
      assert.deepEqual(await names(store, { owner: ADA }, [ADA, BOB, ACME]), ['device 1']);
    },
  },
  {
    name: 'shares: one that is taken back shows the device no more, by whatever filter',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB), sampleShare(ACME)] }));
      assert.equal((await store.devices.get(idOf(1), [BOB]))?.name, 'device 1');
      await store.devices.update(idOf(1), { shares: [sampleShare(ACME)] }, 1, [ADA]);
      assert.equal(await store.devices.get(idOf(1), [BOB]), null);
      for (const filter of [{}, { name: 'device 1' }, { idPrefix: '0' }, { owner: ADA }]) {
        assert.deepEqual(await names(store, filter, [BOB]), []);
        assert.deepEqual(await names(store, filter, [ACME]), ['device 1']);
      }
    },
  },
  {
    name: 'shares: shared devices are found by name, by the beginning of the id and by owner as they are now',
    async run({ store }) {
      for (const n of [1, 2]) await store.devices.insert(sampleDevice(n, { shares: [sampleShare(BOB)] }));
      await store.devices.insert(sampleDevice(3));
      await store.devices.insert(sampleDevice(4, { owner: BOB }));
      assert.deepEqual(await names(store, { name: 'device 1' }, [BOB]), ['device 1']);
      assert.deepEqual(await names(store, { name: 'device 3' }, [BOB]), []);
      assert.deepEqual(await names(store, { idPrefix: idOf(2) }, [BOB]), ['device 2']);
      assert.deepEqual(await names(store, { owner: ADA }, [BOB]), ['device 1', 'device 2']);
      assert.deepEqual(await names(store, { owner: BOB }, [BOB]), ['device 4']);
      await store.devices.update(idOf(1), { name: 'new', owner: ACME }, 1, [ADA]);
      assert.deepEqual(await names(store, { name: 'device 1' }, [BOB]), []);
      assert.deepEqual(await names(store, { name: 'new' }, [BOB]), ['new']);
      assert.deepEqual(await names(store, { owner: ADA }, [BOB]), ['device 2']);
      assert.deepEqual(await names(store, { owner: ACME, name: 'new', idPrefix: '0' }, [BOB]), ['new']);
      assert.deepEqual(await names(store, { owner: ADA, name: 'new' }, [BOB]), []);
    },
  },
  {
    name: 'shares: a change with a notice leaves a revocation of the kind access, all or nothing',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB)] }));
      await rejectsWith(store.devices.update(idOf(1), { shares: [] }, 2, [ADA], GONE), 'store_conflict');
      await rejectsWith(store.devices.update(idOf(1), { shares: [] }, 1, [ACME], GONE), 'not_found');
      assert.equal(await store.revocations.last(), 0);
      await store.devices.update(idOf(1), { name: 'new' }, 1, [ADA]);
      assert.equal(await store.revocations.last(), 0);
      await store.devices.update(idOf(1), { shares: [] }, 2, [ADA], GONE);
      assert.deepStrictEqual(await store.revocations.listAfter(0), [{ ...GONE, number: 1, kind: 'access', id: idOf(1) }]);
    },
  },
  {
    name: 'shares: a new owner gets the keys, the waiting requests and the open sessions of the device, and nothing of others',
    async run({ store }) {
      for (const n of [1, 2]) {
        await store.devices.insert(sampleDevice(n));
        await store.keys.insert(sampleKey(n, { kind: 'device', deviceId: idOf(n) }));
        await store.registrations.insert(sampleRegistration(n));
        await store.sessions.insert(sampleSession(n));
      }
      await store.devices.update(idOf(1), { owner: BOB }, 1, [ADA], GONE);
      assert.deepEqual(await ownersOf(store, 1), [BOB, BOB, BOB, BOB]);
      assert.deepEqual(await ownersOf(store, 2), [ADA, ADA, ADA, ADA]);
      assert.equal(await store.keys.get(keyIdOf(1), [ADA]), null);
      assert.deepEqual((await store.sessions.list({}, ALL, [BOB])).items.length, 1);
      assert.deepEqual((await store.registrations.listPending({ now: NOON }, ALL, [ADA])).items.length, 1);
    },
  },
  {
    name: 'shares: devices with ended ones are found from the millisecond of the end on, at most 100',
    async run({ store }) {
      const ended = (device: readonly Device[]) => device.map(({ name }) => name).sort();
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB, { until: NOON }), sampleShare(ACME, { until: NOON - 1 })] }));
      await store.devices.insert(sampleDevice(2, { shares: [sampleShare(BOB), sampleShare(ACME, { until: NOON + 1 })] }));
      await store.devices.insert(sampleDevice(3));
      assert.deepEqual(ended(await store.devices.listWithEndedShares(NOON - 2)), []);
      assert.deepStrictEqual(await store.devices.listWithEndedShares(NOON), [await store.devices.get(idOf(1), [ADA])]);
      assert.deepEqual(ended(await store.devices.listWithEndedShares(NOON + 1)), ['device 1', 'device 2']);
      const many = Array.from({ length: 120 }, (_, n) => sampleDevice(n + 10, { shares: [sampleShare(BOB, { until: NOON })] }));
      await Promise.all(many.map((device) => store.devices.insert(device)));
      assert.ok((await store.devices.listWithEndedShares(NOON)).length <= 100);
      await store.devices.update(idOf(1), { shares: [] }, 1, [ADA]);
      const found = (await store.devices.listWithEndedShares(NOON)).map(({ id }) => id);
      assert.ok(found.length > 0 && !found.includes(idOf(1)));
    },
  },
  {
    name: 'shares: those of a device that is removed are gone, also when one with its id comes',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1, { shares: [sampleShare(BOB, { until: 1 })] }));
      await store.devices.remove(idOf(1), GONE, [ADA]);
      assert.deepEqual(await store.devices.listWithEndedShares(NOON), []);
      await store.devices.insert(sampleDevice(1));
      assert.equal(await store.devices.get(idOf(1), [BOB]), null);
      assert.deepEqual(await names(store, {}, [BOB]), []);
    },
  },
];

/** Owners of the n-th device, key, request and session. */
async function ownersOf(store: Store, n: number): Promise<unknown[]> {
  const found = await Promise.all([
    store.devices.get(idOf(n), SYSTEM_SCOPE),
    store.keys.get(keyIdOf(n), SYSTEM_SCOPE),
    store.registrations.get(idOf(n), SYSTEM_SCOPE),
    store.sessions.get(idOf(n), SYSTEM_SCOPE),
  ]);
  return found.map((item) => item?.owner);
}
