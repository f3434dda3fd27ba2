import assert from 'node:assert/strict';
import { count, race } from './expectations.ts';
import type { StoreCase } from './store-case.ts';

/** Promises of the relay's own values. */
export const metaCases: readonly StoreCase[] = [
  {
    name: 'meta: a value that was never set is null',
    async run({ store }) {
      await store.meta.compareAndSet('other', null, 'value');
      assert.equal(await store.meta.get('name'), null);
    },
  },
  {
    name: 'meta: a value is set where the present one is the expected',
    async run({ store }) {
      assert.equal(await store.meta.compareAndSet('name', null, ''), true);
      assert.equal(await store.meta.get('name'), '');
      assert.equal(await store.meta.compareAndSet('name', '', 'second'), true);
      assert.equal(await store.meta.compareAndSet('name', 'second', 'second'), true);
      assert.equal(await store.meta.get('name'), 'second');
    },
  },
  {
    name: 'meta: a value stays where the present one is another than the expected',
    async run({ store }) {
      assert.equal(await store.meta.compareAndSet('name', 'absent', 'value'), false);
      assert.equal(await store.meta.get('name'), null);
      await store.meta.compareAndSet('name', null, 'first');
      for (const expected of [null, '', 'First', 'first ']) assert.equal(await store.meta.compareAndSet('name', expected, 'second'), false);
      assert.equal(await store.meta.get('name'), 'first');
    },
  },
  {
    name: 'meta: of many that set a value at one time exactly one wins, and its value stays',
    async run({ store }) {
      for (const expected of [null, 'first']) {
        const name = `from ${expected}`;
        if (expected !== null) await store.meta.compareAndSet(name, null, expected);
        const outcomes = await race(20, (n) => store.meta.compareAndSet(name, expected, `value ${n}`));
        assert.equal(count(outcomes, true), 1);
        assert.equal(await store.meta.get(name), `value ${outcomes.indexOf(true)}`);
      }
    },
  },
];
