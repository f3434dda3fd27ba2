import assert from 'node:assert/strict';
import type { Store } from '@towline/contract';
import { race } from './expectations.ts';
import { ADA, idOf, keyIdOf, NOON, sampleDevice, sampleKey } from './samples.ts';
import type { StoreCase } from './store-case.ts';

async function revokeKeys(store: Store, from: number, to: number): Promise<void> {
  const all = Array.from({ length: to - from + 1 }, (_, n) => from + n);
  await Promise.all(all.map((n) => store.keys.insert(sampleKey(n))));
  for (const n of all) await store.keys.revoke(keyIdOf(n), { at: NOON + n, code: 'key_revoked', message: `key ${n}` }, [ADA]);
}

/** Promises of the revocations. */
export const revocationCases: readonly StoreCase[] = [
  {
    name: 'revocations: their numbers grow by one in the order in which they happened',
    async run({ store }) {
      assert.equal(await store.revocations.last(), 0);
      await revokeKeys(store, 1, 2);
      await store.devices.insert(sampleDevice(3));
      await store.devices.remove(idOf(3), { at: NOON + 3, code: 'device_removed', message: 'gone' }, [ADA]);
      assert.equal(await store.revocations.last(), 3);
      assert.deepStrictEqual(await store.revocations.listAfter(1), [
        { number: 2, at: NOON + 2, kind: 'key', id: keyIdOf(2), code: 'key_revoked', message: 'key 2' },
        { number: 3, at: NOON + 3, kind: 'device', id: idOf(3), code: 'device_removed', message: 'gone' },
      ]);
      assert.deepEqual(await store.revocations.listAfter(3), []);
    },
  },
  {
    name: 'revocations: those that happen at one time get numbers without gaps',
    async run({ store }) {
      await Promise.all(Array.from({ length: 20 }, (_, n) => store.keys.insert(sampleKey(n))));
      const revocation = { at: NOON, code: 'key_revoked', message: 'gone' };
      await race(40, (n) => store.keys.revoke(keyIdOf(n % 20), revocation, [ADA]));
      const numbers = (await store.revocations.listAfter(0)).map(({ number }) => number);
      assert.deepEqual(
        numbers,
        Array.from({ length: 20 }, (_, n) => n + 1),
      );
    },
  },
  {
    name: 'revocations: at most 500 are handed out at once, the oldest first',
    async run({ store }) {
      await Promise.all(Array.from({ length: 503 }, (_, n) => store.keys.insert(sampleKey(n))));
      const revocation = { at: NOON, code: 'key_revoked', message: 'gone' };
      await Promise.all(Array.from({ length: 503 }, (_, n) => store.keys.revoke(keyIdOf(n), revocation, [ADA])));
      const numbers = (await store.revocations.listAfter(1)).map(({ number }) => number);
      assert.deepEqual([numbers.length, numbers[0], numbers.at(-1)], [500, 2, 501]);
      assert.equal((await store.revocations.listAfter(501)).length, 2);
    },
  },
  {
    name: 'revocations: old ones are deleted and counted, and their numbers are not given again',
    async run({ store }) {
      await revokeKeys(store, 1, 3);
      assert.equal(await store.revocations.deleteBefore(NOON + 3), 2);
      assert.deepEqual(
        (await store.revocations.listAfter(0)).map(({ number }) => number),
        [3],
      );
      assert.equal(await store.revocations.deleteBefore(NOON + 100), 1);
      await revokeKeys(store, 4, 4);
      assert.deepEqual(
        (await store.revocations.listAfter(0)).map(({ number }) => number),
        [4],
      );
      assert.equal(await store.revocations.last(), 4);
    },
  },
];
