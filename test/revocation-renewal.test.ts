import type { SqliteStore } from '@towline/store-sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addOrg, linkLive, openStoreOf, SOON_MS, startLiveRelay, tokenOf } from './support/live-relay.ts';
import { type EnrolledRawDevice, enrolRawDevice, linkDevice, type RawDeviceLink } from './support/raw-device.ts';
import { inTime } from './support/raw-peer.ts';
import { openApi, type RelayApi } from './support/relay-api.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';

const BOB = 'bob@example.com';
let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let store: SqliteStore;
let pi: EnrolledRawDevice;
let linked: RawDeviceLink;
beforeAll(async () => {
  system = createSystem();
  relay = await startLiveRelay(system, 'site');
  api = openApi(relay);
  store = await openStoreOf(relay);
  await addOrg(store, 'acme', { 'ada@example.com': 'admin', [BOB]: 'operator' });
  pi = await enrolRawDevice(api, { name: 'pi', owner: 'org:acme' });
  linked = await linkDevice(relay, pi.apiKey, { identity: pi.identity });
});
afterAll(async () => {
  await linked?.[Symbol.asyncDispose]();
  await store?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
});
const linkBob = (expiresAt: number) => linkLive(relay, tokenOf(BOB, { expiresAt }));

describe('a link whose credential is renewed', () => {
  it('keeps its sessions over the end of the first one, and ends with the last, which is told by then', async () => {
    const [first, last] = [Date.now() + 2_000, Date.now() + 4_000];
    await using bob = await linkBob(first);
    expect(bob.welcome.expires_at_ms).toBe(first);
    const session = await bob.open(pi.identity.id);
    expect(await bob.renew(tokenOf(BOB, { expiresAt: last }))).toMatchObject({ expires_at_ms: last });
    await new Promise((later) => setTimeout(later, first + 500 - Date.now()));
    expect(session.stream.destroyed, 'it goes on').toBe(false);
    expect((await bob.open(pi.identity.id)).answer).toBe('accepted');
    expect(await inTime(bob.link.closed, 'the link ends', last + SOON_MS - Date.now())).toMatchObject({
      code: 'token_expired',
      by: 'peer',
    });
    expect(Date.now()).toBeGreaterThanOrEqual(last - 100);
  });

  it('to an earlier end ends earlier', async () => {
    await using bob = await linkBob(Date.now() + 3_600_000);
    await bob.renew(tokenOf(BOB, { expiresAt: Date.now() + 1_000 }));
    expect(await inTime(bob.link.closed, 'the link ends', 1_000 + SOON_MS)).toMatchObject({ code: 'token_expired' });
  });

  it('by one that may do less loses what that may not, and nothing else', async () => {
    await using bob = await linkBob(Date.now() + 3_600_000);
    const [exec, shell] = [await bob.open(pi.identity.id), await bob.open(pi.identity.id, '/shell/1')];
    expect(await bob.renew(tokenOf(BOB, { streams: ['shell'] }))).not.toHaveProperty('code');
    expect(await inTime(exec.ended, 'the exec ends', SOON_MS)).toBe('access_ended');
    expect((await bob.open(pi.identity.id)).answer).toBe('forbidden');
    expect(shell.stream.destroyed).toBe(false);
  });
});

describe('a renewal that is refused', () => {
  it.each([
    ['of somebody else', () => tokenOf('ada@example.com'), 'forbidden'],
    ['that nobody knows', () => 'nonsense', 'unauthenticated'],
    ['that has expired', () => tokenOf(BOB, { expiresAt: Date.now() - 1 }), 'token_expired'],
    ['that is none', () => '', 'invalid_request'],
  ])('for a credential %s leaves the link as it was', async (_what, token, code) => {
    const expiresAt = Date.now() + 3_600_000;
    await using bob = await linkBob(expiresAt);
    const session = await bob.open(pi.identity.id);
    const answer = await bob.renew(token());
    expect(answer).toMatchObject({ code, message: expect.any(String) });
    expect(answer).not.toHaveProperty('expires_at_ms');
    expect((await bob.open(pi.identity.id)).answer).toBe('accepted');
    expect(session.stream.destroyed).toBe(false);
  });

  it('for the key of a device is refused too, and is written down where a credential was refused', async () => {
    await using bob = await linkBob(Date.now() + 3_600_000);
    expect(await bob.renew(pi.apiKey, 'X-API-Key')).toMatchObject({ code: 'forbidden' });
    expect(await bob.renew(`${pi.apiKey.slice(0, -4)}0000`, 'X-API-Key')).toMatchObject({ code: 'unauthenticated' });
    expect(storedTrail(relay.dir).some(({ action, reason }) => action === 'auth.refused' && reason === 'unauthenticated')).toBe(true);
    expect(relay.program.stderr + relay.program.stdout).not.toContain(pi.apiKey.slice(0, -4));
  });

  it('comes to whoever renews without end, and the link goes on', async () => {
    await using bob = await linkBob(Date.now() + 3_600_000);
    const answers = await Promise.all(Array.from({ length: 20 }, () => bob.renew(tokenOf(BOB))));
    const codes = answers.map(({ code }) => code ?? 'renewed');
    expect(codes.filter((code) => code === 'renewed')).toHaveLength(6);
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(14);
    expect((await bob.open(pi.identity.id)).answer).toBe('accepted');
  });
});

describe('a user who is disabled', () => {
  it('cannot renew', async () => {
    await using bob = await linkLive(relay, tokenOf('dis@example.com'));
    const notice = { at: Date.now(), code: 'user_disabled', message: 'Your account was disabled.' };
    const [answer] = await Promise.all([
      store.users
        .disable('acme|dis@example.com', 'test', notice)
        .then(() => Promise.race([bob.renew(tokenOf('dis@example.com')), bob.link.closed])),
      bob.link.closed,
    ]);
    expect(answer).toMatchObject({ code: 'user_disabled' });
  });
});
