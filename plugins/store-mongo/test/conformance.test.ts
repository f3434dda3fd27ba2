import { storeCases } from '@towline/conformance/store-cases';
import type { Store } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MongodbServer, startMongodb, whyNoMongodb } from '../../../test/support/mongodb.ts';
import { CONTENT } from '../src/database.ts';
import { databaseName, makeStore, openStore, withDatabase } from './open-store.ts';
import { isServed, type QueryShape, queriesIn, type SentCommand, withoutSession } from './query-shapes.ts';

/** FerretDB changes a document that it has read by its id alone: of two processes that race, both may win there. */
const ONLY_ON_MONGODB = new Set(['two stores on one data: a race between them has exactly one winner']);
const BUILD_MS = 600_000;
/** Hundreds of changes one after the other: FerretDB reads a collection whole for each. */
const CASE_MS = 300_000;
/** With hundreds at one time the last would wait longer there than a call may: they are handed to it a few at a time. */
const FEW_AT_A_TIME = new Set(['revocations: at most 500 are handed out at once, the oldest first']);
const FEW = 8;

/** Queries that no index answers by itself, and why they may be. */
const ALLOWED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    CONTENT.map((name) => [`${name} {  } sorted by []`, 'an import: is it empty; and all is deleted where one is undone']),
  ),
  ...Object.fromEntries(CONTENT.map((name) => [`${name} {  } sorted by [_id]`, 'in the order of the ids: an export, the last number'])),
  'devices { gone:rest } sorted by [_id]': 'a page for the kernel, in the order of the ids: next to none is gone',
  'keys { revokedAt:rest } sorted by [_id]': 'a page for platform admins, in the order of the ids',
  'organisations { deletedAt:rest } sorted by [_id]': 'a page for platform admins, in the order of the ids',
  'users { disabledAt:rest } sorted by [_id]': 'a page in the order of the ids: most are not disabled',
  'users { disabledAt:range } sorted by [_id]': 'found by the index, and put in order then: few are disabled',
  'audit { records.at:range } sorted by [_id]': 'times alone: in the order of the numbers, or by the index of times and put in order',
};

const missing = await whyNoMongodb();
let server: MongodbServer | undefined;
/** By their texts, each with a command that was sent. */
const sent = new Map<string, { readonly shape: QueryShape; readonly command: SentCommand }>();

const onCommand = (command: SentCommand) => {
  for (const { shape } of queriesIn(command)) sent.set(shape.text, { shape, command });
};

beforeAll(async () => {
  if (missing === null) server = await startMongodb();
}, BUILD_MS);
afterAll(() => server?.stop());

describe('the store contract on MongoDB', () => {
  for (const { name, run } of storeCases) {
    it(
      name,
      async (context) => {
        if (!server) return context.skip(missing!);
        if (!server.isReal && ONLY_ON_MONGODB.has(name)) return context.skip('needs TOWLINE_TEST_MONGODB_URI: FerretDB cannot show it');
        const handle = await makeStore(server, onCommand);
        try {
          await run(!server.isReal && FEW_AT_A_TIME.has(name) ? { ...handle, store: revokingFew(handle.store) } : handle);
        } finally {
          await handle.dispose();
        }
      },
      CASE_MS,
    );
  }
});

/** The store, with at most some revocations of keys under way. */
function revokingFew(store: Store): Store {
  const turns: (() => void)[] = [];
  let running = 0;
  const revoke: Store['keys']['revoke'] = async (...args) => {
    if (running >= FEW) await new Promise<void>((resolve) => turns.push(resolve));
    running += 1;
    try {
      return await store.keys.revoke(...args);
    } finally {
      running -= 1;
      turns.shift()?.();
    }
  };
  const keys = { ...store.keys, revoke };
  return { keys, revocations: store.revocations } as unknown as Store;
}

describe('the queries that all these cases made', () => {
  it('go by indexes that are declared, each but those that mean a whole collection', (context) => {
    if (!server) return context.skip(missing!);
    expect(sent.size).toBeGreaterThan(60);
    const unserved = [...sent.values()].filter(({ shape }) => !isServed(shape)).map(({ shape }) => shape.text);
    expect(unserved.filter((text) => !(text in ALLOWED))).toEqual([]);
    expect(Object.keys(ALLOWED).filter((text) => !unserved.includes(text))).toEqual([]);
  });

  it('look at no collection from end to end by the plans of the server', async (context) => {
    if (!server?.isReal) return context.skip(missing ?? 'needs TOWLINE_TEST_MONGODB_URI: FerretDB has no such plans');
    const database = databaseName();
    const store = await openStore(server.uri, database);
    await store[Symbol.asyncDispose]();
    await withDatabase(server.uri, database, async (db) => {
      for (const { shape, command } of sent.values()) {
        if (shape.text.includes('{  }')) continue;
        const plan = await db.command({ explain: withoutSession(command), verbosity: 'queryPlanner' });
        expect(JSON.stringify(plan), shape.text).not.toContain('COLLSCAN');
      }
      await db.dropDatabase();
    });
  });

  it('are told from those without an index', () => {
    const shapeOf = (filter: object, sort: object = {}) =>
      queriesIn({ commandName: 'find', command: { find: 'keys', filter, sort } }).map(({ shape }) => isServed(shape))[0];
    expect(shapeOf({ owner: 'a', kind: 'user' }, { _id: 1 })).toBe(true);
    expect(shapeOf({ $or: [{ owner: { $in: ['a'] } }, { deviceId: 'b' }] }, { _id: 1 })).toBe(true);
    expect(shapeOf({ $or: [{ owner: { $in: ['a'] } }, { name: 'b' }] }, { _id: 1 })).toBe(false);
    expect(shapeOf({ owner: { $gt: 'a' } }, { _id: 1 })).toBe(false);
    expect(shapeOf({ owner: 'a' }, { createdAt: 1 })).toBe(false);
    expect(shapeOf({ name: 'a' })).toBe(false);
    expect(shapeOf({ owner: { $ne: 'a' } })).toBe(false);
  });
});
