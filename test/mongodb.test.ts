import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ACME,
  BOB,
  keyIdOf,
  NOON,
  sampleDevice,
  sampleKey,
  sampleLogin,
  sampleMembership,
  sampleOrganisation,
  sampleRegistration,
  sampleSecret,
  sampleSession,
  sampleShare,
} from '@towline/conformance/store-cases';
import { STORE_RECORD_KINDS } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MongodbServer, startMongodb, whyNoMongodb } from './support/mongodb.ts';
import { openMongoStore, type RelayDatabase, relayDatabase } from './support/mongodb-relay.ts';
import type { Finished } from './support/process.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { endRelay, runRelay } from './support/relay-process.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';

const BUILD_MS = 600_000;
const TEST_MS = 120_000;

const missing = await whyNoMongodb();
let server: MongodbServer;
let system: TestSystem;
let database: RelayDatabase;
let relay: TestRelay;
let api: RelayApi;

beforeAll(async () => {
  if (missing !== null) return;
  server = await startMongodb();
  system = createSystem();
  database = relayDatabase(system.dir, server);
  relay = await database.start('first');
  api = openApi(relay);
}, BUILD_MS);
afterAll(async () => {
  if (missing !== null) return;
  api?.[Symbol.dispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
  await database.drop();
  await server.stop();
});

/** A key of somebody who is no admin, made by the rescue command beside the running relay. */
function keyOf({ code, stdout }: Finished): { readonly id: string; readonly key: string } {
  expect(code).toBe(0);
  return JSON.parse(stdout) as { readonly id: string; readonly key: string };
}

describe.skipIf(missing)('a relay whose state is in a MongoDB', { timeout: TEST_MS }, () => {
  it('enrols a device, runs a command on it, and has it all in the trail', async () => {
    await using device = await system.enrolDevice(relay, { name: 'pi' });
    expect(await system.towline(relay, ['pi', 'exec', '--', 'echo', 'done'])).toMatchObject({ code: 0, stdout: 'done\n' });
    const { stdout } = await system.towline(relay, ['audit', '--json']);
    const actions = (JSON.parse(stdout) as { items: { action: string }[] }).items.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['device.approved', 'device.claimed', 'session.opened', 'session.closed']));
    expect(device.name).toBe('pi');
  });

  it('has everything after it was killed: the device comes back, the trail goes on', async () => {
    await using device = system.startDevice(relay, { name: 'pi' });
    await device.event('online');
    await endRelay(relay, 'SIGKILL');
    relay = await database.start('first', { port: relay.port });
    await device.event('online');
    expect(await system.towline(relay, ['pi', 'exec', '--', 'echo', 'again'])).toMatchObject({ code: 0, stdout: 'again\n' });
  });

  it('refuses a key that another relay on the same database has revoked, and cuts off who uses it', async () => {
    const second = await database.start('second');
    try {
      const { id, key } = keyOf(await database.run('first', ['keys', 'create', '--json', '--email', 'bob@example.com']));
      using other = openApi(second);
      expect(await other.call('GET', '/v1/me', { key })).toMatchObject({ status: 200 });
      expect(await system.towline(relay, ['keys', 'revoke', id])).toMatchObject({ code: 0 });
      expect(await other.call('GET', '/v1/me', { key })).toMatchObject({ status: 401 });
      await using device = system.startDevice(relay, { name: 'pi' });
      await device.event('online');
      using admin = openApi(relay);
      const items = bodyOf<{ items: { id: string; name: string }[] }>(
        await admin.call('GET', '/v1/devices', { key: relay.adminKey }),
      ).items;
      const { id: deviceId } = items.find(({ name }) => name === 'pi')!;
      expect(await other.call('DELETE', `/v1/devices/${deviceId}`, { key: relay.adminKey })).toMatchObject({ status: 204 });
      expect(await device.event('stopped')).toMatchObject({ code: 'device_removed' });
    } finally {
      await second[Symbol.asyncDispose]();
    }
  });

  it('tells when its address is of no use, without the password in it', async () => {
    const cases = [
      ['mongodb://ada:s3cr3t-in-an-address@[::bad/', 'start', 'The address of the database cannot be read'],
      ['mongodb://ada:s3cr3t-in-an-address@127.0.0.1:1/', 'start', 'ECONNREFUSED'],
      [
        'mongo://ada:s3cr3t-in-an-address@h/',
        'check',
        'uri: expected an address that begins with mongodb:// or mongodb+srv://, here or in TOWLINE_MONGODB_URI',
      ],
    ] as const;
    for (const [uri, command, said] of cases) {
      const { code, stdout, stderr } = await runRelay([command, '--data', join(system.dir, 'none')], { env: { TOWLINE_MONGODB_URI: uri } });
      expect(code).toBeGreaterThan(0);
      expect(`${stdout}${stderr}`).toContain(said);
      expect(`${stdout}${stderr}`).not.toContain('s3cr3t');
    }
  });
});

describe.skipIf(missing)('an export', { timeout: TEST_MS }, () => {
  it('goes from MongoDB to SQLite, to MongoDB and to SQLite again, without a byte that differs but for the first line', async () => {
    await fillBeside();
    const files = ['one', 'two', 'three', 'four'].map((name) => join(system.dir, `${name}.jsonl`)) as [string, string, string, string];
    const moved = relayDatabase(system.dir, server);
    const sqlite = (name: string) => (args: readonly string[]) => runRelay([...args, '--data', join(system.dir, name)]);
    const mongo = (args: readonly string[]) => moved.run('moved', args);
    expect(await database.run('first', ['store', 'export', files[0]])).toMatchObject({ code: 0 });
    for (const [place, run] of [sqlite('there'), mongo, sqlite('back')].entries()) {
      expect(await run(['store', 'import', files[place]!])).toMatchObject({ code: 0 });
      expect(await run(['store', 'export', files[place + 1]!])).toMatchObject({ code: 0 });
    }
    const [first, ...later] = files.map(recordsOf);
    const kinds = new Set(first!.slice(0, -1).map((line) => (JSON.parse(line) as { kind: string }).kind));
    expect([...kinds]).toEqual(STORE_RECORD_KINDS);
    for (const lines of later) expect(lines).toEqual(first);
    expect(await mongo(['store', 'import', files[0]])).toMatchObject({ code: 1, stderr: expect.stringContaining('not empty') });
    await moved.drop();
  });
});

/** The lines of an export without the first, which tells of the time, and without the hash in the last, which covers it. */
function recordsOf(file: string): string[] {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  return lines.slice(1).map((line) => line.replace(/"sha256":"[0-9a-f]{64}"/, '"sha256":""'));
}

/** Something of every kind but audit records, of which the relay has some, by another process than the relay. */
async function fillBeside(): Promise<void> {
  await using store = await openMongoStore(server.uri, database.name);
  const odd = 'a\0b "é" \u2028 👩‍👩‍👧‍👦 $where {"$gt":""}';
  await store.users.note(sampleLogin(1));
  await store.organisations.insert(sampleOrganisation({ name: odd }));
  // UTF-16 would put them the other way round.
  for (const email of ['\u{1f600}@example.com', '\uff21@example.com'])
    await store.organisations.setMember(sampleMembership(1, { email }), [ACME]);
  for (const n of [2, 1]) await store.secrets.insert(sampleSecret(n));
  await store.secrets.insert(sampleSecret(3, { scope: 'org:acme-2' as typeof ACME }));
  await store.secrets.insert(sampleSecret(3, { scope: ACME }));
  for (const n of [2, 1])
    await store.devices.insert(sampleDevice(n, { name: odd, shares: [sampleShare(BOB, { streams: ['exec'], until: NOON })] }));
  await store.registrations.insert(sampleRegistration(1));
  await store.keys.insert(sampleKey(1, { bounded: true, devices: [] }));
  await store.sessions.insert(sampleSession(1, { detail: { $where: [odd], 'a.b': 0.1 } }));
  await store.keys.revoke(keyIdOf(1), { at: NOON, code: 'key_revoked', message: odd }, SYSTEM_SCOPE);
}
