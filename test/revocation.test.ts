import type { Device, DeviceView, Share } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { OrgId, RelayToDevice, Scope } from '@towline/protocol';
import type { SqliteStore } from '@towline/store-sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createKey } from './support/keys.ts';
import { addOrg, type LiveClient, linkLive, openStoreOf, SOON_MS, setMember, startLiveRelay, tokenOf } from './support/live-relay.ts';
import {
  createIdentity,
  type EnrolledRawDevice,
  enrolRawDevice,
  linkDevice,
  type RawDeviceLink,
  registrationBody,
  requestEnrolment,
} from './support/raw-device.ts';
import { inTime } from './support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

const NOTICE = { code: 'access_ended', message: 'The device is not shared with you any more.' } as const;

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let store: SqliteStore;
let pi: EnrolledRawDevice;
let linked: RawDeviceLink;
/** What the device was told to end: session, code and message. */
const told: Extract<RelayToDevice, { type: 'end_session' }>[] = [];

beforeAll(async () => {
  system = createSystem();
  relay = await startLiveRelay(system, 'site');
  api = openApi(relay);
  store = await openStoreOf(relay);
  await addOrg(store, 'acme', { 'ada@example.com': 'admin', 'bob@example.com': 'operator', 'otto@example.com': 'operator' });
  pi = await enrolRawDevice(api, { name: 'pi', owner: 'org:acme' });
  linked = await linkDevice(relay, pi.apiKey, { identity: pi.identity });
  linked.control.onMessage((message) => {
    if (message.type === 'end_session') told.push(message);
  });
});
afterAll(async () => {
  await store?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
});
beforeEach(() => {
  told.length = 0;
});

const login = (email: string) => linkLive(relay, tokenOf(email));
/** Changes the shares of the device beside the relay. */
const share = async (shares: readonly Omit<Share, 'sharedAt' | 'sharedBy'>[], id = pi.identity.id): Promise<void> => {
  const device = (await store.devices.get(id, SYSTEM_SCOPE)) as Device;
  const given = shares.map((each) => ({ ...each, sharedAt: Date.now(), sharedBy: 'test' }));
  await store.devices.update(id, { shares: given }, device.revision, SYSTEM_SCOPE, { at: Date.now(), ...NOTICE });
};
const openOn = (client: LiveClient, protocol?: '/exec/1' | '/shell/1') => client.open(pi.identity.id, protocol);
const soon = <Value>(promise: Promise<Value>, what: string) => inTime(promise, what, SOON_MS);
const isOpen = async (ended: Promise<unknown>) =>
  (await Promise.race([ended, new Promise((later) => setTimeout(later, 900, 'open'))])) === 'open';
const isTold = (session: string) => eventually(async () => told.find((each) => each.session === session), 'the device is told');

describe('a role in an organisation that is lowered', () => {
  it('ends what it no longer allows, and only that; the link stays, and a second stream on it is refused', async () => {
    await using bob = await login('bob@example.com');
    await using otto = await login('otto@example.com');
    const [session, bystander] = [await openOn(bob), await openOn(otto)];
    expect([session.answer, bystander.answer]).toEqual(['accepted', 'accepted']);

    await setMember(store, 'acme', 'bob@example.com', 'viewer');
    expect(await soon(session.ended, 'the session ends')).toBe('access_ended');
    expect(await isTold(session.id)).toMatchObject({ code: 'access_ended', message: 'Your role in acme is viewer now.' });
    expect((await openOn(bob)).answer).toBe('forbidden');
    expect(await isOpen(bob.link.closed), 'the link stays').toBe(true);
    expect(await isOpen(bystander.ended), 'nobody else is touched').toBe(true);

    await setMember(store, 'acme', 'bob@example.com', 'operator');
    expect((await openOn(bob)).answer, 'on the same link').toBe('accepted');
  });

  it('is written down as the reason', async () => {
    await using bob = await login('bob@example.com');
    const session = await openOn(bob);
    await setMember(store, 'acme', 'bob@example.com', 'viewer');
    await session.ended;
    await setMember(store, 'acme', 'bob@example.com', 'operator');
    const closed = () => storedTrail(relay.dir).find((each) => each.action === 'session.closed' && each.session === session.id);
    // The raw device reports nothing: after ten seconds the relay writes what it knows.
    expect(await eventually(async () => closed(), 'it is closed', 15_000)).toMatchObject({
      reason: 'access_ended',
      actor: { email: 'bob@example.com' },
    });
  });
});

describe('a membership that is removed', () => {
  it('ends the sessions that it allowed, and the device is gone for that person', async () => {
    await setMember(store, 'acme', 'mel@example.com', 'operator');
    await using mel = await login('mel@example.com');
    const session = await openOn(mel);
    await store.organisations.removeMember('acme' as OrgId, 'mel@example.com', { at: Date.now(), ...NOTICE }, SYSTEM_SCOPE);
    expect(await soon(session.ended, 'the session ends')).toBe('access_ended');
    expect((await openOn(mel)).answer).toBe('not_found');
  });
});

describe('a user who is disabled', () => {
  it('beside the relay loses every link within a second, with the reason, and gets no other', async () => {
    await using eve = await login('eve@example.com');
    await setMember(store, 'acme', 'eve@example.com', 'operator');
    const session = await openOn(eve);
    expect(session.answer).toBe('accepted');
    const notice = { at: Date.now(), code: 'user_disabled', message: 'Your account was disabled: left.' };
    expect(await store.users.disable('acme|eve@example.com', 'test', notice)).toBe(true);
    expect(await soon(eve.link.closed, 'the link ends')).toMatchObject({ code: 'user_disabled', message: expect.stringContaining('left') });
    expect(await session.ended).not.toBeNull();
    await expect(login('eve@example.com')).rejects.toMatchObject({ code: 'user_disabled' });
    await store.users.enable('acme|eve@example.com');
    await (await login('eve@example.com'))[Symbol.asyncDispose]();
  });

  it('by the rescue command has what runs ended on the device too', async () => {
    const real = system.startDevice(relay, {
      name: 'real',
      org: 'acme',
      env: { TOWLINE_API_KEY: (await createKey(system, relay, ['--enrol', '--org', 'acme'])).key },
    });
    await real.event('online');
    const mark = `301.${process.pid}`;
    const { key } = await createKey(system, relay, ['--email', 'sam@example.com', '--scope', 'org:acme', '--role', 'operator']);
    const shell = system.startTowline(relay, ['real', 'exec', '--', 'sh', '-c', `echo up; exec sleep ${mark}`], { key });
    await shell.saw(/up/);
    expect(await system.rescue(relay, ['users', 'disable', 'local|sam@example.com'])).toMatchObject({ code: 0 });
    const from = performance.now();
    const ended = await shell.finished;
    expect(performance.now() - from).toBeLessThan(SOON_MS);
    expect(ended).toMatchObject({ code: 255, stderr: expect.stringContaining('disabled') });
    const running = () => system.towline(relay, ['real', 'exec', '--', 'pgrep', '-fx', `sleep ${mark}`]);
    await eventually(async () => (await running()).code === 1, 'its command on the device is gone');
    await real[Symbol.asyncDispose]();
  });
});

describe('a share', () => {
  const scope = 'user:cora@example.com' as Scope;

  it('that is narrowed ends what is outside of it, and leaves what is inside', async () => {
    await share([{ scope, role: 'operator' }]);
    await using cora = await login('cora@example.com');
    const [exec, shell] = [await openOn(cora), await openOn(cora, '/shell/1')];
    expect([exec.answer, shell.answer]).toEqual(['accepted', 'accepted']);
    await share([{ scope, role: 'operator', streams: ['shell'] }]);
    expect(await soon(exec.ended, 'the exec ends')).toBe('access_ended');
    expect(await isOpen(shell.ended)).toBe(true);
    expect((await openOn(cora)).answer).toBe('forbidden');
  });

  it('that is removed ends all it allowed', async () => {
    await share([{ scope, role: 'operator' }]);
    await using cora = await login('cora@example.com');
    const session = await openOn(cora);
    await share([]);
    expect(await soon(session.ended, 'the session ends')).toBe('access_ended');
    expect(await isTold(session.id)).toMatchObject({ message: NOTICE.message });
    expect((await openOn(cora)).answer).toBe('not_found');
  });

  it('whose time is over is taken away by the relay, with its sessions, and the others stay', async () => {
    const until = Date.now() + 1_500;
    const lasting = { scope: 'user:dan@example.com' as Scope, role: 'operator' as const };
    await share([{ scope, role: 'operator', until }, lasting]);
    await using cora = await login('cora@example.com');
    await using dan = await login('dan@example.com');
    const [session, other] = [await openOn(cora), await openOn(dan)];
    expect([session.answer, other.answer]).toEqual(['accepted', 'accepted']);
    expect(await soon(session.ended, 'the session ends')).toBe('access_ended');
    expect(Date.now()).toBeGreaterThanOrEqual(until);
    expect(Date.now() - until).toBeLessThan(1_500);
    const device = await store.devices.get(pi.identity.id, SYSTEM_SCOPE);
    expect(device?.shares).toEqual([expect.objectContaining(lasting)]);
    expect(await isOpen(other.ended)).toBe(true);
    const ended = storedTrail(relay.dir).filter(({ action }) => action === 'device.share_ended');
    expect(ended).toEqual([expect.objectContaining({ owner: 'org:acme', detail: expect.objectContaining({ scope, role: 'operator' }) })]);
  });
});

describe('a device that changes hands', () => {
  it('ends the sessions of those who have lost it', async () => {
    const other = await enrolRawDevice(api, { name: 'moved', owner: 'org:acme' });
    await using device = await linkDevice(relay, other.apiKey, { identity: other.identity });
    await using otto = await login('otto@example.com');
    const session = await otto.open(other.identity.id);
    expect(session.answer).toBe('accepted');
    const { revision } = (await store.devices.get(other.identity.id, SYSTEM_SCOPE))!;
    await store.devices.update(other.identity.id, { owner: 'user:zoe@example.com' as Scope }, revision, SYSTEM_SCOPE, {
      at: Date.now(),
      ...NOTICE,
    });
    expect(await soon(session.ended, 'the session ends')).toBe('access_ended');
    expect(await isOpen(device.link.closed), 'the device stays online').toBe(true);
  });
});

describe('an organisation that is deleted', () => {
  it('takes with it what was held by it, and nothing is enrolled for it any more', async () => {
    await addOrg(store, 'gone', { 'gil@example.com': 'admin' });
    const enrolled = await enrolRawDevice(api, { name: 'gone-pi', owner: 'org:gone' });
    await using _device = await linkDevice(relay, enrolled.apiKey, { identity: enrolled.identity });
    await using gil = await login('gil@example.com');
    const session = await gil.open(enrolled.identity.id);
    expect(session.answer).toBe('accepted');
    const notice = { at: Date.now(), code: 'org_deleted', message: 'The organisation gone was deleted.' };
    expect(await store.organisations.delete('gone' as OrgId, notice, SYSTEM_SCOPE)).toBe(true);
    expect(await soon(session.ended, 'the session ends')).toBe('access_ended');
    expect((await gil.open(enrolled.identity.id)).answer).toBe('not_found');
  });

  it('is neither asked for nor approved into', async () => {
    await addOrg(store, 'late', { 'lea@example.com': 'admin' });
    const request = await requestEnrolment(api, createIdentity(), { name: 'late-pi', owner: 'org:late' });
    const { key } = await createKey(system, relay, ['--enrol', '--org', 'late']);
    await store.organisations.delete('late' as OrgId, { at: Date.now(), code: 'org_deleted', message: 'Deleted.' }, SYSTEM_SCOPE);
    const answers = [
      await api.call('POST', `/v1/registrations/${request.id}/approve`, { key: relay.adminKey }),
      await api.call('POST', '/v1/registrations', { body: registrationBody(createIdentity(), { name: 'x', owner: 'org:late' }) }),
      await api.call('POST', '/v1/registrations', { key, body: registrationBody(createIdentity(), { name: 'x' }) }),
    ];
    expect(answers.map(({ status, code }) => `${status} ${code}`)).toEqual(Array.from({ length: 3 }, () => '410 org_deleted'));
    expect(bodyOf<{ items: DeviceView[] }>(await api.call('GET', '/v1/devices?scope=org:late', { key: relay.adminKey })).items).toEqual([]);
  });
});

describe('an opening at the moment in which access ends', () => {
  it('does not slip through', async () => {
    for (let round = 0; round < 5; round += 1) {
      await setMember(store, 'acme', 'bob@example.com', 'operator');
      await using bob = await login('bob@example.com');
      const openings = Array.from({ length: 10 }, () => openOn(bob));
      const [sessions] = await Promise.all([Promise.all(openings), setMember(store, 'acme', 'bob@example.com', 'viewer')]);
      for (const { answer, ended } of sessions) {
        if (answer === 'accepted') expect(await soon(ended, 'a session that was just opened ends')).toBe('access_ended');
        else expect(['forbidden', 'access_ended']).toContain(answer);
      }
    }
  });
});
