import assert from 'node:assert/strict';
import type { Store, StoreRecord } from '@towline/contract';
import { STORE_RECORD_KINDS } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { isTowlineError } from '@towline/protocol';
import { rejectsWith } from './expectations.ts';
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
  sampleUser,
} from './samples.ts';
import type { StoreCase } from './store-case.ts';

const REVOKED = { at: NOON, code: 'key_revoked', message: 'gone' };
const GONE = 'gone' as typeof ACME_ID;
const ODD = 'a\0b "é" \u2028 👩‍👩‍👧‍👦 __proto__';
const never = () => new AbortController().signal;

/** Promises of exports and imports. */
export const transferCases: readonly StoreCase[] = [
  {
    name: 'export: every object comes, kind by kind, as look-ups answer it',
    async run({ store }) {
      assert.deepStrictEqual(await exported(store), []);
      await fill(store);
      const records = await exported(store);
      assert.deepStrictEqual(sorted(records), sorted(await lookedUp(store)));
      const kinds = records.map(({ kind }) => STORE_RECORD_KINDS.indexOf(kind));
      assert.deepStrictEqual(
        kinds,
        kinds.toSorted((a, b) => a - b),
      );
      assert.deepStrictEqual(await exported(store), records);
    },
  },
  {
    name: 'export: it goes on over many objects while others write',
    async run({ store }) {
      const [devices, records] = [Array.from({ length: 700 }, (_, n) => sampleDevice(n)), sampleRecords(plain(900))];
      await Promise.all(devices.map((device) => store.devices.insert(device)));
      await store.audit.append(records);
      const found: StoreRecord[] = [];
      for await (const record of store.export(never())) {
        if (found.push(record) % 100 === 1) assert.equal(await store.devices.insert(sampleDevice(10_000 + found.length)), true);
      }
      const before = found.filter(({ kind, value }) => kind !== 'device' || (value as { enrolledAt: number }).enrolledAt < NOON + 10_000);
      assert.deepStrictEqual(before, [...recordsOf('device', devices), ...recordsOf('audit', records)]);
    },
  },
  {
    name: 'export: it ends when it is aborted, and when nobody reads on',
    async run({ store }) {
      await fill(store);
      await assert.rejects(exported(store, AbortSignal.abort(new Error('enough'))), /enough/);
      const abort = new AbortController();
      await assert.rejects(async () => {
        for await (const _ of store.export(abort.signal)) abort.abort(new Error('enough'));
      }, /enough/);
      for await (const _ of store.export(never())) break;
      assert.equal(await store.devices.insert(sampleDevice(9)), true);
    },
  },
  {
    name: 'import: an empty store is filled with all of it, as it was',
    async run(handle) {
      await handle.store.import(from(SAMPLE), never());
      assert.deepStrictEqual(sorted(await exported(handle.store)), sorted(SAMPLE));
      assert.deepStrictEqual(sorted(await lookedUp(handle.store)), sorted(SAMPLE));
      const store = await handle.reopen();
      assert.deepStrictEqual(sorted(await lookedUp(store)), sorted(SAMPLE));
    },
  },
  {
    name: 'import: what is looked up by something else than an id is found',
    async run({ store }) {
      await store.import(from(SAMPLE), never());
      const page = { limit: 10 };
      assert.equal((await store.devices.list({}, page, [BOB])).items.length, 1);
      assert.equal((await store.devices.listWithEndedShares(NOON)).length, 1);
      assert.equal(await store.isScopeUsed('org:of-a-key' as typeof ACME), true);
      assert.deepEqual([await store.secrets.count(ADA), (await store.secrets.listNotUnder('second')).length], [2, 1]);
      assert.equal((await store.keys.list({ userId: 'issuer|ada' }, page, SYSTEM_SCOPE)).items.length, 1);
      assert.equal((await store.registrations.findByDevice(idOf(7), NOON))?.name, 'later');
      assert.equal((await store.audit.list({ action: 'session', until: NOON + 2 }, 'descending', page, [ADA])).items.length, 2);
      const standing = await store.standing({ userId: sampleLogin(1).id, ofUser: true, orgs: [GONE] });
      assert.deepEqual([standing.memberships, standing.deletedOrgs], [[{ org: ACME_ID, role: 'admin' }], [GONE]]);
    },
  },
  {
    name: 'import: numbers, revisions and the trail go on after what was imported',
    async run({ store }) {
      await store.import(from(SAMPLE), never());
      assert.equal((await store.devices.update(idOf(1), { name: 'next' }, 7, [ADA])).revision, 8);
      assert.equal((await store.secrets.update(ACME, sampleSecret(1).name, { sealed: 'v1.next', keyId: 'next' }, 9, [ACME])).revision, 10);
      assert.equal(await store.revocations.last(), 42);
      await store.keys.revoke(keyIdOf(3), REVOKED, SYSTEM_SCOPE);
      assert.equal(await store.revocations.last(), 43);
      await store.audit.append(sampleRecords(plain(1), await store.audit.head()));
      assert.equal((await store.audit.head())?.number, 4);
      assert.equal(await store.organisations.insert(sampleOrganisation({ id: GONE })), false);
    },
  },
  {
    name: 'import: a store that holds anything refuses, and stays as it is',
    async run({ store }) {
      await store.meta.compareAndSet('name', null, 'value');
      await rejectsWith(store.import(from(SAMPLE), never()), 'conflict');
      await rejectsWith(store.import(from([]), never()), 'conflict');
      assert.deepStrictEqual(await exported(store), [{ kind: 'meta', value: { name: 'name', value: 'value' } }]);
    },
  },
  {
    name: 'import: a record that does not fit is named, and the store is empty again',
    async run({ store }) {
      for (const [fault, bad] of BAD_RECORDS) {
        const outcome = await store.import(from([...SAMPLE, bad as StoreRecord]), never()).catch((error: unknown) => error);
        const { code, message } = isTowlineError(outcome) ? outcome : { code: String(outcome), message: '' };
        assert.deepEqual([fault, code, message.includes(`${SAMPLE.length + 1}`)], [fault, 'invalid_request', true]);
        assert.deepStrictEqual(await exported(store), [], fault);
      }
      await store.import(from(SAMPLE), never());
    },
  },
  {
    name: 'import: when its source fails or it is aborted the store is empty again',
    async run({ store }) {
      await assert.rejects(store.import(failing(), never()), /the source failed/);
      assert.deepStrictEqual(await exported(store), []);
      const abort = new AbortController();
      const importing = store.import(hanging(abort), abort.signal);
      await assert.rejects(importing, /enough/);
      assert.deepStrictEqual(await exported(store), []);
      await store.import(from(SAMPLE), never());
    },
  },
];

const TRAIL = sampleRecords([{}, { action: 'device.approved', detail: { [ODD]: ODD, ratio: 0.1, 9: 1 } }, { at: NOON - 5 }]);

const SAMPLE: readonly StoreRecord[] = [
  ...recordsOf('meta', [{ name: 'relay', value: ODD }]),
  ...recordsOf('user', [sampleUser(1), sampleUser(2, { disabledAt: NOON, disabledBy: 'ada', revision: 5 })]),
  ...recordsOf('organisation', [sampleOrganisation({ revision: 3 }), sampleOrganisation({ id: GONE, deletedAt: NOON, revision: 2 })]),
  ...recordsOf('membership', [sampleMembership(1, { email: 'user-1@example.com', role: 'admin' })]),
  ...recordsOf('secret', [
    sampleSecret(1, { scope: ACME, sealed: `v1.${'s'.repeat(30_000)}`, updatedAt: NOON + 70, updatedBy: ODD, revision: 9 }),
    sampleSecret(2, { keyId: 'second' }),
    sampleSecret(1, { keyId: 'second' }),
  ]),
  ...recordsOf('device', [
    sampleDevice(1, { name: ODD, shares: [sampleShare(BOB, { streams: ['shell'], until: NOON })], revision: 7 }),
    sampleDevice(2, { lastSeenAt: NOON + 9, lastAddress: '192.0.2.9' }),
  ]),
  ...recordsOf('registration', [
    sampleRegistration(1, { state: 'rejected', decidedAt: NOON, decidedBy: 'ada', reason: ODD, revision: 2 }),
    sampleRegistration(5, { deviceId: idOf(7), createdAt: NOON + 1, name: 'earlier' }),
    sampleRegistration(4, { deviceId: idOf(7), createdAt: NOON + 2, name: 'later' }),
  ]),
  ...recordsOf('key', [
    sampleKey(1, { userId: 'issuer|ada', email: 'ada@example.com', bounded: true, streams: ['exec'], devices: [idOf(1)] }),
    sampleKey(2, { kind: 'device', deviceId: idOf(1), revokedAt: NOON, revokedReason: 'key_revoked', lastUsedAt: NOON, revision: 4 }),
    sampleKey(3, { kind: 'enrolment', remaining: 0, expiresAt: NOON, scopes: [{ scope: 'org:of-a-key' as typeof ACME, role: 'viewer' }] }),
  ]),
  ...recordsOf('session', [sampleSession(2)]),
  ...recordsOf('revocation', [
    { ...REVOKED, number: 40, kind: 'org', id: GONE },
    { ...REVOKED, number: 42, kind: 'key', id: keyIdOf(2) },
  ]),
  ...recordsOf('audit', TRAIL),
];

const AUDIT = (change: object) => ({ kind: 'audit', value: { ...sampleRecords(plain(1), TRAIL.at(-1))[0]!, ...change } });
/** Each wrong in one way, behind those of {@link SAMPLE}. */
const BAD_RECORDS: readonly (readonly [fault: string, record: unknown])[] = [
  ['no object', 'text'],
  ['no kind', { value: {} }],
  ['an unknown kind', { kind: 'spell', value: {} }],
  ['a kind that comes earlier, and an id that is there', { kind: 'device', value: sampleDevice(1) }],
  ['a name that its scope has already', { kind: 'secret', value: sampleSecret(2) }],
  ['a secret without its key', { kind: 'secret', value: { ...sampleSecret(8), keyId: undefined } }],
  ['a secret in the clear', { kind: 'secret', value: { ...sampleSecret(8), value: 'in the clear' } }],
  ['no value', { kind: 'audit' }],
  ['a number that is taken', AUDIT({ number: 3 })],
  ['a gap in the trail', AUDIT({ number: 5 })],
  ['a record that does not follow', AUDIT({ previousHash: '0'.repeat(64) })],
  ['an actor without an id', AUDIT({ actor: { kind: 'user', label: 'Ada' } })],
];

function recordsOf(kind: StoreRecord['kind'], values: readonly object[]): StoreRecord[] {
  return values.map((value) => ({ kind, value }));
}

async function* from(records: readonly StoreRecord[]): AsyncGenerator<StoreRecord> {
  yield* records;
}

async function* failing(): AsyncGenerator<StoreRecord> {
  yield* SAMPLE;
  yield* recordsOf('audit', sampleRecords(plain(600), TRAIL.at(-1)));
  throw new Error('the source failed');
}

async function* hanging(abort: AbortController): AsyncGenerator<StoreRecord> {
  yield* SAMPLE;
  setImmediate(() => abort.abort(new Error('enough')));
  await new Promise(() => undefined);
}

async function exported(store: Store, signal: AbortSignal = never()): Promise<StoreRecord[]> {
  const records: StoreRecord[] = [];
  for await (const record of store.export(signal)) records.push(record);
  return records;
}

/** Sorted by kind and by what tells objects apart: the order within a kind is the store's own. */
function sorted(records: readonly StoreRecord[]): StoreRecord[] {
  return records.toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1));
}

function placeOf({ kind, value }: StoreRecord): string {
  const { number, id, org, email, scope, name } = value as Readonly<Record<string, string | number | undefined>>;
  return JSON.stringify([kind, number ?? [id, org, email, scope, name]]);
}

/** Puts something of every kind into a store by the ways of a relay. */
async function fill(store: Store): Promise<void> {
  await store.meta.compareAndSet('relay', null, ODD);
  for (const n of [1, 2]) {
    await store.users.note(sampleLogin(n));
    await store.devices.insert(sampleDevice(n, { name: ODD }));
    await store.keys.insert(sampleKey(n, n === 1 ? { bounded: true } : {}));
    await store.registrations.insert(sampleRegistration(n));
    await store.sessions.insert(sampleSession(n));
    await store.secrets.insert(sampleSecret(n));
  }
  await store.secrets.update(ADA, sampleSecret(1).name, { sealed: 'v1.second', keyId: 'second' }, 1, [ADA]);
  await store.users.disable(sampleLogin(2).id, 'ada', REVOKED);
  for (const id of [ACME_ID, GONE]) await store.organisations.insert(sampleOrganisation({ id }));
  await store.organisations.setMember(sampleMembership(1), [ACME]);
  await store.organisations.delete(GONE, REVOKED, SYSTEM_SCOPE);
  await store.devices.update(idOf(1), { shares: [sampleShare(BOB, { until: NOON })] }, 1, [ADA]);
  await store.devices.touch(idOf(2), { at: NOON, address: '192.0.2.9' });
  await store.keys.revoke(keyIdOf(2), REVOKED, [ADA]);
  await store.registrations.decide(idOf(1), { state: 'rejected', decidedAt: NOON, decidedBy: 'ada', reason: ODD }, [ADA]);
  await store.audit.append(TRAIL);
}

/** Everything that {@link fill} and {@link SAMPLE} put there, by look-ups. */
async function lookedUp(store: Store): Promise<StoreRecord[]> {
  const page = { limit: 500 };
  const present = <Item extends object>(found: readonly (Item | null)[]) => found.filter((one) => one !== null);
  const relay = await store.meta.get('relay');
  const organisations = await Promise.all([ACME_ID, GONE].map((id) => store.organisations.get(id, SYSTEM_SCOPE)));
  const registrations = await Promise.all([1, 2, 4, 5].map((n) => store.registrations.get(idOf(n), SYSTEM_SCOPE)));
  return [
    ...recordsOf('meta', relay === null ? [] : [{ name: 'relay', value: relay }]),
    ...recordsOf('user', (await store.users.list({}, page)).items),
    ...recordsOf('organisation', present(organisations)),
    ...recordsOf('membership', (await store.organisations.listMembers(ACME_ID, page, SYSTEM_SCOPE)).items),
    ...recordsOf('secret', (await store.secrets.list({}, page, SYSTEM_SCOPE)).items),
    ...recordsOf('device', (await store.devices.list({}, page, SYSTEM_SCOPE)).items),
    ...recordsOf('registration', present(registrations)),
    ...recordsOf('key', (await store.keys.list({ includeRevoked: true }, page, SYSTEM_SCOPE)).items),
    ...recordsOf('session', (await store.sessions.list({}, page, SYSTEM_SCOPE)).items),
    ...recordsOf('revocation', await store.revocations.listAfter(0)),
    ...recordsOf('audit', (await store.audit.list({}, 'ascending', page, SYSTEM_SCOPE)).items),
  ];
}
