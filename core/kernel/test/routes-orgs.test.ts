import type { DeviceView, ListView, MemberView, OrgView, RegistrationView } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createId, type DeviceId, type KeyId, type OrgId, type RegistrationId, type Scope } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RoutesRelay, startRoutesRelay } from './routes-relay.ts';

let relay: RoutesRelay;
beforeAll(async () => {
  relay = await startRoutesRelay({
    alice: { email: 'alice@example.com' },
    bob: { email: 'bob@example.com' },
    carol: { email: 'carol@example.com' },
    limited: { email: 'limited@example.com', streams: ['exec'] },
    claims: { email: 'claims@example.com', scopes: [{ scope: 'org:claimed', role: 'operator' }] },
    chief: { email: 'chief@example.com', scopes: [{ scope: 'org:led', role: 'admin' }] },
  });
  await relay.call('claims', 'GET /v1/me');
});
afterAll(() => relay?.[Symbol.asyncDispose]());

/** An organisation with alice as its admin. */
async function makeOrg(id: string, members: Readonly<Record<string, string>> = { alice: 'admin' }): Promise<string> {
  expect(await relay.call('root', 'POST /v1/orgs', { id })).toMatchObject({ status: 201 });
  for (const [name, role] of Object.entries(members)) {
    const answer = await relay.call('root', `PUT /v1/orgs/${id}/members/${name}@example.com`, { role });
    expect(answer).toMatchObject({ status: 200 });
  }
  return id;
}
const membersOf = async (id: string) =>
  (await relay.call<ListView<MemberView>>('root', `GET /v1/orgs/${id}/members`)).body.items.map(({ email, role }) => `${email} ${role}`);

describe('organisations', () => {
  it('are created by platform admins, and seen by their members with their roles', async () => {
    const made = await relay.call<OrgView>('root', 'POST /v1/orgs', { id: 'acme', name: 'Acme Pumps' });
    expect(made).toMatchObject({ status: 201, body: { id: 'acme', name: 'Acme Pumps', role: null, created_by: 'root@example.com' } });
    await relay.call('root', 'PUT /v1/orgs/acme/members/Bob%40Example.COM', { role: 'viewer' });
    expect((await relay.call<OrgView>('bob', 'GET /v1/orgs/acme')).body).toMatchObject({ id: 'acme', role: 'viewer' });
    expect((await relay.call<ListView<OrgView>>('bob', 'GET /v1/orgs')).body.items.map(({ id }) => id)).toEqual(['acme']);
    expect((await relay.call<ListView<OrgView>>('carol', 'GET /v1/orgs')).body.items).toEqual([]);
    expect(await relay.call('carol', 'GET /v1/orgs/acme')).toMatchObject({ status: 404, code: 'not_found' });
    expect(await relay.trail('org.created')).toMatchObject([{ detail: { org: 'acme', name: 'Acme Pumps', adopted: false } }]);
  });

  it('are not created by others', async () => {
    expect(await relay.call('alice', 'POST /v1/orgs', { id: 'mine' })).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await relay.call('root', 'GET /v1/orgs/mine')).toMatchObject({ status: 404 });
  });

  it.each([
    [{ id: 'Acme' }, 'id'],
    [{ id: 'аcme' }, 'id'],
    [{ id: 'a/b' }, 'id'],
    [{ id: '-a' }, 'id'],
    [{ id: '' }, 'id'],
    [{ id: 'a'.repeat(64) }, 'id'],
    [{ id: 'fine', name: 'two\nlines' }, 'name'],
    [{ id: 'fine', name: '\u202Eevil' }, 'name'],
    [{ id: 'fine', name: '   ' }, 'name'],
    [{ id: 'fine', owner: 'root' }, 'owner'],
    [{ name: 'none' }, 'id'],
  ])('are not created from %j', async (body, named) => {
    const answer = await relay.call('root', 'POST /v1/orgs', body);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request', message: expect.stringContaining(named) });
  });

  it('are not created twice, nor with the id of one that was deleted, nor with that of the relay', async () => {
    await makeOrg('once');
    expect(await relay.call('root', 'POST /v1/orgs', { id: 'once' })).toMatchObject({ status: 409, code: 'conflict' });
    expect(await relay.call('root', 'DELETE /v1/orgs/once')).toMatchObject({ status: 204 });
    expect(await relay.call('root', 'POST /v1/orgs', { id: 'once', adopt: true })).toMatchObject({ status: 410, code: 'org_deleted' });
    const own = await relay.call('root', 'POST /v1/orgs', { id: 'operator', adopt: true });
    expect(own).toMatchObject({ status: 409, code: 'conflict', message: expect.stringContaining('relay’s own') });
  });

  it('take over what names their scope only when that is meant', async () => {
    const device = await relay.addDevice('early', 'org:early');
    const refused = await relay.call('root', 'POST /v1/orgs', { id: 'early' });
    expect(refused).toMatchObject({ status: 409, code: 'conflict', hint: expect.stringContaining('"adopt": true') });
    expect(await relay.call('root', 'POST /v1/orgs', { id: 'early', adopt: true })).toMatchObject({ status: 201 });
    await relay.call('root', 'PUT /v1/orgs/early/members/alice@example.com', { role: 'admin' });
    expect((await relay.call<DeviceView>('alice', `GET /v1/devices/${device}`)).body).toMatchObject({ owner: 'org:early', role: 'admin' });
  });

  it('do not take over secrets that somebody set by the claims of a login, unless that is meant', async () => {
    expect(await relay.call('chief', 'PUT /v1/secrets/org:led/LEFT', { value: 'x' })).toMatchObject({ status: 200 });
    expect(await relay.call('root', 'POST /v1/orgs', { id: 'led' })).toMatchObject({
      status: 409,
      code: 'conflict',
      message: expect.stringContaining('secrets'),
    });
    expect(await relay.call('root', 'POST /v1/orgs', { id: 'led', adopt: true })).toMatchObject({ status: 201 });
    expect((await relay.trail('org.created'))[0]).toMatchObject({ detail: { org: 'led', adopted: true } });
  });

  it('created at the same moment are one', async () => {
    const answers = await Promise.all([1, 2, 3, 4].map(() => relay.call('root', 'POST /v1/orgs', { id: 'raced' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409]);
  });
});

describe('members', () => {
  it('are set and removed by admins of the organisation, who may make others admin', async () => {
    await makeOrg('team');
    const set = await relay.call<MemberView>('alice', 'PUT /v1/orgs/team/members/bob@example.com', { role: 'admin' });
    expect(set).toMatchObject({ status: 200, body: { email: 'bob@example.com', role: 'admin', added_by: 'alice@example.com' } });
    expect(await relay.call('bob', 'PUT /v1/orgs/team/members/carol@example.com', { role: 'operator' })).toMatchObject({ status: 200 });
    expect(await membersOf('team')).toEqual(['alice@example.com admin', 'bob@example.com admin', 'carol@example.com operator']);
    expect(await relay.call('bob', 'DELETE /v1/orgs/team/members/carol@example.com')).toMatchObject({ status: 204 });
    expect(await relay.call('carol', 'GET /v1/orgs/team')).toMatchObject({ status: 404 });
    expect(await relay.trail('org.member_removed')).toMatchObject([{ detail: { org: 'team', email: 'carol@example.com' } }]);
  });

  it('are not changed by members who are no admins, nor by strangers', async () => {
    await makeOrg('guarded', { alice: 'admin', bob: 'operator' });
    for (const body of [{ role: 'admin' }, { role: 'viewer' }]) {
      expect(await relay.call('bob', 'PUT /v1/orgs/guarded/members/bob@example.com', body)).toMatchObject({
        status: 403,
        code: 'forbidden',
      });
      expect(await relay.call('carol', 'PUT /v1/orgs/guarded/members/carol@example.com', body)).toMatchObject({
        status: 404,
        code: 'not_found',
      });
    }
    expect(await relay.call('bob', 'DELETE /v1/orgs/guarded/members/alice@example.com')).toMatchObject({ status: 403 });
    expect((await relay.call<ListView<MemberView>>('bob', 'GET /v1/orgs/guarded/members')).body.items).toHaveLength(2);
    expect(await relay.call('carol', 'GET /v1/orgs/guarded/members')).toMatchObject({ status: 404 });
    expect(await membersOf('guarded')).toEqual(['alice@example.com admin', 'bob@example.com operator']);
  });

  it('are not made by a credential that is limited to some streams', async () => {
    await makeOrg('narrow', { alice: 'admin', limited: 'admin' });
    const answer = await relay.call('limited', 'PUT /v1/orgs/narrow/members/carol@example.com', { role: 'admin' });
    expect(answer).toMatchObject({ status: 403, code: 'forbidden', message: expect.stringContaining('limited') });
    expect(await relay.call('limited', 'DELETE /v1/orgs/narrow')).toMatchObject({ status: 403, code: 'forbidden' });
  });

  it.each([
    ['nonsense', { role: 'admin' }],
    ['a@b@c', { role: 'admin' }],
    ['carol@example.com', { role: 'owner' }],
    ['carol@example.com', {}],
    ['carol@example.com', { role: 'viewer', until: 'x' }],
  ])('are not made of %s %j', async (email, body) => {
    const answer = await relay.call('root', `PUT /v1/orgs/acme/members/${encodeURIComponent(email)}`, body);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  it('that are absent are not removed', async () => {
    await makeOrg('absent');
    const answer = await relay.call('alice', 'DELETE /v1/orgs/absent/members/carol@example.com');
    expect(answer).toMatchObject({ status: 404, code: 'not_found', message: 'carol@example.com is no member of absent.' });
  });

  it('keep their last admin, by whichever way it would go', async () => {
    await makeOrg('last', { alice: 'admin', bob: 'viewer' });
    for (const who of ['alice', 'root']) {
      expect(await relay.call(who, 'DELETE /v1/orgs/last/members/alice@example.com')).toMatchObject({ status: 409, code: 'last_admin' });
      const lowered = await relay.call(who, 'PUT /v1/orgs/last/members/alice@example.com', { role: 'operator' });
      expect(lowered).toMatchObject({ status: 409, code: 'last_admin' });
    }
    expect(await membersOf('last')).toEqual(['alice@example.com admin', 'bob@example.com viewer']);
  });

  it('who are both admins and remove each other at the same moment leave one', async () => {
    await makeOrg('duel', { alice: 'admin', bob: 'admin' });
    const answers = await Promise.all([
      relay.call('alice', 'DELETE /v1/orgs/duel/members/bob@example.com'),
      relay.call('bob', 'DELETE /v1/orgs/duel/members/alice@example.com'),
    ]);
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
    expect(['last_admin', 'not_found', 'forbidden']).toContain(answers.find(({ status }) => status !== 204)?.code);
    expect(await membersOf('duel')).toHaveLength(1);
  });

  it('whose role is lowered, or who are removed, are told to what lives', async () => {
    await makeOrg('told', { alice: 'admin', bob: 'admin' });
    const before = await relay.store.revocations.last();
    await relay.call('alice', 'PUT /v1/orgs/told/members/bob@example.com', { role: 'viewer' });
    await relay.call('alice', 'DELETE /v1/orgs/told/members/bob@example.com');
    expect(await relay.store.revocations.listAfter(before)).toMatchObject([
      { kind: 'membership', id: 'bob@example.com', code: 'access_ended' },
      { kind: 'membership', id: 'bob@example.com', code: 'access_ended' },
    ]);
  });
});

describe('deleting an organisation', () => {
  it('takes its admin', async () => {
    await makeOrg('kept', { alice: 'admin', bob: 'operator' });
    expect(await relay.call('bob', 'DELETE /v1/orgs/kept')).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await relay.call('carol', 'DELETE /v1/orgs/kept')).toMatchObject({ status: 404, code: 'not_found' });
    expect(await relay.call('alice', 'GET /v1/orgs/kept')).toMatchObject({ status: 200 });
  });

  it('ends its memberships, and with them the scope of members and of those whose login carries it', async () => {
    await makeOrg('claimed');
    expect((await relay.call<OrgView>('claims', 'GET /v1/orgs/claimed')).body.role).toBe('operator');
    expect(await relay.call('alice', 'DELETE /v1/orgs/claimed')).toMatchObject({ status: 204 });
    for (const who of ['alice', 'claims', 'root']) {
      expect(await relay.call(who, 'GET /v1/orgs/claimed')).toMatchObject({ status: 404, code: 'not_found' });
      expect(await relay.call(who, 'DELETE /v1/orgs/claimed')).toMatchObject({ status: 404, code: 'not_found' });
    }
    const me = await relay.call<{ scopes: { scope: string }[] }>('claims', 'GET /v1/me');
    expect(me.body.scopes.map(({ scope }) => scope)).toEqual(['user:claims@example.com']);
    expect(await relay.trail('org.deleted')).toMatchObject([{ detail: { org: 'claimed' } }, {}]);
  });

  it('is refused while it has devices and nobody said where they go', async () => {
    await makeOrg('full');
    const ids = [await relay.addDevice('one', 'org:full'), await relay.addDevice('two', 'org:full')];
    const refused = await relay.call('alice', 'DELETE /v1/orgs/full');
    expect(refused).toMatchObject({ status: 409, code: 'conflict', message: 'The organisation has 2 devices.' });
    expect(refused.hint).toContain('devices_to=SCOPE');
    for (const id of ids) expect((await relay.call<DeviceView>('alice', `GET /v1/devices/${id}`)).body.owner).toBe('org:full');
  });

  it.each([
    ['user:bob@example.com', 403, 'forbidden'],
    ['org:acme', 403, 'forbidden'],
    ['org:full2', 400, 'invalid_request'],
    ['alice@example.com', 400, 'invalid_request'],
  ])('does not move its devices to %s', async (target, status, code) => {
    if (target === 'user:bob@example.com') await relay.addDevice('stays', `org:${await makeOrg('full2')}`);
    expect(await relay.call('alice', `DELETE /v1/orgs/full2?devices_to=${target}`)).toMatchObject({ status, code });
    expect((await relay.call<ListView<DeviceView>>('alice', 'GET /v1/devices?scope=org:full2')).body.items).toHaveLength(1);
  });

  it('moves its devices with their keys, revokes its own keys, and rejects what waits for it', async () => {
    await makeOrg('moves');
    const device = await relay.addDevice('pump', 'org:moves');
    const deviceKey = await addDeviceKey(device, 'org:moves');
    const request = await addRequest('org:moves');
    const enrol = await relay.call<{ id: string; key: string }>('alice', 'POST /v1/keys', { kind: 'enrolment', owner: 'org:moves' });
    expect(enrol.status).toBe(201);
    expect(await relay.call('alice', 'DELETE /v1/orgs/moves?devices_to=user:alice@example.com')).toMatchObject({ status: 204 });
    expect((await relay.call<DeviceView>('alice', `GET /v1/devices/${device}`)).body.owner).toBe('user:alice@example.com');
    expect(await relay.store.keys.get(deviceKey, SYSTEM_SCOPE)).toMatchObject({ owner: 'user:alice@example.com' });
    expect((await relay.store.keys.get(deviceKey, SYSTEM_SCOPE))?.revokedAt).toBeUndefined();
    expect((await relay.store.keys.get(enrol.body.id as KeyId, SYSTEM_SCOPE))?.revokedAt).toBeTypeOf('number');
    expect(await relay.store.registrations.get(request, SYSTEM_SCOPE)).toMatchObject({
      state: 'rejected',
      reason: 'The organisation was deleted.',
    });
    expect(await relay.store.organisations.get('moves' as OrgId, SYSTEM_SCOPE)).toMatchObject({ deletedAt: expect.any(Number) });
  });

  it('lets no request to enrol in afterwards', async () => {
    const body = {
      ...{ device_id: createId(), public_key: 'AAAA', name: 'late', owner: 'org:moves', signature: 'AAAA' },
      facts: { hostname: 'h', platform: 'linux', arch: 'x64', version: '1' },
    };
    expect(await relay.call<RegistrationView>(null, 'POST /v1/registrations', body)).toMatchObject({ status: 410, code: 'org_deleted' });
  });
});

async function addDeviceKey(deviceId: DeviceId, owner: string): Promise<KeyId> {
  const id = createId<DeviceId>().slice(0, 16) as unknown as KeyId;
  await relay.store.keys.insert({
    ...{ id, kind: 'device', hash: '0'.repeat(64), name: 'pump', owner: owner as Scope, admin: false, scopes: [], deviceId },
    ...{ createdAt: Date.now(), createdBy: 'test', revision: 1 },
  });
  return id;
}

async function addRequest(owner: string): Promise<RegistrationId> {
  const id = createId<RegistrationId>();
  const now = Date.now();
  await relay.store.registrations.insert({
    ...{ id, deviceId: createId<DeviceId>(), publicKey: id, fingerprint: `sha256:${id}${id}`, owner: owner as Scope, name: 'waits' },
    facts: { hostname: 'h', platform: 'linux', arch: 'x64', version: '1' },
    ...{ address: '127.0.0.1', state: 'pending', createdAt: now, expiresAt: now + 3_600_000, revision: 1 },
  });
  return id;
}
