import { type AccessView, type DeviceView, type ListView, MAX_SHARES, type SessionView, type Share } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createId, type DeviceId, type KeyId, type Scope, type SessionId } from '@towline/protocol';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RoutesRelay, startRoutesRelay } from './routes-relay.ts';

const DAY_MS = 86_400_000;
const iso = (inMs: number) => new Date(Date.now() + inMs).toISOString();

let relay: RoutesRelay;
/** Of alice. */
let device: DeviceId;
let devices = 0;
beforeAll(async () => {
  relay = await startRoutesRelay({
    alice: { email: 'alice@example.com' },
    bob: { email: 'bob@example.com' },
    carol: { email: 'carol@example.com' },
    exec: { email: 'alice@example.com', streams: ['exec'] },
    held: { email: 'held@example.com', scopes: [{ scope: 'org:carried', role: 'admin' }] },
  });
  await relay.call('root', 'POST /v1/orgs', { id: 'acme' });
  await relay.call('root', 'PUT /v1/orgs/acme/members/bob@example.com', { role: 'operator' });
  await relay.call('root', 'PUT /v1/orgs/acme/members/alice@example.com', { role: 'admin' });
});
beforeEach(async () => {
  device = await relay.addDevice(`pump-${(devices += 1)}`, 'user:alice@example.com');
});
afterAll(() => relay?.[Symbol.asyncDispose]());

const share = (who: string, scope: string, body: unknown) =>
  relay.call<AccessView>(who, `PUT /v1/devices/${device}/access/${encodeURIComponent(scope)}`, body);
const unshare = (who: string, scope: string) => relay.call(who, `DELETE /v1/devices/${device}/access/${encodeURIComponent(scope)}`);
const access = async (who = 'alice') => (await relay.call<AccessView>(who, `GET /v1/devices/${device}/access`)).body;
const show = (who: string) => relay.call<DeviceView>(who, `GET /v1/devices/${device}`);
const noticesOf = async (change: () => Promise<unknown>) => {
  const before = await relay.store.revocations.last();
  await change();
  return (await relay.store.revocations.listAfter(before)).map(({ kind, id, code }) => ({ kind, id, code }));
};

describe('sharing a device', () => {
  it('gives others access in that role, and shows it to those who may share', async () => {
    expect(await show('bob')).toMatchObject({ status: 404, code: 'not_found' });
    const answer = await share('alice', 'user:Bob@Example.com', { role: 'operator', streams: ['exec'], until: iso(DAY_MS) });
    expect(answer).toMatchObject({ status: 200, body: { owner: 'user:alice@example.com' } });
    expect(answer.body.shares).toMatchObject([
      { scope: 'user:bob@example.com', role: 'operator', streams: ['exec'], shared_by: 'alice@example.com' },
    ]);
    expect((await show('bob')).body).toMatchObject({ id: device, role: 'operator', owner: 'user:alice@example.com' });
    expect((await relay.call<ListView<DeviceView>>('bob', 'GET /v1/devices')).body.items.map(({ id }) => id)).toContain(device);
    const [record] = await relay.trail('device.shared');
    expect(record).toMatchObject({
      device: { id: device },
      detail: { scope: 'user:bob@example.com', role: 'operator', streams: ['exec'] },
    });
  });

  it('gives members of an organisation no more than their role there', async () => {
    await share('alice', 'org:acme', { role: 'admin' });
    expect((await show('bob')).body.role).toBe('operator');
    expect(await relay.call('bob', `GET /v1/devices/${device}/access`)).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await share('bob', 'user:carol@example.com', { role: 'viewer' })).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await share('carol', 'user:carol@example.com', { role: 'viewer' })).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('ends by itself', async () => {
    await share('alice', 'user:bob@example.com', { role: 'admin', until: iso(700) });
    expect((await show('bob')).status).toBe(200);
    await new Promise((later) => setTimeout(later, 800));
    expect(await show('bob')).toMatchObject({ status: 404, code: 'not_found' });
    expect(await relay.call('bob', `GET /v1/devices/pump-${devices}`)).toMatchObject({ status: 404 });
    expect((await relay.call<ListView<DeviceView>>('bob', 'GET /v1/devices')).body.items.map(({ id }) => id)).not.toContain(device);
    expect((await access()).shares).toEqual([]);
  });

  it('is taken back, and what lives by it told', async () => {
    await share('alice', 'user:bob@example.com', { role: 'operator' });
    const notices = await noticesOf(async () => expect(await unshare('alice', 'user:bob@example.com')).toMatchObject({ status: 204 }));
    expect(notices).toEqual([{ kind: 'access', id: device, code: 'access_ended' }]);
    expect(await show('bob')).toMatchObject({ status: 404 });
    expect(await unshare('alice', 'user:bob@example.com')).toMatchObject({
      status: 404,
      code: 'not_found',
      message: expect.stringContaining('not shared'),
    });
    expect((await relay.trail('device.unshared'))[0]).toMatchObject({ device: { id: device } });
  });

  it.each([
    ['a weaker role', { role: 'viewer', streams: ['exec', 'shell'], until: iso(DAY_MS) }, true],
    ['fewer streams', { role: 'operator', streams: ['shell'], until: iso(DAY_MS) }, true],
    ['an earlier end', { role: 'operator', streams: ['exec', 'shell'], until: iso(DAY_MS / 2) }, true],
    ['a stronger role', { role: 'admin', streams: ['exec', 'shell'], until: iso(2 * DAY_MS) }, false],
    ['all streams', { role: 'operator', until: iso(2 * DAY_MS) }, false],
    ['no end', { role: 'operator', streams: ['shell', 'exec'] }, false],
  ])('changed to %s is told only when it narrows', async (_, change, narrows) => {
    await share('alice', 'user:bob@example.com', { role: 'operator', streams: ['exec', 'shell'], until: iso(DAY_MS) });
    const notices = await noticesOf(async () => expect((await share('alice', 'user:bob@example.com', change)).status).toBe(200));
    expect(notices).toHaveLength(narrows ? 1 : 0);
    expect((await access()).shares).toHaveLength(1);
  });

  it.each([
    ['user:bob@example.com', { role: 'viewer', until: iso(-1_000) }, 'until'],
    ['user:bob@example.com', { role: 'viewer', until: 'tomorrow' }, 'until'],
    ['user:bob@example.com', { role: 'owner' }, 'role'],
    ['user:bob@example.com', { role: 'viewer', streams: [] }, 'streams'],
    ['user:bob@example.com', { role: 'viewer', streams: ['../shell'] }, 'streams'],
    ['user:bob@example.com', { role: 'viewer', owner: 'x' }, 'owner'],
    ['user:bob@example.com', {}, 'role'],
    ['user:alice@example.com', { role: 'viewer' }, 'owns the device'],
    ['bob@example.com', { role: 'viewer' }, 'scope'],
    ['org:ACME', { role: 'viewer' }, 'scope'],
  ])('with %s as %j is refused', async (scope, body, named) => {
    expect(await share('alice', scope, body)).toMatchObject({
      status: 400,
      code: 'invalid_request',
      message: expect.stringContaining(named),
    });
    expect((await access()).shares).toEqual([]);
  });

  it('is not done with an organisation that was deleted', async () => {
    await relay.call('root', 'POST /v1/orgs', { id: 'gone' });
    await relay.call('root', 'DELETE /v1/orgs/gone');
    expect(await share('alice', 'org:gone', { role: 'viewer' })).toMatchObject({ status: 410, code: 'org_deleted' });
  });

  it('by two at the same moment keeps both', async () => {
    const scopes = Array.from({ length: 6 }, (_, at) => `user:friend-${at}@example.com`);
    const answers = await Promise.all(scopes.map((scope) => share('alice', scope, { role: 'viewer' })));
    expect(answers.map(({ status }) => status)).toEqual(scopes.map(() => 200));
    expect((await access()).shares.map(({ scope }) => scope).sort()).toEqual(scopes);
  });

  it('has a bound', async () => {
    const shares = Array.from(
      { length: MAX_SHARES },
      (_, at): Share => ({
        ...{ scope: `user:u${at}@example.com` as Scope, role: 'viewer', sharedAt: Date.now(), sharedBy: 'test' },
      }),
    );
    const { revision } = (await relay.store.devices.get(device, SYSTEM_SCOPE))!;
    await relay.store.devices.update(device, { shares }, revision, SYSTEM_SCOPE);
    expect(await share('alice', 'user:bob@example.com', { role: 'viewer' })).toMatchObject({
      status: 409,
      code: 'conflict',
      message: expect.stringContaining('100'),
    });
    expect(await share('alice', 'user:u7@example.com', { role: 'operator' })).toMatchObject({ status: 200 });
  });
});

describe('sharing by somebody who has the device by a share', () => {
  const until = iso(DAY_MS);
  beforeEach(async () => {
    await share('alice', 'user:bob@example.com', { role: 'admin', streams: ['exec'], until });
  });

  it.each([
    ['another stream', { role: 'viewer', streams: ['shell'], until }],
    ['one stream more', { role: 'viewer', streams: ['exec', 'shell'], until }],
    ['all streams', { role: 'viewer', until }],
    ['a later end', { role: 'viewer', streams: ['exec'], until: iso(2 * DAY_MS) }],
    ['no end', { role: 'viewer', streams: ['exec'] }],
  ])('does not give %s', async (_, body) => {
    const answer = await share('bob', 'user:carol@example.com', body);
    expect(answer).toMatchObject({ status: 403, code: 'forbidden', message: expect.stringContaining('admin for the streams exec until') });
    expect((await access()).shares).toHaveLength(1);
  });

  it('gives what lies within it', async () => {
    expect(await share('bob', 'user:carol@example.com', { role: 'admin', streams: ['exec'], until })).toMatchObject({ status: 200 });
    expect((await show('carol')).body.role).toBe('admin');
  });

  it('does not extend it, nor change or take what is wider', async () => {
    await share('alice', 'user:carol@example.com', { role: 'operator' });
    expect(await share('bob', 'user:bob@example.com', { role: 'admin' })).toMatchObject({ status: 403 });
    expect(await share('bob', 'user:carol@example.com', { role: 'viewer', streams: ['exec'], until })).toMatchObject({ status: 403 });
    expect(await unshare('bob', 'user:carol@example.com')).toMatchObject({ status: 403 });
    expect(await unshare('bob', 'user:bob@example.com')).toMatchObject({ status: 204 });
    expect((await access()).shares.map(({ scope }) => scope)).toEqual(['user:carol@example.com']);
  });

  it('renames the device, and neither removes, rotates nor transfers it', async () => {
    expect(await relay.call('bob', `PATCH /v1/devices/${device}`, { name: `by-bob-${devices}` })).toMatchObject({ status: 200 });
    const refused = [
      await relay.call('bob', `DELETE /v1/devices/${device}`),
      await relay.call('bob', `POST /v1/devices/${device}/rotate`),
      await relay.call('bob', `POST /v1/devices/${device}/transfer`, { owner: 'user:bob@example.com' }),
    ];
    for (const answer of refused)
      expect(answer).toMatchObject({ status: 403, code: 'forbidden', message: expect.stringContaining('by a share') });
  });
});

describe('sharing with a limited login', () => {
  it('stays within its streams', async () => {
    expect(await share('exec', 'user:bob@example.com', { role: 'operator' })).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await share('exec', 'user:bob@example.com', { role: 'operator', streams: ['exec'] })).toMatchObject({ status: 200 });
    const moved = await relay.call('exec', `POST /v1/devices/${device}/transfer`, { owner: 'org:acme' });
    expect(moved).toMatchObject({ status: 403, code: 'forbidden', message: expect.stringContaining('limited') });
  });
});

describe('transferring a device', () => {
  const transfer = (who: string, owner: string) => relay.call<DeviceView>(who, `POST /v1/devices/${device}/transfer`, { owner });

  it('drops its shares, takes its keys along, and tells what lives', async () => {
    await share('alice', 'user:carol@example.com', { role: 'operator' });
    const key = await addDeviceKey(device);
    const notices = await noticesOf(async () =>
      expect(await transfer('alice', 'org:acme')).toMatchObject({ status: 200, body: { owner: 'org:acme', role: 'admin' } }),
    );
    expect(notices).toEqual([{ kind: 'access', id: device, code: 'access_ended' }]);
    expect(await show('carol')).toMatchObject({ status: 404 });
    expect((await show('bob')).body).toMatchObject({ owner: 'org:acme', role: 'operator' });
    expect(await relay.store.keys.get(key, SYSTEM_SCOPE)).toMatchObject({ owner: 'org:acme' });
    const records = (await relay.trail('device.transferred')).filter(({ device: of }) => of?.id === device);
    expect(records.map(({ detail }) => detail)).toEqual(Array(2).fill({ from: 'user:alice@example.com', to: 'org:acme' }));
  });

  it.each([
    ['user:bob@example.com', 403, 'forbidden'],
    ['org:nowhere', 403, 'forbidden'],
    ['user:alice@example.com', 400, 'invalid_request'],
    ['acme', 400, 'invalid_request'],
  ])('to %s is refused', async (owner, status, code) => {
    expect(await transfer('alice', owner)).toMatchObject({ status, code });
    expect((await show('alice')).body.owner).toBe('user:alice@example.com');
  });

  it('by somebody who only sees it is refused', async () => {
    await share('alice', 'user:bob@example.com', { role: 'viewer' });
    expect(await transfer('bob', 'user:bob@example.com')).toMatchObject({ status: 403 });
    expect(await transfer('carol', 'user:carol@example.com')).toMatchObject({ status: 404 });
  });

  it('by a platform admin goes to anybody, but to no organisation that is not or was', async () => {
    await relay.call('root', 'POST /v1/orgs', { id: 'past' });
    await relay.call('root', 'DELETE /v1/orgs/past');
    expect(await transfer('root', 'org:past')).toMatchObject({ status: 410, code: 'org_deleted' });
    expect(await transfer('root', 'org:typo')).toMatchObject({ status: 404, code: 'not_found', message: 'There is no organisation typo.' });
    expect(await transfer('root', 'user:bob@example.com')).toMatchObject({ status: 200 });
    expect(await show('alice')).toMatchObject({ status: 404 });
  });

  it('goes to a scope that the login itself carries', async () => {
    device = await relay.addDevice('carried', 'user:held@example.com');
    expect(await transfer('held', 'org:carried')).toMatchObject({ status: 200, body: { owner: 'org:carried' } });
  });

  it('to two at the same moment gives it to one', async () => {
    const answers = await Promise.all([
      transfer('root', 'user:bob@example.com'),
      transfer('root', 'user:carol@example.com'),
      transfer('alice', 'org:acme'),
    ]);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
    const { owner } = (await show('root')).body;
    expect(answers.filter(({ status }) => status === 200).map(({ body }) => body.owner)).toContain(owner);
  });
});

describe('sessions of a shared device', () => {
  it('are seen by those who see it, in detail by its admins, and ended by those', async () => {
    const id = createId<SessionId>();
    await relay.store.sessions.insert({
      ...{ id, deviceId: device, deviceName: 'pump', owner: 'user:alice@example.com' as Scope, protocol: '/exec/1', address: '192.0.2.1' },
      ...{ actor: { kind: 'user', id: 'basic|alice', label: 'alice@example.com' }, openedAt: Date.now(), detail: { command: 'id' } },
    });
    const sessions = async (who: string) => (await relay.call<ListView<SessionView>>(who, `GET /v1/devices/${device}/sessions`)).body.items;
    await share('alice', 'user:bob@example.com', { role: 'operator' });
    await share('alice', 'user:carol@example.com', { role: 'admin' });
    expect(await sessions('bob')).toMatchObject([{ id, detail: null, address: null }]);
    expect(await sessions('carol')).toMatchObject([{ id, detail: { command: 'id' }, address: '192.0.2.1' }]);
    expect(await relay.call('bob', `DELETE /v1/sessions/${id}`)).toMatchObject({ status: 403, code: 'forbidden' });
    // The device is offline: they got so far.
    expect(await relay.call('carol', `DELETE /v1/sessions/${id}`)).toMatchObject({ status: 503, code: 'device_offline' });
    expect(await relay.call('held', `DELETE /v1/sessions/${id}`)).toMatchObject({ status: 404, code: 'not_found' });
    await relay.store.sessions.remove(id);
  });
});

async function addDeviceKey(deviceId: DeviceId): Promise<KeyId> {
  const id = createId<DeviceId>().slice(0, 16) as unknown as KeyId;
  await relay.store.keys.insert({
    ...{ id, kind: 'device', hash: '0'.repeat(64), name: 'pump', owner: 'user:alice@example.com' as Scope, admin: false, scopes: [] },
    ...{ deviceId, createdAt: Date.now(), createdBy: 'test', revision: 1 },
  });
  return id;
}
