import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
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
  sampleRegistration,
  sampleSecret,
  sampleSession,
  sampleShare,
} from '@towline/conformance/store-cases';
import type { AuditFilter } from '@towline/contract';
import type { Database } from 'better-sqlite3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../src/thread/open-database.ts';
import { readOperations, writeOperations } from '../src/thread/operations.ts';
import { Statements } from '../src/thread/statements.ts';
import type { WireCaller } from '../src/wire-caller.ts';
import { temporaryFolder } from './open-store.ts';

let folder: string;
let database: Database;
const texts = new Set<string>();

beforeAll(async () => {
  folder = await temporaryFolder();
  database = openDatabase({ role: 'writer', path: join(folder, 'plan.db'), now: NOON }).database;
});
afterAll(async () => {
  database.close();
  await rm(folder, { recursive: true });
});

/** Statements that keep the text of each. */
function recorded(): Statements {
  const prepare = (sql: string) => {
    texts.add(sql);
    return database.prepare(sql);
  };
  return new Statements({ prepare } as Database);
}

const FILTERS: readonly AuditFilter[] = [
  {},
  { deviceId: idOf(1) },
  { session: idOf(1) },
  { actor: 'ada' },
  { action: 'session' },
  { deviceId: idOf(1), action: 'session', actor: 'ada' },
];

const STRANGER = 'org:stranger' as typeof ADA;
const DEVICE_FILTERS = [
  {},
  { name: 'device 1' },
  { idPrefix: '00' },
  { owner: ADA },
  { owner: STRANGER },
  { owner: ADA, name: 'x', idPrefix: '0' },
  { owner: STRANGER, name: 'x', idPrefix: '0' },
];
const NOTICE = { at: 1, code: 'x', message: '' };

type Follow = (list: (page: { limit: number; cursor?: string }) => { readonly next: string | null }) => void;

function runPeople(caller: WireCaller, follow: Follow): void {
  const read = readOperations(recorded(), database.name);
  const write = writeOperations(recorded());
  const orgs = caller === 'system' ? caller : ['org:acme', ...caller];
  write['organisations.insert'](sampleOrganisation());
  for (const n of [1, 2, 3, 4]) {
    write['users.note'](sampleLogin(n));
    write['organisations.setMember'](sampleMembership(n, { role: 'admin' }), orgs, NOTICE);
  }
  const { id, email } = sampleLogin(1);
  for (const filter of [{}, { email: email! }, { disabled: true }, { disabled: false }, { email: email!, disabled: true }]) {
    follow((page) => read['users.list'](filter, page));
  }
  follow((page) => read['organisations.list'](page, orgs));
  follow((page) => read['organisations.listMembers'](ACME_ID, page, orgs));
  read['users.get'](id);
  read['organisations.get'](ACME_ID, orgs);
  read['devices.listWithEndedShares'](NOON);
  read.standing({ userId: id, email: email!, keyId: keyIdOf(1), orgs: [ACME_ID] });
  read.standing({ userId: id, ofUser: true, orgs: [ACME_ID] });
  read.isScopeUsed(ADA);
  write['users.note'](sampleLogin(1));
  write['users.disable'](id, 'ada', NOTICE);
  write['users.enable'](id);
  write['organisations.setMember'](sampleMembership(1), orgs, NOTICE);
  write['organisations.removeMember']({ org: ACME_ID, email: sampleMembership(2).email }, NOTICE, orgs);
  write['organisations.delete'](ACME_ID, NOTICE, orgs);
}

function runSecrets(caller: WireCaller, follow: Follow): void {
  const read = readOperations(recorded(), database.name);
  const write = writeOperations(recorded());
  for (const n of [1, 2, 3, 4]) write['secrets.insert'](sampleSecret(n, { scope: n < 3 ? ADA : BOB }));
  for (const filter of [{}, { scope: ADA }, { scope: STRANGER }]) {
    follow((page) => read['secrets.list'](filter, page, caller));
    follow((page) => read['secrets.list'](filter, { ...page, limit: 1 }, caller));
    follow((page) => read['secrets.listEntries'](filter, page, caller));
    follow((page) => read['secrets.listEntries'](filter, { ...page, limit: 1 }, caller));
  }
  const place = { scope: ADA, name: sampleSecret(1).name };
  read['secrets.get'](place, caller);
  read['secrets.count'](ADA);
  read['secrets.listNotUnder']('first');
  write['secrets.update']({ ...place, revision: 1 }, { sealed: 'x', keyId: 'x' }, caller);
  write['secrets.update']({ ...place, revision: 2 }, { sealed: 'x', keyId: 'x', updatedAt: 1, updatedBy: 'ada' }, caller);
  write['secrets.remove'](place, caller);
}

function runEverything(caller: WireCaller): void {
  const read = readOperations(recorded(), database.name);
  const write = writeOperations(recorded());
  const first = { limit: 2 };
  const follow = <Page extends { readonly next: string | null }>(list: (page: { limit: number; cursor?: string }) => Page) => {
    const { next } = list(first);
    if (next !== null) list({ ...first, cursor: next });
  };
  for (const n of [1, 2, 3, 4]) {
    write['devices.insert'](sampleDevice(n, { shares: [sampleShare(BOB, { until: NOON })] }));
    write['registrations.insert'](sampleRegistration(n));
    write['keys.insert'](sampleKey(n, { kind: 'device', deviceId: idOf(1) }));
    write['sessions.insert'](sampleSession(n));
  }
  write['audit.append'](sampleRecords([{}, {}, {}, {}], read['audit.head']()).map((record) => JSON.stringify(record)));

  runPeople(caller, follow);
  runSecrets(caller, follow);
  for (const filter of DEVICE_FILTERS) {
    follow((page) => read['devices.list'](filter, page, caller));
  }
  for (const filter of [{ now: 0 }, { now: 0, owner: ADA }]) follow((page) => read['registrations.listPending'](filter, page, caller));
  for (const filter of [
    {},
    { kind: 'device' },
    { deviceId: idOf(1) },
    { deviceId: idOf(1), kind: 'user', includeRevoked: true },
    { userId: 'issuer|ada' },
    { userId: 'issuer|ada', kind: 'user', deviceId: idOf(1) },
    { userId: 'issuer|ada', kind: 'user', includeRevoked: true },
  ] as const) {
    follow((page) => read['keys.list'](filter, page, caller));
  }
  for (const filter of [{}, { deviceId: idOf(1) }]) follow((page) => read['sessions.list'](filter, page, caller));
  for (const order of ['ascending', 'descending'] as const) {
    for (const filter of FILTERS) {
      for (const time of [{}, { since: NOON }, { until: NOON * 2 }]) {
        follow((page) => read['audit.list']({ ...filter, ...time }, { ...page, order }, caller));
      }
    }
  }
  read['devices.get'](idOf(1), caller);
  read['registrations.get'](idOf(1), caller);
  read['registrations.findByDevice'](idOf(1), 0);
  read['registrations.countPending']({ owner: ADA }, 0);
  read['registrations.countPending']({ address: '192.0.2.1' }, 0);
  read['keys.get'](keyIdOf(1), caller);
  read['sessions.get'](idOf(1), caller);
  read['revocations.last']();
  read['revocations.listAfter'](0);
  read['meta.get']('x');

  write['devices.update']({ id: idOf(1), revision: 1 }, { name: 'device 1' }, caller);
  write['devices.update']({ id: idOf(1), revision: 2 }, { owner: BOB, shares: [sampleShare(ADA)] }, caller, NOTICE);
  write['devices.touch'](idOf(1), { at: 1, address: '' });
  write['registrations.decide'](idOf(1), { state: 'approved', decidedAt: 1, decidedBy: 'ada' }, caller);
  write['registrations.deleteForDevice'](idOf(1));
  write['registrations.deleteExpired'](0);
  write['keys.touch'](keyIdOf(1), 1);
  write['keys.spend'](keyIdOf(1));
  write['keys.revokeOlderOfDevice'](idOf(1), keyIdOf(2), 1);
  write['keys.revoke'](keyIdOf(2), { at: 1, code: 'x', message: '' }, caller);
  write['devices.remove'](idOf(1), { at: 1, code: 'x', message: '' }, caller);
  write['sessions.remove'](idOf(1));
  write['revocations.deleteBefore'](0);
  write['meta.compareAndSet']('x', null, 'y');
  write['meta.compareAndSet']('x', 'y', 'z');
}

/** What a plan may hold: look-ups in an index, and the lists of values that were passed in. */
function faultOf(sql: string): string | undefined {
  const marks = Array.from(sql.matchAll(/\?/g), () => 1);
  const plan = database
    .prepare<number[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
    .all(...marks)
    .map(({ detail }) => detail);
  const merges = plan.some((step) => step.startsWith('CORRELATED LIST SUBQUERY'));
  const cut = sql.trimEnd().endsWith('LIMIT ?') || sql.endsWith('LIMIT 1');
  const allowed = (step: string) => {
    // The last is a table of SQLite's own with one row.
    if (/^SCAN (k\d|json_each|found|sqlite_sequence)/.test(step)) return true;
    // In the order of the list and cut to the page: reads no more than it hands out.
    if (/^SCAN (i|audit)\b/.test(step)) return !merges && cut;
    // SQLite's name for values without a table.
    if (step === 'SCAN CONSTANT ROW') return true;
    if (/^USE TEMP B-TREE FOR (ORDER|GROUP) BY$/.test(step)) return merges;
    return !/^SCAN|TEMP B-TREE|AUTOMATIC/.test(step);
  };
  return plan.find((step) => !allowed(step));
}

it.each([
  ['the system', 'system'],
  ['a user', [ADA, BOB]],
] as const)('every statement made for %s goes by an index', (_, caller) => {
  texts.clear();
  runEverything(caller);
  expect(texts.size).toBeGreaterThan(80);
  const faults = [...texts].map((sql) => [sql, faultOf(sql)]).filter(([, fault]) => fault !== undefined);
  expect(faults).toEqual([]);
});

it('a page merges the devices of twenty scopes in order', () => {
  const statements = new Statements(database);
  const scopes = Array.from({ length: 20 }, (_, n) => `user:${n}@example.com` as typeof ADA);
  const write = writeOperations(statements);
  const read = readOperations(statements, database.name);
  database.transaction(() => {
    for (let n = 1_000; n < 21_000; n += 1) write['devices.insert'](sampleDevice(n, { owner: scopes[n % 40] ?? BOB }));
  })();
  const first = read['devices.list']({}, { limit: 100 }, scopes);
  expect(first.items.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, n) => idOf(1_000 + Math.floor(n / 20) * 40 + (n % 20))));
});

it('a page merges the devices of twenty scopes with those shared with them, in order, each once', () => {
  const statements = new Statements(database);
  const scopes = Array.from({ length: 20 }, (_, n) => `org:shared-${n}` as typeof ADA);
  const write = writeOperations(statements);
  const read = readOperations(statements, database.name);
  database.transaction(() => {
    for (let n = 30_000; n < 40_000; n += 1) {
      const [owner, other] = [scopes[n % 40] ?? BOB, scopes[(n + 7) % 40]];
      write['devices.insert'](sampleDevice(n, { owner, shares: other === undefined ? [] : [sampleShare(other), sampleShare(ADA)] }));
    }
  })();
  const reached = Array.from({ length: 10_000 }, (_, n) => 30_000 + n).filter((n) => n % 40 < 20 || (n + 7) % 40 < 20);
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const page = read['devices.list']({}, { limit: 500, ...(cursor && { cursor }) }, scopes);
    found.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== null);
  expect(found).toEqual(reached.map((n) => idOf(n)));
});
