import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceView, ListView, RegistrationView } from '@towline/contract';
import { parseApiKey } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey, type TestKey } from './support/keys.ts';
import { bin, startProgram } from './support/process.ts';
import { claimBody, createIdentity, dialDevice, registrationBody, requestEnrolment } from './support/raw-device.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let fleet: TestKey;
let user: TestKey;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  api = openApi(relay);
  [fleet, user] = await Promise.all([
    createKey(system, relay, ['--enrol', '--org', 'acme']),
    createKey(system, relay, ['--email', 'admin@example.com']),
  ]);
});
afterAll(async () => {
  // First: it ends every process, also when the rest was never made.
  await system[Symbol.asyncDispose]();
  api[Symbol.dispose]();
});

/** Starts a runtime that enrols by a key at once. */
const enrolByKey = async (name: string): Promise<TestDevice> => {
  const device = system.startDevice(relay, { name, org: 'acme', env: { TOWLINE_API_KEY: fleet.key } });
  await device.event('online');
  return device;
};
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, Record<string, unknown>>;
const storedKey = ({ dir }: TestDevice) => read(join(dir, 'credentials.json')).device_credentials?.api_key as string;
const devices = async () => bodyOf<ListView<DeviceView>>(await api.call('GET', '/v1/devices', { key: relay.adminKey })).items;
const enrolWith = (key: string, owner?: string) =>
  api.call('POST', '/v1/registrations', {
    key,
    body: registrationBody(createIdentity(), { name: 'image', ...(owner === undefined ? {} : { owner }) }),
  });

describe('an enrolment key', () => {
  it('enrols a runtime that names no owner or the right one, without anybody approving, also with its last use', async () => {
    const two = await createKey(system, relay, ['--enrol', '--org', 'acme', '--count', '2']);
    const start = (name: string, env: Record<string, string>) =>
      startProgram(bin('towline-agent'), ['run', '--relay', relay.url, '--fingerprint', relay.fingerprint, '--name', name, '--json'], {
        env: { TOWLINE_CONFIG_DIR: join(system.dir, `device-${name}`), TOWLINE_API_KEY: two.key, ...env },
      });
    await using unnamed = start('unnamed', {});
    await unnamed.saw(/"event":"online"/);
    await using named = start('named', { OWNER_REFERENCE: 'org:acme' });
    await named.saw(/"event":"online"/);
    expect((await devices()).filter(({ name }) => name.endsWith('named'))).toMatchObject([
      { owner: 'org:acme', online: true },
      { owner: 'org:acme', online: true },
    ]);
    await using third = start('third', {});
    const { code, stdout } = await third.finished;
    expect(code).toBe(3);
    expect(stdout).toMatch(/"event":"stopped","code":"key_spent"/);
    expect((await devices()).map(({ name }) => name)).not.toContain('third');
  });

  it('enrols no more devices than its count when ten come at the same moment', async () => {
    const three = await createKey(system, relay, ['--enrol', '--org', 'acme', '--count', '3']);
    const answers = await Promise.all(Array.from({ length: 10 }, () => enrolWith(three.key)));
    expect(answers.map(({ code }) => code ?? 'enrolled').toSorted()).toEqual([
      ...['enrolled', 'enrolled', 'enrolled'],
      ...Array.from({ length: 7 }, () => 'key_spent'),
    ]);
    const { items } = bodyOf<ListView<RegistrationView>>(await api.call('GET', '/v1/registrations', { key: relay.adminKey }));
    expect(items, 'refused ones do not wait for approval').toEqual([]);
  });

  it('is spent once by a device that asks again, and its last use can be claimed', async () => {
    const two = await createKey(system, relay, ['--enrol', '--org', 'acme', '--count', '2']);
    const [first, last] = [createIdentity(), createIdentity()];
    const request = await requestEnrolment(api, first, { name: 'twice', key: two.key });
    expect(await requestEnrolment(api, first, { name: 'twice', key: two.key })).toMatchObject({ id: request.id, state: 'approved' });
    const final = await requestEnrolment(api, last, { name: 'last', key: two.key });
    const claimed = await api.call('POST', `/v1/registrations/${final.id}/claim`, { key: two.key, body: claimBody(last, final) });
    expect(claimed.body).toMatchObject({ state: 'approved', device: { id: last.id } });
  });

  it('enrols for its own owner only', async () => {
    expect(await enrolWith(fleet.key, 'org:globex')).toMatchObject({ status: 403, code: 'forbidden' });
    const device = system.startDevice(relay, { name: 'astray', email: 'admin@example.com', env: { TOWLINE_API_KEY: fleet.key } });
    expect(await device.event('stopped')).toMatchObject({ code: 'forbidden' });
    expect((await device.program.finished).code).toBe(3);
  });

  it('is refused when it was revoked or has expired', async () => {
    const [revoked, brief] = await Promise.all([
      createKey(system, relay, ['--enrol', '--org', 'acme']),
      createKey(system, relay, ['--enrol', '--org', 'acme', '--expires', '1s']),
    ]);
    expect((await system.rescue(relay, ['keys', 'revoke', revoked.id])).code).toBe(0);
    expect(await enrolWith(revoked.key)).toMatchObject({ status: 401, code: 'key_revoked' });
    await eventually(async () => (await enrolWith(brief.key)).code === 'key_expired', 'the key expires');
    const device = system.startDevice(relay, { name: 'late', org: 'acme', env: { TOWLINE_API_KEY: brief.key } });
    expect(await device.event('stopped')).toMatchObject({ code: 'key_expired' });
    expect((await device.program.finished).code).toBe(3);
  });

  it('cannot take over a device that waits under another key, nor be made up', async () => {
    const identity = createIdentity();
    await requestEnrolment(api, identity, { name: 'held', owner: 'org:acme' });
    const body = registrationBody(createIdentity(identity.id), { name: 'held' });
    expect(await api.call('POST', '/v1/registrations', { key: fleet.key, body })).toMatchObject({ code: 'device_identity' });
    const forged = fleet.key.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
    expect(await enrolWith(forged)).toMatchObject({ status: 401, code: 'unauthenticated' });
    await api.call('POST', `/v1/registrations/${(await requestEnrolment(api, identity, { name: 'held', owner: 'org:acme' })).id}/reject`, {
      key: relay.adminKey,
    });
  });
});

describe('the key of a device in TOWLINE_API_KEY', () => {
  it('works with the private key of that device, and on no other machine', async () => {
    const device = await enrolByKey('moved');
    const key = storedKey(device);
    await device[Symbol.asyncDispose]();
    const state = read(join(device.dir, 'device.json'));
    writeFileSync(join(device.dir, 'device.json'), JSON.stringify({ ...state, relay: undefined }));
    writeFileSync(join(device.dir, 'credentials.json'), '{}');

    const elsewhere = system.startDevice(relay, { name: 'elsewhere', org: 'acme', env: { TOWLINE_API_KEY: key } });
    expect(await elsewhere.event('stopped')).toMatchObject({ code: 'proof_invalid' });
    expect((await elsewhere.program.finished).code).toBe(3);

    const again = system.startDevice(relay, { name: 'moved', org: 'acme', env: { TOWLINE_API_KEY: key } });
    await again.event('online');
    const { code, stdout } = await system.towline(relay, ['moved', 'exec', '--', 'echo', 'served']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'served\n' });
    expect((await devices()).filter(({ name }) => name === 'moved')).toHaveLength(1);
  });
});

describe('a key in the wrong place', () => {
  it('is named: the key of a user at a runtime', async () => {
    const device = system.startDevice(relay, { name: 'wrong', org: 'acme', env: { TOWLINE_API_KEY: user.key } });
    const { code, stderr } = await device.program.finished;
    expect(code).toBe(3);
    expect(stderr).toContain('the key of a user');
    expect(stderr).not.toContain(user.key);
  });

  it.each([
    ['a device', () => `twl_d_${'0'.repeat(16)}_${'0'.repeat(64)}`],
    ['an enrolment', () => fleet.key],
  ])('is named: the key of %s at the command line', async (what, key) => {
    const { code, stderr } = await system.towline(relay, ['devices', 'list'], { key: key() });
    expect(code).toBe(3);
    expect(stderr).toContain(`that of ${what}, not of a user`);
    expect(stderr).not.toContain(key());
  });
});

describe('towline devices rotate', () => {
  it('renews the key under a running session; the old key is dead, and the next start uses the new one', async () => {
    const device = await enrolByKey('turning');
    const old = storedKey(device);
    const session = system.startTowline(relay, ['turning', 'exec', '-i', '--', 'cat'], { stdin: 'pipe' });
    session.child.stdin!.write('before\n');
    await session.saw(/before/);

    const rotated = await system.towline(relay, ['devices', 'rotate', 'turning', '--json']);
    const { key_id } = JSON.parse(rotated.stdout) as { key_id: string };
    await eventually(async () => parseApiKey(storedKey(device))?.id === key_id, 'the device stores the new key');
    expect(statSync(join(device.dir, 'credentials.json')).mode & 0o777).toBe(0o600);
    const refusal = () => dialDevice(relay, old).then((link) => link.close('link_closed').then(() => null), String);
    await eventually(async () => (await refusal())?.includes('revoked'), 'the old key is dead');

    session.child.stdin!.end('after\n');
    expect(await session.finished).toMatchObject({ code: 0, stdout: 'before\nafter\n' });
    expect(device.program.stdout, 'the link was never lost').not.toContain('"offline"');

    await device[Symbol.asyncDispose]();
    const offline = await eventually(async () => {
      const answer = await system.towline(relay, ['devices', 'rotate', 'turning']);
      return answer.code === 0 ? null : answer;
    }, 'the device is offline');
    expect(offline).toMatchObject({ code: 5 });
    const again = system.startDevice(relay, { name: 'turning', org: 'acme' });
    await again.event('online');
    expect(parseApiKey(storedKey(again))?.id).toBe(key_id);
  });
});
