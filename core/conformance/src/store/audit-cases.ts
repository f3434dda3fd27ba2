import assert from 'node:assert/strict';
import type { AuditFilter, AuditRecord, Caller, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { count, race, rejectsWith } from './expectations.ts';
import { ACME, ADA, BOB, idOf, NOON, plain, sampleRecords } from './samples.ts';
import type { StoreCase } from './store-case.ts';

const MALLORY: AuditRecord['actor'] = { kind: 'user', id: 'issuer|mallory', label: 'Mallory', email: 'mallory@example.com' };

async function numbers(store: Store, filter: AuditFilter, caller: Caller = SYSTEM_SCOPE): Promise<number[]> {
  const { items } = await store.audit.list(filter, 'ascending', { limit: 500 }, caller);
  const reversed = await store.audit.list(filter, 'descending', { limit: 500 }, caller);
  const found = items.map(({ number }) => number);
  assert.deepEqual(reversed.items.map(({ number }) => number).reverse(), found);
  return found;
}

/** Promises of the audit trail. */
export const auditCases: readonly StoreCase[] = [
  {
    name: 'audit: the head is null at first and then the last record',
    async run({ store }) {
      assert.equal(await store.audit.head(), null);
      const records = sampleRecords(plain(3));
      await store.audit.append(records.slice(0, 1));
      assert.deepStrictEqual(await store.audit.head(), { number: 1, hash: records[0]!.hash });
      await store.audit.append(records.slice(1));
      assert.deepStrictEqual(await store.audit.head(), { number: 3, hash: records[2]!.hash });
      await store.audit.append([]);
      assert.deepStrictEqual(await store.audit.head(), { number: 3, hash: records[2]!.hash });
    },
  },
  {
    name: 'audit: records are read back to the letter, ascending and descending',
    async run({ store }) {
      const full: Partial<AuditRecord> = {
        action: 'session.closed',
        actor: { ...MALLORY, provider: 'oidc', keyId: 'k' },
        outcome: 'interrupted',
        reason: 'device_lost',
        durationMs: 1.5,
        bytesToDevice: 0,
        bytesFromDevice: 2 ** 52,
        exitCode: 0,
        signal: 'SIGTERM',
        reportedBy: 'device',
        detail: { argv: ['rm', '-rf', "'"], deep: { list: [null, true, 'x\0y'] }, __proto: 'y' },
      };
      const records = sampleRecords([{}, full]);
      await store.audit.append(records);
      const list = (order: 'ascending' | 'descending') => store.audit.list({}, order, { limit: 10 }, SYSTEM_SCOPE);
      assert.deepStrictEqual((await list('ascending')).items, records);
      assert.equal(JSON.stringify((await list('descending')).items), JSON.stringify(records.reverse()));
    },
  },
  {
    name: 'audit: records whose numbers do not go on after the head are store_conflict',
    async run({ store }) {
      const records = sampleRecords(plain(4));
      await rejectsWith(store.audit.append(records.slice(1)), 'store_conflict');
      await store.audit.append(records.slice(0, 2));
      await rejectsWith(store.audit.append(records.slice(1, 3)), 'store_conflict');
      await rejectsWith(store.audit.append(records.slice(3)), 'store_conflict');
      assert.deepEqual(await numbers(store, {}), [1, 2]);
    },
  },
  {
    name: 'audit: a record that names another hash than that of the record before is store_conflict',
    async run({ store }) {
      await store.audit.append(sampleRecords(plain(1)));
      const other = sampleRecords([{ action: 'other' }]);
      await rejectsWith(store.audit.append(sampleRecords(plain(1), { number: 1, hash: other[0]!.hash })), 'store_conflict');
      assert.deepEqual(await numbers(store, {}), [1]);
    },
  },
  {
    name: 'audit: a batch is appended whole or not at all',
    async run({ store }) {
      const records = sampleRecords(plain(5));
      await rejectsWith(store.audit.append([...records.slice(0, 3), ...records.slice(4)]), 'store_conflict');
      assert.equal(await store.audit.head(), null);
      assert.deepEqual(await numbers(store, {}), []);
    },
  },
  {
    name: 'audit: of batches for one head at one time exactly one is appended',
    async run({ store }) {
      const batches = Array.from({ length: 20 }, (_, n) => sampleRecords([{ action: `try.${n}` }, {}]));
      const outcomes = await race(20, (n) => store.audit.append(batches[n]!));
      assert.deepEqual([count(outcomes, undefined), count(outcomes, 'store_conflict')], [1, 19]);
      const winner = batches[outcomes.indexOf(undefined)]!;
      assert.deepStrictEqual((await store.audit.list({}, 'ascending', { limit: 10 }, SYSTEM_SCOPE)).items, winner);
    },
  },
  {
    name: 'audit: records of an owner are seen by who holds the scope, those without one only by the system',
    async run({ store }) {
      const [mine, foreign, nobodys] = sampleRecords([{ owner: ADA }, { owner: BOB }, {}]);
      const { owner: _, ...ownerless } = nobodys!;
      await store.audit.append([mine!, foreign!, ownerless]);
      assert.deepEqual(await numbers(store, {}), [1, 2, 3]);
      assert.deepEqual(await numbers(store, {}, [ADA]), [1]);
      assert.deepEqual(await numbers(store, {}, [BOB, ADA]), [1, 2]);
      for (const filter of [
        {},
        { deviceId: idOf(1) },
        { actor: 'issuer|ada' },
        { action: 'session' },
        { session: idOf(2) },
      ] as AuditFilter[]) {
        assert.deepEqual(await numbers(store, filter, []), []);
        assert.deepEqual(await numbers(store, filter, [ACME]), []);
        assert.ok(!(await numbers(store, filter, [ADA])).includes(2));
      }
    },
  },
  {
    name: 'audit: records are found by device and by session',
    async run({ store }) {
      const device = { id: idOf<NonNullable<AuditRecord['device']>['id']>(7), name: 'seven' };
      await store.audit.append(sampleRecords([{}, { device }, { device, session: idOf(1) }]));
      assert.deepEqual(await numbers(store, { deviceId: idOf(7) }), [2, 3]);
      assert.deepEqual(await numbers(store, { session: idOf(1) }), [1, 3]);
      assert.deepEqual(await numbers(store, { session: idOf(1), deviceId: idOf(7) }), [3]);
      assert.deepEqual(await numbers(store, { deviceId: idOf(8) }), []);
    },
  },
  {
    name: 'audit: records are found by the id or the e-mail address of the actor, both exact',
    async run({ store }) {
      await store.audit.append(sampleRecords([{}, { actor: MALLORY }, { actor: { ...MALLORY, email: 'issuer|mallory' } }]));
      assert.deepEqual(await numbers(store, { actor: 'issuer|mallory' }), [2, 3]);
      assert.deepEqual(await numbers(store, { actor: 'mallory@example.com' }), [2]);
      for (const actor of ['mallory', 'Mallory', 'issuer|', '%']) assert.deepEqual(await numbers(store, { actor }), []);
    },
  },
  {
    name: 'audit: records are found by their action or its first part, never by part of a word',
    async run({ store }) {
      const actions = ['session.opened', 'session.closed', 'sessions.listed', 'session', 'session-x', 'device.session'];
      await store.audit.append(sampleRecords(actions.map((action) => ({ action }))));
      for (const caller of [SYSTEM_SCOPE, [ADA]] as const) {
        assert.deepEqual(await numbers(store, { action: 'session' }, caller), [1, 2, 4]);
        assert.deepEqual(await numbers(store, { action: 'session.opened' }, caller), [1]);
        assert.deepEqual(await numbers(store, { action: 'session', deviceId: idOf(1) }, caller), [1, 2, 4]);
      }
      for (const action of ['sess', 'session.', 'session.open', 'opened', '%', 'session_opened', '']) {
        assert.deepEqual(await numbers(store, { action }), []);
      }
    },
  },
  {
    name: 'audit: a time range includes its beginning and excludes its end, also when the clock was set back',
    async run({ store }) {
      const times = [10, 20, 20, 30, 15, 40, 5, 50].map((at) => ({ at: NOON + at }));
      await store.audit.append(sampleRecords(times));
      const between = (since?: number, until?: number) =>
        numbers(store, { ...(since !== undefined && { since: NOON + since }), ...(until !== undefined && { until: NOON + until }) });
      assert.deepEqual(await between(20), [2, 3, 4, 6, 8]);
      assert.deepEqual(await between(undefined, 20), [1, 5, 7]);
      assert.deepEqual(await between(15, 30), [2, 3, 5]);
      assert.deepEqual(await between(51), []);
      assert.deepEqual(await between(undefined, 5), []);
      assert.deepEqual(await between(30, 30), []);
      assert.deepEqual(await between(5, 51), [1, 2, 3, 4, 5, 6, 7, 8]);
    },
  },
  {
    name: 'audit: filters narrow each other',
    async run({ store }) {
      const closed = { action: 'session.closed' };
      await store.audit.append(
        sampleRecords([{}, closed, { ...closed, actor: MALLORY }, { ...closed, owner: BOB }, { ...closed, actor: MALLORY }]),
      );
      const filter = { deviceId: idOf<NonNullable<AuditFilter['deviceId']>>(1), action: 'session.closed', actor: MALLORY.id };
      assert.deepEqual(await numbers(store, filter), [3, 5]);
      assert.deepEqual(await numbers(store, { ...filter, since: NOON + 4 }), [5]);
      assert.deepEqual(await numbers(store, { action: 'session', actor: 'ada@example.com', until: NOON + 4 }, [ADA]), [1, 2]);
      assert.deepEqual(await numbers(store, { ...filter, session: idOf(3) }), [3]);
      assert.deepEqual(await numbers(store, { ...filter, session: idOf(4) }), []);
    },
  },
];
