import type { AuditRecord, Page } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FaultyWay, openFaultyWay } from './support/faulty-way.ts';
import { type MongodbServer, startMongodb, whyNoMongodb } from './support/mongodb.ts';
import { openMongoStore, type RelayDatabase, relayDatabase } from './support/mongodb-relay.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const BUILD_MS = 600_000;
const TEST_MS = 180_000;
/** One that stands still is given up after two periods of 5 s; the rest is room for a loaded machine. */
const NOTICED_MS = 60_000;
const WORKERS = 4;

const missing =
  (await whyNoMongodb()) ?? (process.env.TOWLINE_TEST_MONGODB_URI ? 'the server that was given is not ours to take away' : null);
let server: MongodbServer;
let way: FaultyWay;
let system: TestSystem;
let database: RelayDatabase;
let relay: TestRelay;
let api: RelayApi;
let device: TestDevice;
let next = 1;

beforeAll(async () => {
  if (missing !== null) return;
  server = await startMongodb();
  way = await openFaultyWay(server.port!);
  system = createSystem();
  database = relayDatabase(system.dir, { uri: `mongodb://127.0.0.1:${way.port}/` });
  relay = await database.start('relay');
  api = openApi(relay);
  device = await system.enrolDevice(relay, { name: 'pi' });
}, BUILD_MS);
afterAll(async () => {
  if (missing !== null) return;
  api?.[Symbol.dispose]();
  await device?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
  await way[Symbol.asyncDispose]();
  await server.stop();
});

interface Load {
  /** Organisations whose making was answered. */
  readonly made: readonly string[];
  /** What was answered otherwise: status and code. */
  readonly failures: ReadonlySet<string>;
  /** Ends it. Resolves when every request has its answer. */
  end(): Promise<void>;
}

/** Makes organisations as fast as it goes, some at one time. */
function load(): Load {
  const made: string[] = [];
  const failures = new Set<string>();
  let running = true;
  const work = async () => {
    while (running) {
      const id = `org-${next++}`;
      const { status, code } = await api.call('POST', '/v1/orgs', { key: relay.adminKey, body: { id } });
      if (status === 201) made.push(id);
      else failures.add(`${status} ${code}`);
    }
  };
  const workers = Array.from({ length: WORKERS }, work);
  return {
    made,
    failures,
    async end() {
      running = false;
      await Promise.all(workers);
    },
  };
}

const readiness = async () => (await api.call('GET', '/readyz')).status;

async function allOf<Item>(path: string): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | null = '';
  while (cursor !== null) {
    const more: string = cursor === '' ? '' : `&cursor=${cursor}`;
    const page: { items: Item[]; next: string | null } = bodyOf(await api.call('GET', `${path}?limit=200${more}`, { key: relay.adminKey }));
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

interface Outage {
  readonly name: string;
  begin(): void | Promise<void>;
  end(): void | Promise<void>;
}

const OUTAGES: readonly Outage[] = [
  { name: 'cannot be reached any more', begin: () => way.cut(), end: () => way.restore() },
  { name: 'does not answer any more', begin: () => way.stall(), end: () => way.restore() },
  { name: 'is killed', begin: () => server.kill!(), end: () => server.restart!() },
];

describe.skipIf(missing).each(OUTAGES)('a database that $name, under load', { timeout: TEST_MS }, ({ begin, end }) => {
  it('makes requests fail with store_failed and the relay not ready; all works again by itself, and nothing acknowledged is lost', async () => {
    const running = load();
    await eventually(async () => running.made.length > 5, 'organisations are made');
    await begin();
    await eventually(async () => running.failures.has('503 store_failed'), 'requests fail', NOTICED_MS);
    expect(await readiness()).toBe(503);
    expect((await api.call('GET', '/healthz')).status).toBe(200);
    const before = running.made.length;
    await end();
    await eventually(async () => running.made.length > before + 5, 'organisations are made again', NOTICED_MS);
    expect(await readiness()).toBe(200);
    await running.end();
    expect([...running.failures].filter((failure) => failure !== '503 store_failed' && failure !== '503 unavailable')).toEqual([]);
    const present = new Set((await allOf<{ id: string }>('/v1/orgs')).map(({ id }) => id));
    expect(running.made.filter((id) => !present.has(id))).toEqual([]);
    const told = new Set((await allOf<{ detail?: { org?: string } }>('/v1/audit')).map(({ detail }) => detail?.org));
    expect(running.made.filter((id) => !told.has(id))).toEqual([]);
    expect(await system.towline(relay, ['pi', 'exec', '--', 'echo', 'done'])).toMatchObject({ code: 0, stdout: 'done\n' });
  });
});

describe.skipIf(missing)('what was acknowledged in all that', { timeout: TEST_MS }, () => {
  it('is a trail without a gap, each record bound to the one before; the relay did not end', async () => {
    await using store = await openMongoStore(server.uri, database.name);
    const records: AuditRecord[] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page: Page<AuditRecord> = await store.audit.list({}, 'ascending', { limit: 500, ...(cursor && { cursor }) }, SYSTEM_SCOPE);
      records.push(...page.items);
      cursor = page.next;
    }
    expect(records.map(({ number }) => number)).toEqual(records.map((_, n) => n + 1));
    expect(records.slice(1).map(({ previousHash }) => previousHash)).toEqual(records.slice(0, -1).map(({ hash }) => hash));
    expect(relay.program.child.exitCode).toBeNull();
  });
});
