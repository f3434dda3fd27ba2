import {
  ACME,
  ACME_ID,
  ADA,
  BOB,
  idOf,
  keyIdOf,
  NOON,
  sampleDevice,
  sampleKey,
  sampleLogin,
  sampleMembership,
  sampleOrganisation,
  sampleRecords,
  sampleSecret,
} from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { MongoStore } from '@towline/store-mongo';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultyWay, openFaultyWay } from '../../../test/support/faulty-way.ts';
import { commandOn, type MongodbServer, startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { databaseName, openStore } from './open-store.ts';

const BUILD_MS = 600_000;
const NOTICE = { at: NOON, code: 'gone', message: 'gone' };
const missing =
  (await whyNoMongodb()) ?? (process.env.TOWLINE_TEST_MONGODB_URI ? 'the way to the server that was given is not ours to break' : null);

/** A change that takes several writes. */
interface Change {
  readonly name: string;
  /** Its writes in order: command and collection. */
  readonly writes: readonly (readonly [command: string, collection: string])[];
  prepare(n: number): Promise<unknown>;
  run(store: MongoStore, n: number): Promise<unknown>;
  /** What of it can be seen, each wholly or not: as many times true as there are parts, or as many times false. */
  look(n: number): Promise<readonly boolean[]>;
}

const database = databaseName();
let server: MongodbServer;
let way: FaultyWay;
/** The process that is cut off, and another one on the same database. */
let cutOff: MongoStore;
let other: MongoStore;
let next = 1;

beforeAll(async () => {
  if (missing !== null) return;
  server = await startMongodb();
  way = await openFaultyWay(server.port!);
  cutOff = await openStore(`mongodb://127.0.0.1:${way.port}/`, database);
  other = await openStore(server.uri, database);
}, BUILD_MS);
afterAll(async () => {
  if (missing !== null) return;
  await Promise.all([cutOff, other].map((store) => store[Symbol.asyncDispose]()));
  await way[Symbol.asyncDispose]();
  await server.stop();
});

const isTold = async (kind: string, id: string) => {
  const told = (await other.revocations.listAfter(0)).filter((one) => one.kind === kind && one.id === id);
  expect(told.length).toBeLessThan(2);
  return told.length === 1;
};

const CHANGES: readonly Change[] = [
  {
    name: 'a key that is revoked',
    writes: [
      ['findAndModify', 'keys'],
      ['insert', 'revocations'],
      ['update', 'keys'],
    ],
    prepare: (n) => other.keys.insert(sampleKey(n)),
    run: (store, n) => store.keys.revoke(keyIdOf(n), NOTICE, [ADA]),
    look: async (n) => [await isTold('key', keyIdOf(n)), (await other.keys.get(keyIdOf(n), [ADA]))?.revokedAt !== undefined],
  },
  {
    name: 'a device that is removed',
    writes: [
      ['findAndModify', 'devices'],
      ['update', 'keys'],
      ['insert', 'revocations'],
      ['delete', 'devices'],
    ],
    prepare: async (n) => {
      await other.devices.insert(sampleDevice(n));
      await other.keys.insert(sampleKey(n, { kind: 'device', deviceId: idOf(n) }));
    },
    run: (store, n) => store.devices.remove(idOf(n), NOTICE, [ADA]),
    look: async (n) => [
      await isTold('device', idOf(n)),
      (await other.devices.get(idOf(n), [ADA])) === null,
      (await other.keys.get(keyIdOf(n), [ADA]))?.revokedAt !== undefined,
    ],
  },
  {
    name: 'a device that gets another owner',
    writes: [
      ['findAndModify', 'devices'],
      ['update', 'keys'],
      ['update', 'registrations'],
      ['update', 'sessions'],
      ['insert', 'revocations'],
      ['update', 'devices'],
    ],
    prepare: async (n) => {
      await other.devices.insert(sampleDevice(n));
      await other.keys.insert(sampleKey(n, { kind: 'device', deviceId: idOf(n) }));
    },
    run: (store, n) => store.devices.update(idOf(n), { owner: BOB }, 1, [ADA], NOTICE),
    look: async (n) => [
      await isTold('access', idOf(n)),
      (await other.devices.get(idOf(n), [BOB])) !== null,
      (await other.keys.get(keyIdOf(n), [BOB])) !== null,
    ],
  },
  {
    name: 'a user who is disabled',
    writes: [
      ['findAndModify', 'users'],
      ['insert', 'revocations'],
      ['update', 'users'],
    ],
    prepare: (n) => other.users.note(sampleLogin(n)),
    run: (store, n) => store.users.disable(sampleLogin(n).id, 'ada', NOTICE),
    look: async (n) => [await isTold('user', sampleLogin(n).id), (await other.users.get(sampleLogin(n).id))?.disabledAt !== undefined],
  },
  {
    name: 'a member who is removed',
    writes: [
      ['update', 'organisations'],
      ['insert', 'revocations'],
    ],
    prepare: async (n) => {
      await other.organisations.insert(sampleOrganisation());
      await other.organisations.setMember(sampleMembership(n), [ACME]);
    },
    run: (store, n) => store.organisations.removeMember(ACME_ID, sampleMembership(n).email, NOTICE, [ACME]),
    look: async (n) => {
      const { items } = await other.organisations.listMembers(ACME_ID, { limit: 500 }, [ACME]);
      const { email } = sampleMembership(n);
      return [await isTold('membership', email), !items.some((member) => member.email === email)];
    },
  },
  {
    name: 'an organisation that is deleted',
    writes: [
      ['findAndModify', 'organisations'],
      ['delete', 'secrets'],
      ['insert', 'revocations'],
      ['update', 'organisations'],
    ],
    prepare: async (n) => {
      const id = `org-${n}` as typeof ACME_ID;
      await other.organisations.insert(sampleOrganisation({ id }));
      await other.organisations.setMember(sampleMembership(n, { org: id, email: `of-${n}@example.com` }), SYSTEM_SCOPE);
      await other.secrets.insert(sampleSecret(n, { scope: `org:org-${n}` as typeof ACME }));
    },
    run: (store, n) => store.organisations.delete(`org-${n}` as typeof ACME_ID, NOTICE, SYSTEM_SCOPE),
    look: async (n) => {
      const id = `org-${n}` as typeof ACME_ID;
      const isOrgTold = await isTold('org', id);
      const { memberships } = await other.standing({ userId: 'nobody', email: `of-${n}@example.com`, orgs: [] });
      const organisation = await other.organisations.get(id, SYSTEM_SCOPE);
      const secrets = await other.secrets.count(`org:org-${n}` as typeof ACME);
      return [isOrgTold, organisation?.deletedAt !== undefined, memberships.length === 0, secrets === 0];
    },
  },
];

describe.skipIf(missing).each(CHANGES)('$name, and the process dies', ({ writes, prepare, run, look }) => {
  it.each(writes.map(([command, collection], place) => ({ command, collection, place })))(
    'before $command of $collection: another finds nothing of it, or all of it once',
    async ({ command, collection, place }) => {
      const n = next++;
      await prepare(n);
      const held = way.holdNext(commandOn(command, collection));
      const outcome = run(cutOff, n).catch((error: { readonly code: unknown }) => error.code);
      await held.came;
      way.cut();
      expect(await outcome).toBe('store_failed');
      way.restore();
      expect(new Set(await look(n))).toEqual(new Set([place > 0]));
    },
  );

  it.each(writes.map(([command, collection]) => ({ command, collection })))(
    'when the answer to $command of $collection is lost: another finds all of it once',
    async ({ command, collection }) => {
      const n = next++;
      await prepare(n);
      const lost = way.loseAnswerTo(commandOn(command, collection));
      const outcome = run(cutOff, n).catch((error: { readonly code: unknown }) => error.code);
      await lost;
      expect(await outcome).toBe('store_failed');
      expect(new Set(await look(n))).toEqual(new Set([true]));
    },
  );
});

describe.skipIf(missing)('two processes, one of which comes late', () => {
  it('an owner that a device had in between is given to nothing', async () => {
    const n = next++;
    await other.devices.insert(sampleDevice(n));
    await other.keys.insert(sampleKey(n, { kind: 'device', deviceId: idOf(n) }));
    const held = way.holdNext(commandOn('update', 'keys'));
    const late = cutOff.devices.update(idOf(n), { owner: BOB }, 1, [ADA]);
    await held.came;
    await other.devices.update(idOf(n), { owner: ACME }, 2, [BOB]);
    held.release();
    await late;
    expect((await other.devices.get(idOf(n), SYSTEM_SCOPE))?.owner).toBe(ACME);
    expect((await other.keys.get(keyIdOf(n), SYSTEM_SCOPE))?.owner).toBe(ACME);
  });

  it('a removal that the other has carried out does not touch the key of the device that came again', async () => {
    const [n, again] = [next++, next++];
    await other.devices.insert(sampleDevice(n));
    await other.keys.insert(sampleKey(n, { kind: 'device', deviceId: idOf(n) }));
    const held = way.holdNext(commandOn('update', 'keys'));
    const late = cutOff.devices.remove(idOf(n), NOTICE, [ADA]);
    await held.came;
    expect(await isTold('device', idOf(n))).toBe(true);
    expect(await other.devices.insert(sampleDevice(n))).toBe(true);
    await other.keys.insert(sampleKey(again, { kind: 'device', deviceId: idOf(n) }));
    held.release();
    expect(await late).toBe(true);
    expect((await other.keys.get(keyIdOf(n), [ADA]))?.revokedAt).toBe(NOON);
    expect((await other.keys.get(keyIdOf(again), [ADA]))?.revokedAt).toBeUndefined();
    expect(await isTold('device', idOf(n))).toBe(true);
    expect((await other.devices.get(idOf(n), [ADA]))?.id).toBe(idOf(n));
  });

  it('two that append to the trail: one goes on after the other, and an answer that is lost leaves the chain whole', async () => {
    const append = async (store: MongoStore, action: string) => store.audit.append(sampleRecords([{ action }], await store.audit.head()));
    await append(other, 'first');
    const held = way.holdNext(commandOn('insert', 'audit'));
    const late = append(cutOff, 'late').catch((error: { readonly code: unknown }) => error.code);
    await held.came;
    await append(other, 'second');
    held.release();
    expect(await late).toBe('store_conflict');
    const lost = way.loseAnswerTo(commandOn('insert', 'audit'));
    const outcome = append(cutOff, 'third').catch((error: { readonly code: unknown }) => error.code);
    await lost;
    expect(await outcome).toBe('store_failed');
    await append(cutOff, 'fourth');
    const { items } = await other.audit.list({}, 'ascending', { limit: 10 }, SYSTEM_SCOPE);
    expect(items.map(({ action, number }) => [number, action])).toEqual([
      [1, 'first'],
      [2, 'second'],
      [3, 'third'],
      [4, 'fourth'],
    ]);
    expect(items.slice(1).map(({ previousHash }) => previousHash)).toEqual(items.slice(0, -1).map(({ hash }) => hash));
  });

  it('the numbers of all revocations that this file made grow by one', async () => {
    const found = await other.revocations.listAfter(0);
    expect(found.map(({ number }) => number)).toEqual(found.map((_, n) => n + 1));
  });
});
