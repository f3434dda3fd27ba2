import type { CreatedKeyView, DeviceView, KeyView, ListView, MeView, TokenView } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { DeviceId, KeyId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from '../src/rescue/keys.ts';
import { type Answer, type Asking, type RoutesRelay, startRoutesRelay } from './routes-relay.ts';

const DAY_MS = 86_400_000;
const iso = (inMs: number) => new Date(Date.now() + inMs).toISOString();

let relay: RoutesRelay;
let pump: DeviceId;
let tank: DeviceId;
let adminKey: Asking;
/** Of a platform admin too, but for exec and some days. */
let narrowAdminKey: Asking;
beforeAll(async () => {
  relay = await startRoutesRelay({
    alice: { email: 'alice@example.com' },
    bob: { email: 'bob@example.com' },
    exec: { email: 'exec@example.com', streams: ['exec'] },
    nameless: {},
  });
  for (const id of ['acme', 'other']) await relay.call('root', 'POST /v1/orgs', { id });
  await relay.call('root', 'PUT /v1/orgs/acme/members/alice@example.com', { role: 'admin' });
  await relay.call('root', 'PUT /v1/orgs/acme/members/bob@example.com', { role: 'operator' });
  pump = await relay.addDevice('pump', 'org:acme');
  tank = await relay.addDevice('tank', 'org:acme');
  adminKey = { key: await rescueKey({ for: 'admin' }) };
  narrowAdminKey = { key: await rescueKey({ for: 'admin', streams: ['exec'], expiresInMs: 3 * DAY_MS }) };
});
afterAll(() => relay?.[Symbol.asyncDispose]());

async function rescueKey(spec: Parameters<typeof createKey>[1]): Promise<string> {
  return (await createKey({ store: relay.store, clock: { now: Date.now }, audit: async () => undefined }, spec)).key;
}
const create = (who: Asking, body: unknown): Promise<Answer<CreatedKeyView>> => relay.call(who, 'POST /v1/keys', body);
const madeKey = async (who: Asking, body: unknown) => {
  const { status, body: made, message } = await create(who, body);
  expect({ status, message }).toEqual({ status: 201, message: '' });
  return made;
};
const me = async (who: Asking) => (await relay.call<MeView>(who, 'GET /v1/me')).body;
const list = async (who: Asking, query = '') => (await relay.call<ListView<KeyView>>(who, `GET /v1/keys${query}`)).body.items;

describe('a key that a login makes', () => {
  it('acts as its user, and is shown once', async () => {
    const made = await madeKey('alice', { name: 'laptop' });
    expect(made.key).toMatch(/^twl_u_[0-9a-f]{16}_[0-9a-f]{64}$/);
    const mine = await me({ key: made.key });
    expect(mine).toMatchObject({
      id: 'basic|alice',
      email: 'alice@example.com',
      key_id: made.id,
      admin: false,
      streams: null,
      devices: null,
    });
    expect(mine.scopes.map(({ scope }) => scope).sort()).toEqual(['org:acme', 'user:alice@example.com']);
    const shown = (await relay.call<KeyView>('alice', `GET /v1/keys/${made.id}`)).body;
    expect(shown).toMatchObject({
      prefix: `twl_u_${made.id}`,
      name: 'laptop',
      state: 'valid',
      owner: 'user:alice@example.com',
      kind: 'user',
    });
    expect(JSON.stringify(shown)).not.toContain(made.key.slice(-64));
    const [record] = await relay.trail('key.created');
    expect(record).toMatchObject({ detail: { key: made.id, name: 'laptop' }, actor: { id: 'basic|alice' } });
    expect(JSON.stringify(record)).not.toContain(made.key.slice(-64));
  });

  it('has what its user has at each moment', async () => {
    await relay.call('root', 'PUT /v1/orgs/other/members/bob@example.com', { role: 'operator' });
    const all = { key: (await madeKey('bob', {})).key };
    const some = { key: (await madeKey('bob', { scopes: [{ scope: 'org:other', role: 'viewer' }] })).key };
    expect((await me(some)).scopes).toEqual([{ scope: 'org:other', role: 'viewer' }]);
    await relay.call('root', 'PUT /v1/orgs/other/members/root@example.com', { role: 'admin' });
    await relay.call('root', 'DELETE /v1/orgs/other/members/bob@example.com');
    expect((await me(some)).scopes).toEqual([]);
    expect((await me(all)).scopes.map(({ scope }) => scope).sort()).toEqual(['org:acme', 'user:bob@example.com']);
  });

  it('is limited to streams and devices, named or by id, and sees those devices alone', async () => {
    const { key, id } = await madeKey('alice', { devices: ['pump', pump], streams: ['exec'], expires_at: iso(DAY_MS) });
    expect(await me({ key })).toMatchObject({ streams: ['exec'], devices: [pump], expires_at: expect.any(String) });
    expect((await relay.call<ListView<DeviceView>>({ key }, 'GET /v1/devices?limit=1')).body.items.map(({ name }) => name)).toEqual([
      'pump',
    ]);
    expect(await relay.call({ key }, `GET /v1/devices/${tank}`)).toMatchObject({ status: 404, code: 'not_found' });
    expect(await relay.call({ key }, 'GET /v1/devices/tank')).toMatchObject({ status: 404 });
    expect(await relay.call({ key }, 'GET /v1/audit')).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await relay.call({ key }, 'GET /v1/audit?device=pump')).toMatchObject({ status: 200 });
    expect(await relay.call({ key }, 'PUT /v1/orgs/acme/members/eve@example.com', { role: 'admin' })).toMatchObject({ status: 403 });
    expect(await relay.call({ key }, 'GET /v1/keys?all=true')).toMatchObject({ status: 403 });
    expect((await list('alice')).find((each) => each.id === id)).toMatchObject({ devices: [pump], streams: ['exec'] });
  });

  it.each([
    ['a scope that is not held', { scopes: [{ scope: 'org:other', role: 'viewer' }] }, 403, 'forbidden'],
    ['a stronger role than held', { scopes: [{ scope: 'org:acme', role: 'admin' }] }, 403, 'forbidden'],
    ['the scope of somebody else', { scopes: [{ scope: 'user:alice@example.com', role: 'viewer' }] }, 403, 'forbidden'],
    ['a device that is not seen', { devices: ['elsewhere'] }, 404, 'not_found'],
    ['an end that is over', { expires_at: iso(-1_000) }, 400, 'invalid_request'],
    ['no scope at all', { scopes: [] }, 400, 'invalid_request'],
    ['no streams', { streams: [] }, 400, 'invalid_request'],
    ['no devices', { devices: [] }, 400, 'invalid_request'],
    ['a scope that is none', { scopes: [{ scope: 'acme', role: 'viewer' }] }, 400, 'invalid_request'],
    ['the power of a platform admin', { admin: true }, 400, 'invalid_request'],
    ['another kind', { kind: 'device' }, 400, 'invalid_request'],
    ['a name that moves the cursor', { name: 'a\u001b[1A' }, 400, 'invalid_request'],
    ['an owner', { owner: 'org:acme' }, 400, 'invalid_request'],
    ['a count', { count: 3 }, 400, 'invalid_request'],
  ])('does not have %s', async (_, body, status, code) => {
    const before = (await list('bob')).length;
    expect(await create('bob', body)).toMatchObject({ status, code });
    expect(await list('bob')).toHaveLength(before);
  });

  it('needs an address', async () => {
    expect(await create('nameless', {})).toMatchObject({ status: 403, code: 'forbidden', hint: expect.stringContaining('address') });
  });

  it('stays within the streams of a limited login', async () => {
    expect(await create('exec', { streams: ['shell'] })).toMatchObject({
      status: 403,
      code: 'forbidden',
      message: expect.stringContaining('exec'),
    });
    expect((await me({ key: (await madeKey('exec', {})).key })).streams).toEqual(['exec']);
  });

  it('of a platform admin is none', async () => {
    expect(await me({ key: (await madeKey('root', {})).key })).toMatchObject({ admin: false });
  });

  it('makes no keys, nor does a token of it', async () => {
    const { key } = await madeKey('alice', {});
    const { token } = (await relay.call<TokenView>({ key }, 'POST /v1/auth/token')).body;
    for (const who of [{ key }, { token }]) {
      for (const body of [{}, { kind: 'enrolment', owner: 'org:acme' }])
        expect(await create(who, body)).toMatchObject({ status: 403, code: 'forbidden', message: 'A key cannot make keys.' });
    }
  });
});

describe('a key that a key of a platform admin makes', () => {
  it('holds exactly what is written in it, and is nobody else', async () => {
    const made = await madeKey(adminKey, { name: 'ci', scopes: [{ scope: 'org:acme', role: 'operator' }], streams: ['exec'] });
    const mine = await me({ key: made.key });
    expect(mine).toMatchObject({ id: `local|key-${made.id}`, email: null, admin: false, streams: ['exec'] });
    expect(mine.scopes).toEqual([{ scope: 'org:acme', role: 'operator' }]);
    expect(await relay.call({ key: made.key }, 'GET /v1/devices/pump')).toMatchObject({ status: 200, body: { role: 'operator' } });
    expect((await list(adminKey, '?all=true')).map(({ id }) => id)).toContain(made.id);
  });

  it.each([
    ['without scopes', {}, 400, 'invalid_request'],
    ['of a deleted organisation', { scopes: [{ scope: 'org:over', role: 'viewer' }] }, 410, 'org_deleted'],
  ])('is not made %s', async (_, body, status, code) => {
    await relay.call('root', 'POST /v1/orgs', { id: 'over' });
    await relay.call('root', 'DELETE /v1/orgs/over');
    expect(await create(adminKey, body)).toMatchObject({ status, code });
  });

  it('stays within the streams and the life of that key', async () => {
    const scopes = [{ scope: 'org:acme', role: 'viewer' }];
    expect(await create(narrowAdminKey, { scopes, streams: ['shell'] })).toMatchObject({ status: 403, code: 'forbidden' });
    const late = await create(narrowAdminKey, { scopes, expires_at: iso(4 * DAY_MS) });
    expect(late).toMatchObject({ status: 403, code: 'forbidden', message: expect.stringContaining('cannot live longer') });
    const { id } = await madeKey(narrowAdminKey, { scopes });
    const stored = await relay.store.keys.get(id as KeyId, SYSTEM_SCOPE);
    expect(stored).toMatchObject({ streams: ['exec'], expiresAt: expect.any(Number) });
  });
});

describe('an enrolment key', () => {
  it('is made by admins of the owner, by a login too, and listed under it', async () => {
    const made = await madeKey('alice', { kind: 'enrolment', owner: 'org:acme', count: 3 });
    expect(made.key).toMatch(/^twl_e_/);
    const found = (await list('alice', '?all=true')).find(({ id }) => id === made.id);
    expect(found).toMatchObject({ kind: 'enrolment', owner: 'org:acme', remaining: 3, name: 'enrol org:acme', prefix: `twl_e_${made.id}` });
    await madeKey('alice', { kind: 'enrolment', owner: 'user:alice@example.com' });
    await madeKey(adminKey, { kind: 'enrolment', owner: 'org:acme', expires_at: iso(DAY_MS) });
  });

  it.each([
    ['bob', { owner: 'org:acme' }, 403, 'forbidden'],
    ['bob', { owner: 'org:other' }, 404, 'not_found'],
    ['bob', { owner: 'user:alice@example.com' }, 404, 'not_found'],
    ['exec', { owner: 'user:exec@example.com' }, 403, 'forbidden'],
    ['root', { owner: 'org:nowhere' }, 404, 'not_found'],
    ['alice', {}, 400, 'invalid_request'],
    ['alice', { owner: 'org:acme', count: 0 }, 400, 'invalid_request'],
    ['alice', { owner: 'org:acme', streams: ['exec'] }, 400, 'invalid_request'],
    ['alice', { owner: 'ACME' }, 400, 'invalid_request'],
  ])('is not made by %s with %j', async (who, body, status, code) => {
    expect(await create(who, { kind: 'enrolment', ...body })).toMatchObject({ status, code });
  });
});

describe('keys', () => {
  it('are listed for their users; those of others and of admins for whom they concern', async () => {
    const mine = await madeKey('alice', { name: 'mine' });
    const theirs = await madeKey('bob', { name: 'theirs' });
    const enrol = await madeKey('alice', { kind: 'enrolment', owner: 'org:acme' });
    const ids = async (who: Asking, query = '') => (await list(who, query)).map(({ id }) => id);
    expect(await ids('alice')).toContain(mine.id);
    for (const id of [theirs.id, enrol.id]) expect(await ids('alice')).not.toContain(id);
    expect(await ids('alice', '?all=true')).toEqual(expect.arrayContaining([mine.id, enrol.id]));
    expect(await ids('alice', '?all=true')).not.toContain(theirs.id);
    expect(await ids('bob', '?all=true')).not.toContain(enrol.id);
    expect(await ids('root', '?all=true')).toEqual(expect.arrayContaining([mine.id, theirs.id, enrol.id]));
  });

  it('are given in full pages, without those of devices between them', async () => {
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = `?all=true&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`;
      const { items, next }: ListView<KeyView> = (await relay.call<ListView<KeyView>>('root', `GET /v1/keys${query}`)).body;
      if (next !== null) expect(items).toHaveLength(2);
      pages.push(...items.map(({ id }) => id));
      cursor = next;
    }
    expect(pages).toEqual((await list('root', '?all=true')).map(({ id }) => id));
  });

  it('are revoked by their users, once, and at once', async () => {
    const { id, key } = await madeKey('alice', {});
    const before = await relay.store.revocations.last();
    expect(await relay.call('alice', `DELETE /v1/keys/${id}?reason=lost`)).toMatchObject({ status: 204 });
    expect(await relay.call({ key }, 'GET /v1/me')).toMatchObject({ status: 401, code: 'key_revoked' });
    expect(await relay.store.revocations.listAfter(before)).toMatchObject([{ kind: 'key', id, message: 'The API key was revoked: lost' }]);
    expect(await relay.call('alice', `DELETE /v1/keys/${id}`)).toMatchObject({ status: 409, code: 'conflict' });
    expect((await list('alice', '?revoked=true')).find((each) => each.id === id)).toMatchObject({ state: 'revoked' });
    expect((await list('alice')).map((each) => each.id)).not.toContain(id);
    expect((await relay.trail('key.revoked'))[0]).toMatchObject({ detail: { key: id, reason: 'lost' } });
  });

  it('of others are revoked by admins of their owner alone', async () => {
    const enrol = await madeKey('alice', { kind: 'enrolment', owner: 'org:acme' });
    const theirs = await madeKey('alice', {});
    for (const { id } of [enrol, theirs]) {
      expect(await relay.call('bob', `GET /v1/keys/${id}`)).toMatchObject({ status: 404, code: 'not_found' });
      expect(await relay.call('bob', `DELETE /v1/keys/${id}`)).toMatchObject({ status: 404, code: 'not_found' });
      expect(await relay.call('root', `DELETE /v1/keys/${id}`)).toMatchObject({ status: 204 });
    }
  });

  it('of platform admins are not shown to those who hold the scope they are listed under', async () => {
    const id = (adminKey as { key: string }).key.slice(6, 22);
    const holder = { key: (await madeKey(adminKey, { scopes: [{ scope: 'org:operator', role: 'admin' }] })).key };
    expect(await relay.call(holder, `GET /v1/keys/${id}`)).toMatchObject({ status: 404 });
    expect(await relay.call(holder, `DELETE /v1/keys/${id}`)).toMatchObject({ status: 404 });
    expect((await list(holder, '?all=true')).map((each) => each.id)).not.toContain(id);
    expect(await relay.call(adminKey, 'GET /v1/me')).toMatchObject({ status: 200 });
  });

  it('with limits revoke themselves and no other', async () => {
    const other = await madeKey('alice', {});
    const limited = await madeKey('alice', { streams: ['exec'] });
    expect(await relay.call({ key: limited.key }, `DELETE /v1/keys/${other.id}`)).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await relay.call({ key: limited.key }, `DELETE /v1/keys/${limited.id}`)).toMatchObject({ status: 204 });
  });

  it('of a limited login are revoked by it', async () => {
    const { id } = await madeKey('exec', {});
    expect(await relay.call('exec', `DELETE /v1/keys/${id}`)).toMatchObject({ status: 204 });
  });

  it('of devices are not touched here', async () => {
    const id = '00000000000000aa' as KeyId;
    await relay.store.keys.insert({
      ...{ id, kind: 'device', hash: '0'.repeat(64), name: 'pump', owner: 'org:acme' as never, admin: false, scopes: [], deviceId: pump },
      ...{ createdAt: Date.now(), createdBy: 'test', revision: 1 },
    });
    for (const who of ['alice', 'root']) {
      expect((await list(who, '?all=true')).map((each) => each.id)).not.toContain(id);
      expect(await relay.call(who, `GET /v1/keys/${id}`)).toMatchObject({ status: 404 });
      expect(await relay.call(who, `DELETE /v1/keys/${id}`)).toMatchObject({ status: 404 });
    }
  });

  it.each(['GET /v1/keys/nonsense', 'DELETE /v1/keys/0000', 'GET /v1/keys?all=perhaps'])('are not asked for by %s', async (request) => {
    expect(await relay.call('alice', request)).toMatchObject({ status: 400, code: 'invalid_request' });
  });
});

describe('POST /v1/auth/token', () => {
  it('makes a token of a login and of a key, which ends with that key', async () => {
    const { token, expires_at } = (await relay.call<TokenView>('alice', 'POST /v1/auth/token')).body;
    expect(Date.parse(expires_at)).toBeGreaterThan(Date.now());
    expect(await me({ token })).toMatchObject({ id: 'basic|alice', email: 'alice@example.com', key_id: null });
    expect((await relay.trail('auth.token_issued'))[0]).toMatchObject({ actor: { id: 'basic|alice' } });
    expect(JSON.stringify(await relay.trail('auth'))).not.toContain(token);
    const { id, key } = await madeKey('alice', { scopes: [{ scope: 'org:acme', role: 'viewer' }] });
    const ofKey = (await relay.call<TokenView>({ key }, 'POST /v1/auth/token')).body.token;
    expect(await me({ token: ofKey })).toMatchObject({ key_id: id, scopes: [{ scope: 'org:acme', role: 'viewer' }] });
    await relay.call('alice', `DELETE /v1/keys/${id}`);
    expect(await relay.call({ token: ofKey }, 'GET /v1/me')).toMatchObject({ status: 401, code: 'key_revoked' });
  });

  it('makes none of a token, of an enrolment key, nor for nobody', async () => {
    const { token } = (await relay.call<TokenView>('alice', 'POST /v1/auth/token')).body;
    expect(await relay.call({ token }, 'POST /v1/auth/token')).toMatchObject({ status: 403, code: 'forbidden' });
    const { key } = await madeKey('alice', { kind: 'enrolment', owner: 'org:acme' });
    expect(await relay.call({ key }, 'POST /v1/auth/token')).toMatchObject({ status: 401, code: 'key_wrong_kind' });
    expect(await relay.call(null, 'POST /v1/auth/token')).toMatchObject({ status: 401, code: 'unauthenticated' });
  });

  it('says so where no provider makes any', async () => {
    await using plain = await startRoutesRelay({ alice: { email: 'alice@example.com' } }, { jwt: false });
    const answer = await plain.call('alice', 'POST /v1/auth/token');
    expect(answer).toMatchObject({ status: 503, code: 'unavailable', hint: expect.stringContaining('jwt') });
  });

  it('is bounded', async () => {
    await using busy = await startRoutesRelay({ alice: { email: 'alice@example.com' } });
    const codes: (string | undefined)[] = [];
    for (let time = 0; time < 125; time += 1) codes.push((await busy.call('alice', 'POST /v1/auth/token')).code);
    expect(codes.slice(0, 120).every((code) => code === undefined)).toBe(true);
    expect(codes.at(-1)).toBe('rate_limited');
  });
});
