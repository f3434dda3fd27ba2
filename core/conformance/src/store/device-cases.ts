import assert from 'node:assert/strict';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { DeviceId } from '@towline/protocol';
import { count, race, rejectsWith } from './expectations.ts';
import { ACME, ADA, BOB, idOf, keyIdOf, NOON, sampleDevice, sampleKey } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const ALL = { limit: 500 };
const GONE = { at: NOON, code: 'device_removed', message: 'The device was removed.' };
const names = (page: { readonly items: readonly { readonly name: string }[] }) => page.items.map(({ name }) => name);

/** Promises of the devices. */
export const deviceCases: readonly StoreCase[] = [
  {
    name: 'devices: one is read back as it was inserted, with revision 1',
    async run({ store }) {
      const device = sampleDevice(1, { lastSeenAt: NOON, lastAddress: '192.0.2.7' });
      assert.equal(await store.devices.insert({ ...device, revision: 7 }), true);
      assert.deepStrictEqual(await store.devices.get(device.id, [ADA]), device);
      await store.devices.insert(sampleDevice(2));
      assert.deepStrictEqual(await store.devices.get(idOf(2), [ADA]), sampleDevice(2));
    },
  },
  {
    name: 'devices: one outside the scopes of the caller is answered like one that does not exist',
    async run({ store }) {
      const device = sampleDevice(1);
      await store.devices.insert(device);
      for (const caller of [[BOB], [], [BOB, ACME]]) assert.equal(await store.devices.get(device.id, caller), null);
      for (const caller of [[ADA], [BOB, ADA], [ADA, ADA], SYSTEM_SCOPE] as const) {
        assert.deepStrictEqual(await store.devices.get(device.id, caller), device);
      }
      assert.equal(await store.devices.get(idOf(2), SYSTEM_SCOPE), null);
    },
  },
  {
    name: 'devices: a list shows what the caller may see and nothing else, in the order of the ids',
    async run({ store }) {
      for (const [n, owner] of [
        [4, ACME],
        [3, ADA],
        [2, BOB],
        [1, ACME],
      ] as const)
        await store.devices.insert(sampleDevice(n, { owner }));
      assert.deepEqual(names(await store.devices.list({}, ALL, SYSTEM_SCOPE)), ['device 1', 'device 2', 'device 3', 'device 4']);
      assert.deepEqual(names(await store.devices.list({}, ALL, [ADA, ACME])), ['device 1', 'device 3', 'device 4']);
      assert.deepEqual(names(await store.devices.list({}, ALL, [ADA, ADA])), ['device 3']);
      assert.deepEqual(names(await store.devices.list({}, ALL, [])), []);
    },
  },
  {
    name: 'devices: an id that exists is not inserted again, and nothing is changed',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      assert.equal(await store.devices.insert(sampleDevice(1, { name: 'other', owner: BOB })), false);
      assert.deepStrictEqual(await store.devices.get(idOf(1), SYSTEM_SCOPE), sampleDevice(1));
    },
  },
  {
    name: 'devices: they are found by their exact name',
    async run({ store }) {
      const given = ['pi', 'Pi', 'pi ', 'p%', 'p_', `pi' OR '1'='1`, 'pi\0x', 'pí'];
      for (const [n, name] of given.entries()) await store.devices.insert(sampleDevice(n + 1, { name }));
      for (const name of given) {
        assert.deepEqual(names(await store.devices.list({ name }, ALL, [ADA])), [name]);
        assert.deepEqual(names(await store.devices.list({ name }, ALL, SYSTEM_SCOPE)), [name]);
      }
      assert.deepEqual(names(await store.devices.list({ name: 'pi' }, ALL, [BOB])), []);
    },
  },
  {
    name: 'devices: they are found by the beginning of their id, in which no character has a meaning of its own',
    async run({ store }) {
      const ids = ['aa00', 'aa01', 'ab00', 'a%00', 'a_00'].map((text) => text.padEnd(32, '0') as DeviceId);
      for (const [n, id] of ids.entries()) await store.devices.insert(sampleDevice(n + 1, { id, name: id.slice(0, 4) }));
      const find = async (idPrefix: string) => names(await store.devices.list({ idPrefix }, ALL, [ADA]));
      assert.deepEqual(await find('aa'), ['aa00', 'aa01']);
      assert.deepEqual(await find('a%'), ['a%00']);
      assert.deepEqual(await find('a_'), ['a_00']);
      assert.deepEqual(await find('a*'), []);
      assert.deepEqual(await find('00'), []);
      assert.equal((await find('')).length, 5);
      assert.deepEqual(await find(ids[0]!), ['aa00']);
    },
  },
  {
    name: 'devices: they are found by owner, within what the caller may see',
    async run({ store }) {
      for (const [n, owner] of [
        [1, ADA],
        [2, BOB],
        [3, ADA],
      ] as const)
        await store.devices.insert(sampleDevice(n, { owner }));
      assert.deepEqual(names(await store.devices.list({ owner: ADA }, ALL, SYSTEM_SCOPE)), ['device 1', 'device 3']);
      assert.deepEqual(names(await store.devices.list({ owner: BOB }, ALL, [ADA, BOB])), ['device 2']);
      assert.deepEqual(names(await store.devices.list({ owner: BOB }, ALL, [ADA])), []);
      assert.deepEqual(names(await store.devices.list({ owner: ADA, name: 'device 2' }, ALL, SYSTEM_SCOPE)), []);
    },
  },
  {
    name: 'devices: an update changes the named fields, keeps the others and raises the revision by one',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      const facts = { hostname: 'new', platform: 'darwin', arch: 'x64', version: '2.0.0' };
      const first = await store.devices.update(idOf(1), { name: 'new name', facts }, 1, [ADA]);
      assert.deepStrictEqual(first, sampleDevice(1, { name: 'new name', facts, revision: 2 }));
      const second = await store.devices.update(idOf(1), { owner: BOB, publicKey: 'key', fingerprint: 'print' }, 2, SYSTEM_SCOPE);
      assert.deepStrictEqual(second, { ...first, owner: BOB, publicKey: 'key', fingerprint: 'print', revision: 3 });
      assert.deepStrictEqual(await store.devices.get(idOf(1), [BOB]), second);
      assert.equal(await store.devices.get(idOf(1), [ADA]), null);
    },
  },
  {
    name: 'devices: an update touches only the fields that may change',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      const change = { name: 'new', id: idOf<DeviceId>(9), revision: 40, enrolledBy: 'mallory' };
      assert.deepStrictEqual(await store.devices.update(idOf(1), change, 1, [ADA]), sampleDevice(1, { name: 'new', revision: 2 }));
      assert.equal(await store.devices.get(idOf(9), SYSTEM_SCOPE), null);
    },
  },
  {
    name: 'devices: an update of another revision is store_conflict and changes nothing',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      await store.devices.update(idOf(1), { name: 'second' }, 1, [ADA]);
      for (const revision of [0, 1, 3])
        await rejectsWith(store.devices.update(idOf(1), { name: 'late' }, revision, [ADA]), 'store_conflict');
      assert.deepStrictEqual(await store.devices.get(idOf(1), [ADA]), sampleDevice(1, { name: 'second', revision: 2 }));
    },
  },
  {
    name: 'devices: an update of one the caller may not see is not_found, as of one that does not exist',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      for (const revision of [1, 5]) await rejectsWith(store.devices.update(idOf(1), { name: 'mine' }, revision, [BOB]), 'not_found');
      await rejectsWith(store.devices.update(idOf(1), { name: 'mine' }, 1, []), 'not_found');
      await rejectsWith(store.devices.update(idOf(2), { name: 'mine' }, 1, SYSTEM_SCOPE), 'not_found');
      assert.deepStrictEqual(await store.devices.get(idOf(1), [ADA]), sampleDevice(1));
    },
  },
  {
    name: 'devices: of updates of one revision at one time exactly one wins, and its change is the one that stays',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      const outcomes = await race(20, (n) => store.devices.update(idOf(1), { name: `name ${n}` }, 1, [ADA]));
      const winners = outcomes.filter((outcome) => typeof outcome !== 'string');
      assert.equal(winners.length, 1);
      assert.equal(count(outcomes, 'store_conflict'), 19);
      assert.deepStrictEqual(await store.devices.get(idOf(1), [ADA]), winners[0]);
    },
  },
  {
    name: 'devices: a sign of life sets time and address and leaves the revision',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      await store.devices.insert(sampleDevice(2));
      await store.devices.touch(idOf(1), { at: NOON + 5, address: '2001:db8::1' });
      const seen = sampleDevice(1, { lastSeenAt: NOON + 5, lastAddress: '2001:db8::1' });
      assert.deepStrictEqual(await store.devices.get(idOf(1), [ADA]), seen);
      assert.deepStrictEqual(await store.devices.get(idOf(2), [ADA]), sampleDevice(2));
    },
  },
  {
    name: 'devices: a sign of life of one that is gone is no error and brings nothing back',
    async run({ store }) {
      const outcome = await race(1, () => store.devices.touch(idOf(1), { at: NOON, address: '192.0.2.1' }));
      assert.deepEqual(outcome, [undefined]);
      assert.equal(await store.devices.get(idOf(1), SYSTEM_SCOPE), null);
    },
  },
  {
    name: 'devices: removing one revokes all its keys and leaves a revocation',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      for (const n of [1, 2]) await store.keys.insert(sampleKey(n, { kind: 'device', deviceId: idOf(1) }));
      await store.keys.insert(sampleKey(3, { kind: 'device', deviceId: idOf(2) }));
      assert.equal(await store.devices.remove(idOf(1), GONE, [ADA]), true);
      assert.equal(await store.devices.get(idOf(1), SYSTEM_SCOPE), null);
      const revokedAt = await Promise.all([1, 2, 3].map(async (n) => (await store.keys.get(keyIdOf(n), SYSTEM_SCOPE))?.revokedAt));
      assert.deepEqual(revokedAt, [NOON, NOON, undefined]);
      assert.deepStrictEqual(await store.revocations.listAfter(0), [{ ...GONE, number: 1, kind: 'device', id: idOf(1) }]);
      assert.equal(await store.devices.insert(sampleDevice(1)), true);
    },
  },
  {
    name: 'devices: removing one the caller may not see answers false and changes nothing',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      await store.keys.insert(sampleKey(1, { kind: 'device', deviceId: idOf(1) }));
      for (const caller of [[BOB], []]) assert.equal(await store.devices.remove(idOf(1), GONE, caller), false);
      assert.equal(await store.devices.remove(idOf(2), GONE, SYSTEM_SCOPE), false);
      assert.deepStrictEqual(await store.devices.get(idOf(1), [ADA]), sampleDevice(1));
      assert.equal((await store.keys.get(keyIdOf(1), [ADA]))?.revokedAt, undefined);
      assert.equal(await store.revocations.last(), 0);
    },
  },
  {
    name: 'devices: of removals at one time exactly one answers true, and one revocation is left',
    async run({ store }) {
      await store.devices.insert(sampleDevice(1));
      assert.equal(count(await race(20, () => store.devices.remove(idOf(1), GONE, [ADA])), true), 1);
      assert.equal((await store.revocations.listAfter(0)).length, 1);
    },
  },
];
