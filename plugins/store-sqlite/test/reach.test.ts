import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ACME, ADA, BOB, idOf, NOON, sampleDevice, sampleSession, sampleShare } from '@towline/conformance/store-cases';
import type { Device, Page, PageRequest } from '@towline/contract';
import type { Database } from 'better-sqlite3';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../src/thread/open-database.ts';
import { readOperations, writeOperations } from '../src/thread/operations.ts';
import { Statements } from '../src/thread/statements.ts';
import type { WireCaller } from '../src/wire-caller.ts';
import { temporaryFolder } from './open-store.ts';

const SCOPES = [ADA, BOB, ACME];

let folder: string;
let database: Database;

beforeAll(async () => {
  folder = await temporaryFolder();
  database = openDatabase({ role: 'writer', path: join(folder, 'reach.db'), now: NOON }).database;
});
afterAll(async () => {
  database.close();
  await rm(folder, { recursive: true });
});

const shares = fc.subarray(SCOPES).map((scopes) => scopes.map((scope) => sampleShare(scope)));
const change = fc.record({ name: fc.constantFrom('a', 'b'), owner: fc.constantFrom(...SCOPES), shares }, { requiredKeys: [] });
/** What a device is at first, and how it is changed after that. */
const story = fc.record({ first: change, second: change, sessions: fc.integer({ min: 0, max: 2 }) });
const filter = fc.record(
  {
    name: fc.constantFrom('a', 'b'),
    owner: fc.constantFrom(...SCOPES),
    idPrefix: fc.constantFrom('0', idOf(3), '0'.repeat(31)),
  },
  { requiredKeys: [] },
);
const caller = fc.oneof(fc.constant<WireCaller>('system'), fc.subarray<string>(SCOPES));

/** Who may see a device, as the contract words it, without any index. */
function isSeen({ owner, shares: given }: Device, by: WireCaller): boolean {
  return by === 'system' || by.includes(owner) || given.some(({ scope }) => by.includes(scope));
}

function readAll(list: (page: PageRequest) => Page<{ readonly id: string }>, limit: number): string[] {
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const page = list({ limit, ...(cursor && { cursor }) });
    found.push(...page.items.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== null);
  return found;
}

it('hands out by pages exactly the devices and sessions that owners and shares show, for any devices, changes, filter and caller', () => {
  const statements = new Statements(database);
  const read = readOperations(statements, database.name);
  const write = writeOperations(statements);
  const check = (
    stories: readonly (typeof story extends fc.Arbitrary<infer Value> ? Value : never)[],
    asked: object,
    by: WireCaller,
    limit: number,
  ) => {
    const devices = stories.map(({ first, second, sessions }, n) => {
      const { id } = sampleDevice(n);
      write['devices.insert'](sampleDevice(n, first));
      for (let k = 0; k < sessions; k += 1)
        write['sessions.insert'](sampleSession(n + k * 100, { deviceId: id, owner: first.owner ?? ADA }));
      return write['devices.update']({ id, revision: 1 }, second, 'system');
    });
    const seen = devices.filter((device) => isSeen(device, by));
    const { name, owner, idPrefix = '' } = asked as { name?: string; owner?: string; idPrefix?: string };
    const wanted = seen.filter(
      (one) => one.name === (name ?? one.name) && one.owner === (owner ?? one.owner) && one.id.startsWith(idPrefix),
    );
    expect(readAll((page) => read['devices.list'](asked, page, by), limit)).toEqual(wanted.map(({ id }) => id));
    for (const { id } of devices) expect(read['devices.get'](id, by) !== null).toBe(seen.some((one) => one.id === id));
    const sessions = readAll((page) => read['sessions.list']({}, page, by), limit);
    const open = seen.flatMap(({ id }) => readAll((page) => read['sessions.list']({ deviceId: id }, page, 'system'), 500));
    expect(sessions).toEqual(open.sort());
    for (const id of open) expect(read['sessions.get'](id, by)).not.toBeNull();
  };
  fc.assert(
    fc.property(fc.array(story, { maxLength: 8 }), filter, caller, fc.integer({ min: 1, max: 4 }), (...given) => {
      database.exec('BEGIN');
      try {
        check(...given);
      } finally {
        database.exec('ROLLBACK');
      }
    }),
    { numRuns: 300 },
  );
});
