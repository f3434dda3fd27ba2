import type { ListView, MeView, UserView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { disableStoredUser, enableStoredUser, listUsers } from '../src/rescue/users.ts';
import { type RoutesRelay, startRoutesRelay } from './routes-relay.ts';

let relay: RoutesRelay;
beforeAll(async () => {
  relay = await startRoutesRelay({
    alice: { email: 'alice@example.com' },
    bob: { email: 'bob@example.com' },
    nobody: {},
    'https//odd/b': { email: 'odd@example.com' },
  });
  for (const name of ['root', 'alice', 'bob', 'nobody', 'https//odd/b']) expect((await relay.call(name, 'GET /v1/me')).status).toBe(200);
});
afterAll(() => relay?.[Symbol.asyncDispose]());

const path = (id: string) => `/v1/users/${encodeURIComponent(id)}`;
const view = async (id: string) => (await relay.call<UserView>('root', `GET ${path(id)}`)).body;

describe('users', () => {
  it('are listed for platform admins, and found by address', async () => {
    const all = (await relay.call<ListView<UserView>>('root', 'GET /v1/users')).body.items;
    expect(all.map(({ id }) => id)).toEqual(['basic|alice', 'basic|bob', 'basic|https//odd/b', 'basic|nobody', 'basic|root']);
    const found = (await relay.call<ListView<UserView>>('root', 'GET /v1/users?email=Bob%40Example.com')).body.items;
    expect(found).toMatchObject([{ id: 'basic|bob', email: 'bob@example.com', disabled: false, disabled_at: null, provider: 'basic' }]);
  });

  it('are given a page at a time', async () => {
    const first = (await relay.call<ListView<UserView>>('root', 'GET /v1/users?limit=3')).body;
    const rest = (await relay.call<ListView<UserView>>('root', `GET /v1/users?limit=3&cursor=${first.next}`)).body;
    expect([first.items.length, rest.items.length, rest.next]).toEqual([3, 2, null]);
  });

  it('are found by an id with bars and slashes', async () => {
    expect(await view('basic|https//odd/b')).toMatchObject({ id: 'basic|https//odd/b', email: 'odd@example.com' });
  });

  it.each(['GET /v1/users', 'GET /v1/users/basic%7Cbob', 'PATCH /v1/users/basic%7Cbob'])('are for nobody else: %s', async (request) => {
    const body = request.startsWith('PATCH') ? { disabled: true } : undefined;
    expect(await relay.call('alice', request, body)).toMatchObject({ status: 403, code: 'forbidden' });
    expect(await relay.call(null, request, body)).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect((await view('basic|bob')).disabled).toBe(false);
  });

  it('that are absent are not found', async () => {
    expect(await relay.call('root', `GET ${path('basic|none')}`)).toMatchObject({ status: 404, code: 'not_found' });
    expect(await relay.call('root', `PATCH ${path('basic|none')}`, { disabled: true })).toMatchObject({ status: 404, code: 'not_found' });
    expect(await relay.call('root', `PATCH ${path('basic|none')}`, { disabled: false })).toMatchObject({ status: 404, code: 'not_found' });
  });

  it.each([
    [{}, 'disabled'],
    [{ disabled: 'yes' }, 'disabled'],
    [{ disabled: true, admin: true }, 'admin'],
    [{ disabled: true, reason: 'left\u001b[2J' }, 'control characters'],
  ])('are not changed by %j', async (body, named) => {
    const answer = await relay.call('root', `PATCH ${path('basic|bob')}`, body);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request', message: expect.stringContaining(named) });
    expect((await view('basic|bob')).disabled).toBe(false);
  });

  it.each(['GET /v1/users?email=nonsense', 'GET /v1/users?disabled=maybe', 'GET /v1/users?cursor=stolen'])(
    'are not listed by %s',
    async (request) => {
      expect(await relay.call('root', request)).toMatchObject({ status: 400, code: 'invalid_request' });
    },
  );
});

describe('disabling a user', () => {
  it('ends what their credentials are good for until they are enabled, keys included', async () => {
    const { key } = (await relay.call<{ key: string }>('bob', 'POST /v1/keys', {})).body;
    expect((await relay.call({ key }, 'GET /v1/me')).status).toBe(200);
    const before = await relay.store.revocations.last();
    const disabled = await relay.call<UserView>('root', `PATCH ${path('basic|bob')}`, { disabled: true, reason: 'left the company' });
    expect(disabled.body).toMatchObject({ disabled: true, disabled_by: 'root@example.com' });
    for (const who of ['bob', { key }]) expect(await relay.call(who, 'GET /v1/me')).toMatchObject({ status: 403, code: 'user_disabled' });
    expect(await relay.store.revocations.listAfter(before)).toMatchObject([
      { kind: 'user', id: 'basic|bob', code: 'user_disabled', message: 'Your account was disabled: left the company' },
    ]);
    expect((await relay.call<ListView<UserView>>('root', 'GET /v1/users?disabled=true')).body.items.map(({ id }) => id)).toEqual([
      'basic|bob',
    ]);
    expect((await relay.call<UserView>('root', `PATCH ${path('basic|bob')}`, { disabled: false })).body.disabled).toBe(false);
    for (const who of ['bob', { key }]) expect((await relay.call<MeView>(who, 'GET /v1/me')).body.email).toBe('bob@example.com');
    expect((await relay.trail('user')).map(({ action, detail }) => [action, detail?.user, detail?.reason])).toEqual([
      ['user.enabled', 'basic|bob', undefined],
      ['user.disabled', 'basic|bob', 'left the company'],
    ]);
  });

  it('twice is recorded once', async () => {
    for (let time = 0; time < 2; time += 1)
      expect((await relay.call('root', `PATCH ${path('basic|nobody')}`, { disabled: true })).status).toBe(200);
    const found = (await relay.trail('user.disabled')).filter(({ detail }) => detail?.user === 'basic|nobody');
    expect(found).toHaveLength(1);
  });

  it('is not done to oneself', async () => {
    const answer = await relay.call('root', `PATCH ${path('basic|root')}`, { disabled: true });
    expect(answer).toMatchObject({ status: 403, code: 'forbidden', message: 'You cannot disable yourself.' });
    expect((await relay.call('root', 'GET /v1/me')).status).toBe(200);
  });

  it('works by the rescue command beside a running relay', async () => {
    const audited: string[] = [];
    const parts = {
      store: relay.store,
      clock: { now: Date.now },
      audit: async ({ action }: { action: string }) => void audited.push(action),
    };
    expect((await listUsers(parts)).map(({ id }) => id)).toContain('basic|alice');
    await disableStoredUser(parts, 'basic|alice', undefined);
    expect(await relay.call('alice', 'GET /v1/me')).toMatchObject({ code: 'user_disabled' });
    await enableStoredUser(parts, 'basic|alice');
    expect((await relay.call('alice', 'GET /v1/me')).status).toBe(200);
    await expect(disableStoredUser(parts, 'basic|none', undefined)).rejects.toMatchObject({ code: 'not_found' });
    expect(audited).toEqual(['user.disabled', 'user.enabled']);
  });
});
