import type { AuditView, AuthProvider, CreatedKeyView, DeviceView, ListView, OpenSession } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createId, type DeviceId, type Scope, type SessionId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthenticator } from '../src/access/authenticate.ts';
import { requireOwnDomains } from '../src/access/email-domains.ts';
import type { ChangeParts } from '../src/people/change.ts';
import { createKey } from '../src/rescue/keys.ts';
import { createSessionLedger } from '../src/sessions/ledger.ts';
import { shareDevice } from '../src/sharing/share.ts';
import { type Asking, type RoutesRelay, startRoutesRelay } from './routes-relay.ts';
import { createKeptLog, openStoreHere } from './store-here.ts';

const DAY_MS = 86_400_000;
const iso = (inMs: number) => new Date(Date.now() + inMs).toISOString();

let relay: RoutesRelay;
let narrowAdmin: Asking;
beforeAll(async () => {
  relay = await startRoutesRelay({
    alice: { email: 'alice@example.com' },
    bob: { email: 'bob@example.com' },
    mallory: { email: 'mallory@example.com' },
    groups: { email: 'groups@example.com', scopes: [{ scope: 'org:operator', role: 'admin' }] },
  });
  for (const id of ['acme', 'other']) await relay.call('root', 'POST /v1/orgs', { id });
  await relay.call('root', 'PUT /v1/orgs/acme/members/alice@example.com', { role: 'admin' });
  await relay.call('root', 'PUT /v1/orgs/other/members/alice@example.com', { role: 'viewer' });
  const rescue = { store: relay.store, clock: { now: Date.now }, audit: async () => undefined };
  narrowAdmin = { key: (await createKey(rescue, { for: 'admin', streams: ['exec'] })).key };
});
afterAll(() => relay?.[Symbol.asyncDispose]());

const keyOf = async (who: Asking, body: unknown) => (await relay.call<CreatedKeyView>(who, 'POST /v1/keys', body)).body;

describe('a key that is limited to some scopes', () => {
  it('revokes itself and no other', async () => {
    const precious = await keyOf('alice', { name: 'deploy' });
    const weak = await keyOf('alice', { name: 'dashboard', scopes: [{ scope: 'org:other', role: 'viewer' }] });
    expect([403, 404]).toContain((await relay.call({ key: weak.key }, `DELETE /v1/keys/${precious.id}`)).status);
    expect(await relay.call({ key: precious.key }, 'GET /v1/me')).toMatchObject({ status: 200 });
    expect(await relay.call({ key: weak.key }, `DELETE /v1/keys/${weak.id}`)).toMatchObject({ status: 204 });
  });

  it('neither sees nor ends sessions of its user outside of them', async () => {
    const pump = await relay.addDevice('pump-of-acme', 'org:acme');
    const id = createId<SessionId>();
    const session: OpenSession = {
      ...{ id, deviceId: pump, deviceName: 'pump-of-acme', owner: 'org:acme' as Scope, protocol: '/exec/1', openedAt: Date.now() },
      ...{ actor: { kind: 'user', id: 'basic|alice', label: 'alice' }, address: '127.0.0.1', detail: {} },
    };
    await relay.store.sessions.insert(session);
    const weak = await keyOf('alice', { name: 'dashboard', scopes: [{ scope: 'org:other', role: 'viewer' }] });
    expect(await relay.call({ key: weak.key }, `GET /v1/devices/${pump}/sessions`)).toMatchObject({ status: 404 });
    // 503 device_offline tells that the session is there; a device that is online would be told to end it.
    expect(await relay.call({ key: weak.key }, `DELETE /v1/sessions/${id}`)).toMatchObject({ status: 404 });
    await relay.store.sessions.remove(id);
  });
});

describe('a key of a platform admin that is limited to some streams', () => {
  it('does not do what gives or takes rights on everything', async () => {
    await relay.call('bob', 'GET /v1/me');
    const answers = {
      disable: (await relay.call(narrowAdmin, `PATCH /v1/users/${encodeURIComponent('basic|bob')}`, { disabled: true })).status,
      users: (await relay.call(narrowAdmin, 'GET /v1/users')).status,
      org: (await relay.call(narrowAdmin, 'POST /v1/orgs', { id: 'by-narrow' })).status,
    };
    await relay.call('root', `PATCH /v1/users/${encodeURIComponent('basic|bob')}`, { disabled: false });
    expect(answers).toEqual({ disable: 403, users: 403, org: 403 });
  });
});

describe('a key that ends', () => {
  it('gives no share that outlives it', async () => {
    const device = await relay.addDevice('short', 'user:alice@example.com');
    const short = await keyOf('alice', { expires_at: iso(60_000) });
    const path = `PUT /v1/devices/${device}/access/user:mallory@example.com`;
    expect(await relay.call({ key: short.key }, path, { role: 'admin' })).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await relay.call({ key: short.key }, path, { role: 'admin', until: iso(DAY_MS) })).toMatchObject({ status: 403 });
    expect(await relay.call({ key: short.key }, path, { role: 'admin', until: iso(30_000) })).toMatchObject({ status: 200 });
  });
});

describe('a device that somebody shares unasked', () => {
  it('does not take the name of one’s own', async () => {
    const own = await relay.addDevice('build-7', 'user:alice@example.com');
    const decoy = await relay.addDevice('build-7', 'user:mallory@example.com');
    await relay.call('mallory', `PUT /v1/devices/${decoy}/access/user:alice@example.com`, { role: 'admin' });
    expect(await relay.call<DeviceView>('alice', 'GET /v1/devices/build-7')).toMatchObject({ status: 200, body: { id: own } });
  });

  it('is not found by what is the begin of the id of one’s own', async () => {
    const id = 'feedbeef000000000000000000000001' as DeviceId;
    await relay.addDevice('scale', 'user:alice@example.com', { id, publicKey: 'x' });
    const decoy = await relay.addDevice('feedbeef', 'user:mallory@example.com');
    await relay.call('mallory', `PUT /v1/devices/${decoy}/access/user:alice@example.com`, { role: 'admin' });
    const { status, body } = await relay.call<DeviceView>('alice', 'GET /v1/devices/feedbeef');
    expect(status === 200 ? body.id : 'ambiguous').not.toBe(decoy);
  });
});

describe('a share that ended a moment ago', () => {
  it('and is given anew with less, ends what lived by the older one', async () => {
    await using here = await openStoreHere();
    const id = createId<DeviceId>();
    const before = {
      scope: 'user:bob@example.com' as Scope,
      role: 'operator' as const,
      until: Date.now() - 1,
      sharedAt: 1,
      sharedBy: 'test',
    };
    await here.store.devices.insert({
      ...{ id, name: 'pi', owner: 'user:alice@example.com' as Scope, shares: [before], publicKey: id, fingerprint: `sha256:${id}` },
      ...{ facts: { hostname: 'pi', platform: 'linux', arch: 'arm64', version: '1' }, enrolledAt: 1, enrolledBy: 'test', revision: 1 },
    });
    const parts: ChangeParts = { store: here.store, audit: async () => {}, clock: { now: Date.now }, enforce: async () => {} };
    const alice = { scope: 'user:alice@example.com' as Scope, role: 'admin' as const };
    const principal = { kind: 'user', id: 'idp|alice', label: 'alice', scopes: [alice], admin: false, provider: 'test' } as const;
    const request = { scope: before.scope, role: 'viewer' as const };
    await shareDevice(parts, { principal, address: '127.0.0.1' }, { id, request });
    expect(await here.store.revocations.listAfter(0)).toMatchObject([{ kind: 'access', id }]);
  });
});

describe('the end of a session that began under another owner', () => {
  it('is written for whom its begin was written, and not for the next owner of the device', async () => {
    await using here = await openStoreHere();
    const { store } = here;
    const deviceId = createId<DeviceId>();
    await store.devices.insert({
      ...{ id: deviceId, name: 'pi', owner: 'org:acme' as Scope, shares: [], publicKey: deviceId, fingerprint: `sha256:${deviceId}` },
      ...{ facts: { hostname: 'pi', platform: 'linux', arch: 'arm64', version: '1' }, enrolledAt: 1, enrolledBy: 'test', revision: 1 },
    });
    const owners: (readonly [string, string | undefined])[] = [];
    const audit = async ({ action, owner }: { readonly action: string; readonly owner?: string }) => void owners.push([action, owner]);
    const ledger = createSessionLedger({ store, announce: audit, audit, clock: { now: Date.now }, log: createKeptLog() });
    const id = createId<SessionId>();
    await ledger.open({
      ...{ id, deviceId, deviceName: 'pi', owner: 'org:acme' as Scope, protocol: '/exec/1', openedAt: 1, address: '10.0.0.9' },
      ...{ actor: { kind: 'user', id: 'idp|ann', label: 'ann@acme.example' }, detail: { command: ['deploy', '--to', 'secret-customer'] } },
    });
    await store.devices.update(deviceId, { owner: 'org:globex' as Scope, shares: [] }, 1, SYSTEM_SCOPE);
    await ledger.close(id, { outcome: 'interrupted', reason: 'access_ended', reportedBy: 'relay' });
    expect(owners).toEqual([
      ['session.opened', 'org:acme'],
      ['session.closed', 'org:acme'],
    ]);
  });
});

describe('keys of programs', () => {
  it('that a platform admin made are not for whom a login gives the scope of the operator', async () => {
    const rescue = { store: relay.store, clock: { now: Date.now }, audit: async () => undefined };
    const admin = { key: (await createKey(rescue, { for: 'admin' })).key };
    const made = await keyOf(admin, { name: 'ci', scopes: [{ scope: 'org:acme', role: 'operator' }] });
    expect(await relay.call('groups', `GET /v1/keys/${made.id}`)).toMatchObject({ status: 404 });
    expect(await relay.call('groups', `DELETE /v1/keys/${made.id}`)).toMatchObject({ status: 404 });
    const { body } = await relay.call<ListView<AuditView>>('groups', 'GET /v1/audit?action=key');
    expect(body.items).toEqual([]);
  });
});

describe('limits', () => {
  it('of routes that anyone can call count credentials that are refused', async () => {
    const bogus = { key: `twl_u_${'0'.repeat(16)}_${'1'.repeat(64)}` };
    for (const route of ['POST /v1/auth/token', 'POST /v1/registrations']) {
      const codes = new Set<string | undefined>();
      for (let at = 0; at < 130; at += 1) codes.add((await relay.call(bogus, route)).code);
      expect([...codes]).toEqual(['unauthenticated', 'rate_limited']);
    }
  });

  it('of keys hold also when many are asked for at the same moment', async () => {
    const answers = await Promise.all(Array.from({ length: 420 }, () => relay.call('bob', 'POST /v1/keys', {})));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(400);
  });
});

describe('the address that a provider names', () => {
  const principal = {
    kind: 'user',
    id: 'weak|eve',
    label: 'eve',
    email: 'root@example.com',
    scopes: [],
    admin: false,
    provider: 'weak',
  } as const;
  const accepting = (emailDomains: readonly string[]): AuthProvider => ({
    emailDomains,
    authenticate: async () => ({ outcome: 'accepted', principal }),
  });

  it('counts only within the domains that it may vouch for, whatever the plugin lets through', async () => {
    await using here = await openStoreHere();
    const parts = { store: here.store, admins: new Set(['root@example.com']), clock: { now: Date.now }, log: createKeptLog() };
    const { authenticate } = createAuthenticator([{ name: 'weak', provider: accepting(['weak.example']) }], parts);
    const found = await authenticate({ authorization: 'Bearer x' }, AbortSignal.timeout(5_000));
    expect(found.principal).toMatchObject({ admin: false, scopes: [] });
    expect(found.principal.email).toBeUndefined();
  });

  it.each([
    ['bücher.example', 'xn--bcher-kva.example'],
    ['xn--bcher-kva.example', 'BÜCHER.example'],
  ])('is of one domain however that is written: %s and %s', (one, other) => {
    const placed = [one, other].map((domain, at) => ({ name: `p${at}`, provider: accepting([domain]) }));
    expect(() => requireOwnDomains(placed)).toThrow(/may both vouch/);
  });
});
