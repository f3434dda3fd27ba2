import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ACME, ADA, BOB, idOf, NOON, sampleRecords } from '@towline/conformance/store-cases';
import type { AuditFilter, AuditRecord } from '@towline/contract';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../src/thread/open-database.ts';
import { readOperations, writeOperations } from '../src/thread/operations.ts';
import { Statements } from '../src/thread/statements.ts';
import type { WireCaller } from '../src/wire-caller.ts';
import { temporaryFolder } from './open-store.ts';

let folder: string;
let statements: Statements;
let close: () => void;
let undo: (work: () => void) => void;

beforeAll(async () => {
  folder = await temporaryFolder();
  const database = openDatabase({ role: 'writer', path: join(folder, 'audit.db'), now: NOON }).database;
  statements = new Statements(database);
  close = () => database.close();
  undo = (work) => {
    database.exec('BEGIN');
    try {
      work();
    } finally {
      database.exec('ROLLBACK');
    }
  };
});
afterAll(async () => {
  close();
  await rm(folder, { recursive: true });
});

const ACTIONS = ['session', 'session.opened', 'session.closed', 'sessions', 'session.opened.x', 'key.made'];
const change = fc
  .record({
    at: fc.integer({ min: NOON, max: NOON + 12 }),
    action: fc.constantFrom(...ACTIONS),
    owner: fc.constantFrom(ADA, BOB, ACME, undefined),
    actor: fc.record({ id: fc.constantFrom('a', 'b'), email: fc.constantFrom('a', 'b', 'c') }),
    device: fc.integer({ min: 1, max: 3 }),
    session: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ actor, device, session, ...rest }) => ({
    ...rest,
    actor: { kind: 'user', label: '', ...actor },
    device: { id: idOf(device), name: '' },
    session: idOf(session),
  }));
const filter = fc.record(
  {
    deviceId: fc.integer({ min: 1, max: 3 }).map((n) => idOf(n)),
    session: fc.integer({ min: 1, max: 3 }).map((n) => idOf(n)),
    actor: fc.constantFrom('a', 'b', 'c'),
    action: fc.constantFrom('session', 'session.opened', 'key', 'sess'),
    since: fc.integer({ min: NOON - 1, max: NOON + 13 }),
    until: fc.integer({ min: NOON - 1, max: NOON + 13 }),
  },
  { requiredKeys: [] },
);
const caller = fc.constantFrom<WireCaller>('system', [], [ADA], [BOB, ACME]);

/** The filter as the contract words it, without any index. */
function matches(record: AuditRecord, asked: AuditFilter, by: WireCaller): boolean {
  const { deviceId, session, actor, action, since, until } = asked;
  if (by !== 'system' && !(record.owner !== undefined && by.includes(record.owner))) return false;
  if (deviceId !== undefined && record.device?.id !== deviceId) return false;
  if (session !== undefined && record.session !== session) return false;
  if (actor !== undefined && record.actor.id !== actor && record.actor.email !== actor) return false;
  if (action !== undefined && record.action !== action && !record.action.startsWith(`${action}.`)) return false;
  return (since === undefined || record.at >= since) && (until === undefined || record.at < until);
}

it('hands out by pages exactly the records that a plain filter finds, for any trail, filter, order and caller', () => {
  const read = readOperations(statements, join(folder, 'audit.db'));
  const write = writeOperations(statements);
  const order = fc.constantFrom('ascending' as const, 'descending' as const);
  fc.assert(
    fc.property(fc.array(change, { maxLength: 25 }), filter, order, caller, fc.integer({ min: 1, max: 7 }), (...given) => {
      const [changes, asked, direction, by, limit] = given;
      const records = sampleRecords(changes as unknown as readonly Partial<AuditRecord>[]).map(
        (one) => JSON.parse(JSON.stringify(one)) as AuditRecord,
      );
      undo(() => {
        write['audit.append'](records.map((record) => JSON.stringify(record)));
        const wanted = records.filter((record) => matches(record, asked as AuditFilter, by)).map(({ number }) => number);
        if (direction === 'descending') wanted.reverse();
        const found: number[] = [];
        let cursor: string | null = null;
        do {
          const page = read['audit.list'](asked as AuditFilter, { order: direction, limit, ...(cursor && { cursor }) }, by);
          found.push(...page.items.map((text) => (JSON.parse(text) as AuditRecord).number));
          cursor = page.next;
        } while (cursor !== null);
        expect(found).toEqual(wanted);
      });
    }),
    { numRuns: 400 },
  );
});
