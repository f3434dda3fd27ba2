import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createId, type OrgId, type SessionId } from '@towline/protocol';
import type { SqliteStore } from '@towline/store-sqlite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKey } from './support/keys.ts';
import { addOrg, linkLive, linkWithSessions, openStoreOf, SOON_MS, startLiveRelay, tokenOf } from './support/live-relay.ts';
import { enrolRawDevice, linkDevice } from './support/raw-device.ts';
import { openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let store: SqliteStore;
beforeAll(async () => {
  system = createSystem();
  relay = await startLiveRelay(system, 'site');
  api = openApi(relay);
  store = await openStoreOf(relay);
  const operators = ['stays', 'disabled', 'removed'].map((name) => [`${name}@example.com`, 'operator'] as const);
  await addOrg(store, 'acme', { 'ada@example.com': 'admin', ...Object.fromEntries(operators) });
});
afterAll(async () => {
  await store?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
});

it('a device that was away while access ended is told to end just those sessions, and those that the relay does not know', async () => {
  const pi = await enrolRawDevice(api, { name: 'pi', owner: 'org:acme' });
  const before = await linkDevice(relay, pi.apiKey, { identity: pi.identity });
  const key = await createKey(system, relay, ['--email', 'kay@example.com', '--scope', 'org:acme', '--role', 'operator']);
  const open = async (token: string) => {
    const client = await linkLive(relay, token);
    const session = await client.open(pi.identity.id);
    expect(session.answer).toBe('accepted');
    return session.id;
  };
  const sessions = {
    stays: await open(tokenOf('stays@example.com')),
    disabled: await open(tokenOf('disabled@example.com')),
    removed: await open(tokenOf('removed@example.com')),
    key: await open(key.key),
  };
  await before[Symbol.asyncDispose]();

  const notice = { at: Date.now(), code: 'user_disabled', message: 'Your account was disabled.' };
  await store.users.disable('acme|disabled@example.com', 'test', notice);
  await store.organisations.removeMember('acme' as OrgId, 'removed@example.com', { ...notice, code: 'access_ended' }, SYSTEM_SCOPE);
  await system.rescue(relay, ['keys', 'revoke', key.id]);

  const unknown = createId<SessionId>();
  await using back = await linkWithSessions(relay, pi, [...Object.values(sessions), unknown]);
  await eventually(async () => back.told.size === 4, 'the device is told', SOON_MS);
  await new Promise((later) => setTimeout(later, 500));
  const codes = Object.fromEntries([...back.told].map(([id, { code }]) => [id, code]));
  expect(codes).toEqual({
    [sessions.disabled]: 'user_disabled',
    [sessions.removed]: 'access_ended',
    [sessions.key]: 'key_revoked',
    [unknown]: 'session_ended',
  });
  expect(back.told.get(unknown)?.message).toContain('books');
});

it('a device cannot have the sessions of another device judged as its own', async () => {
  const [one, other] = [
    await enrolRawDevice(api, { name: 'one', owner: 'org:acme' }),
    await enrolRawDevice(api, { name: 'other', owner: 'org:acme' }),
  ];
  await using first = await linkDevice(relay, one.apiKey, { identity: one.identity });
  await using client = await linkLive(relay, tokenOf('stays@example.com'));
  const session = await client.open(one.identity.id);
  expect(session.answer).toBe('accepted');
  await using _liar = await linkWithSessions(relay, other, [session.id]);
  await new Promise((later) => setTimeout(later, 500));
  expect(first.openings[0]?.stream.destroyed).toBe(false);
  expect((await client.open(one.identity.id)).answer).toBe('accepted');
});
