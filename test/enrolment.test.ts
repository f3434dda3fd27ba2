import { readFileSync, rmSync, statSync } from 'node:fs';
import { arch, hostname, platform } from 'node:os';
import { join } from 'node:path';
import type { DeviceView, ListView, RegistrationView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from './support/keys.ts';
import { bin, runProgram } from './support/process.ts';
import { dialDevice } from './support/raw-device.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** Access ends within a second (row B5); the machine that runs this may be busy. */
const SOON_MS = 3_000;

let system: TestSystem;
let relay: TestRelay;
let alice: string;
let orgAdmin: string;
let operator: string;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  const keys = await Promise.all([
    createKey(system, relay, ['--email', 'alice@example.com']),
    createKey(system, relay, ['--email', 'olga@example.com', '--scope', 'org:acme', '--role', 'admin']),
    createKey(system, relay, ['--email', 'otto@example.com', '--scope', 'org:acme', '--role', 'operator']),
  ]);
  [alice, orgAdmin, operator] = keys.map(({ key }) => key) as [string, string, string];
});
afterAll(() => system[Symbol.asyncDispose]());

const run = (key: string, ...args: string[]) => system.towline(relay, args, { key });
const listed = async <Item>(key: string, ...args: string[]): Promise<readonly Item[]> =>
  (JSON.parse((await run(key, 'devices', 'list', '--json', ...args)).stdout) as ListView<Item>).items;
const startAlices = (name: string) => system.startDevice(relay, { name, email: 'alice@example.com' });
const enrolAlices = async (name: string): Promise<TestDevice> => {
  const device = startAlices(name);
  const { request } = await device.event('waiting');
  expect((await run(alice, 'devices', 'approve', String(request))).code).toBe(0);
  await device.event('online');
  return device;
};
const read = (device: TestDevice, file: string) => JSON.parse(readFileSync(join(device.dir, file), 'utf8')) as Record<string, unknown>;
const storedKey = (device: TestDevice) => (read(device, 'credentials.json').device_credentials as { api_key: string }).api_key;
const exists = (device: TestDevice, file: string) => statSync(join(device.dir, file), { throwIfNoEntry: false }) !== undefined;
const refusalOf = (key: string) =>
  dialDevice(relay, key).then(
    (link) => link.close('link_closed').then(() => null),
    (error: { code: string }) => error.code,
  );

describe('runtime run --email', () => {
  it('waits for that person, who sees the fingerprint that the device prints, and approves', async () => {
    const device = startAlices('hers');
    const waiting = await device.event('waiting');
    expect(waiting).toMatchObject({ owner: 'user:alice@example.com' });
    const { fingerprint, request } = waiting as { fingerprint: string; request: string };
    await device.program.saw(new RegExp(fingerprint), 'stderr');
    expect(exists(device, 'credentials.json'), 'no credential before the approval').toBe(false);

    const [pending, table] = await Promise.all([listed<RegistrationView>(alice, '--pending'), run(alice, 'devices', 'list', '--pending')]);
    expect(pending).toMatchObject([
      { id: request, name: 'hers', fingerprint, facts: { hostname: hostname(), platform: platform(), arch: arch() }, state: 'pending' },
    ]);
    expect(table.stdout).toContain(fingerprint);

    const approved = await run(alice, 'devices', 'approve', request);
    expect(approved).toMatchObject({ code: 0 });
    expect(approved.stdout).toContain(fingerprint);
    const enrolled = await device.event('enrolled');
    await device.event('online');
    expect(await listed<DeviceView>(alice)).toMatchObject([{ id: enrolled.device, name: 'hers', fingerprint, online: true }]);
    expect(await listed(alice, '--pending')).toEqual([]);
    for (const file of ['credentials.json', 'device.json']) expect(statSync(join(device.dir, file)).mode & 0o777).toBe(0o600);
    expect(storedKey(device)).toMatch(/^twl_d_/);
    expect((await run(alice, 'devices', 'approve', request)).code, 'the request is over').toBe(4);
  });

  it('needs somebody to be named, and only one', async () => {
    const both = system.startDevice(relay, { name: 'both', args: ['--org', 'acme'] });
    const env = { TOWLINE_CONFIG_DIR: join(system.dir, 'device-nobodys') };
    const none = runProgram(bin('towline-agent'), ['run', '--relay', relay.url, '--fingerprint', relay.fingerprint], { env });
    expect(await both.program.finished).toMatchObject({ code: 2, stderr: expect.stringContaining('--email or --org, not both') });
    expect(await none).toMatchObject({ code: 2, stderr: expect.stringContaining('Give --email ADDRESS or --org ID once') });
  });
});

describe('runtime run --org', () => {
  it('waits for an admin of the organisation; nobody else sees it or may decide', async () => {
    const device = system.startDevice(relay, { name: 'theirs', org: 'acme' });
    const request = String((await device.event('waiting')).request);
    const [unseen, stranger, weak] = await Promise.all([
      listed(alice, '--pending'),
      run(alice, 'devices', 'approve', request),
      run(operator, 'devices', 'approve', request),
    ]);
    expect(unseen).toEqual([]);
    expect(stranger, 'not visible').toMatchObject({ code: 4 });
    expect(weak, 'visible, not allowed').toMatchObject({ code: 3 });
    expect(weak.stderr).toContain('role admin on org:acme');
    expect((await run(orgAdmin, 'devices', 'approve', request)).code).toBe(0);
    await device.event('online');
    expect(await listed(orgAdmin)).toMatchObject([{ name: 'theirs', owner: 'org:acme', enrolled_by: 'olga@example.com' }]);
  });
});

describe.concurrent('devices reject and remove of a request that waits', () => {
  it.each(['reject', 'remove'])('%s tells the device why, which stops and has no credential', async (verb) => {
    const device = startAlices(`turned-${verb}`);
    const request = String((await device.event('waiting')).request);
    const by = verb === 'reject' ? request : String(read(device, 'device.json').device_id);
    const refused = await run(alice, 'devices', verb, by, '--reason', 'not one of ours\u001b[2J');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('reason') });
    expect(await run(alice, 'devices', verb, by, '--reason', 'not one of ours')).toMatchObject({ code: 0 });
    const stopped = await device.event('stopped');
    expect(stopped).toMatchObject({ code: 'registration_rejected' });
    expect(stopped.message).toContain('not one of ours');
    expect((await device.program.finished).code).toBe(3);
    expect(exists(device, 'credentials.json')).toBe(false);
    expect((await run(alice, 'devices', 'approve', request)).code, 'a rejection stands').not.toBe(0);
    expect((await listed<DeviceView>(alice)).map(({ name }) => name)).not.toContain(`turned-${verb}`);
  });
});

describe.concurrent('devices remove and reject of an enrolled device', () => {
  it.each(['remove', 'reject'])('%s ends a live device: link, session, credential and process; it can enrol again', async (verb) => {
    const name = `gone-${verb}`;
    const device = await enrolAlices(name);
    const key = storedKey(device);
    const id = read(device, 'device.json').device_id;
    const session = system.startTowline(relay, [name, 'exec', '--', 'sh', '-c', 'echo up; exec sleep 300'], { key: alice });
    await session.saw(/up/);

    expect(await run(alice, 'devices', verb, name, '--reason', 'sold')).toMatchObject({ code: 0 });
    const from = performance.now();
    const stopped = await device.event('stopped');
    expect(performance.now() - from).toBeLessThan(SOON_MS);
    expect(stopped).toMatchObject({ code: 'device_removed' });
    expect(stopped.message).toContain('sold');
    expect((await device.program.finished).code).toBe(3);
    expect((await session.finished).code, 'the session broke').toBe(255);
    expect(read(device, 'credentials.json').device_credentials).toBeUndefined();
    expect(await refusalOf(key)).toBe('key_revoked');
    expect((await listed<DeviceView>(alice)).map((each) => each.name)).not.toContain(name);

    const again = await enrolAlices(name);
    expect(read(again, 'device.json').device_id, 'the identity stays').toBe(id);
    expect((await system.towline(relay, [name, 'exec', '--', 'echo', 'back'], { key: alice })).stdout).toBe('back\n');
    expect(await refusalOf(key)).toBe('key_revoked');
  });
});

describe.concurrent('a device that lost its credential', () => {
  it('enrols again with the same key, stays one device, and the lost credential is dead', async () => {
    const device = await enrolAlices('forgetful');
    const key = storedKey(device);
    await device[Symbol.asyncDispose]();
    rmSync(join(device.dir, 'credentials.json'));
    const again = startAlices('forgetful');
    const { request } = await again.event('waiting');
    expect(await refusalOf(key), 'until somebody approves, the old key goes on').toBeNull();
    expect((await run(alice, 'devices', 'approve', String(request))).code).toBe(0);
    await again.event('online');
    expect((await listed<DeviceView>(alice)).filter(({ name }) => name === 'forgetful')).toMatchObject([
      { id: read(again, 'device.json').device_id, online: true },
    ]);
    await eventually(async () => (await refusalOf(key)) === 'key_revoked', 'the lost credential is dead');
    expect(storedKey(again)).not.toBe(key);
  });
});
