import { isPlugin, type Principal } from '@towline/contract';
import { createId, type DeviceId, type KeyId } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { plugin } from '../src/index.ts';
import { ALICE, ask, checkOptions, NOW, NOW_S, OLDER_SECRET, openProvider, partsOf, SECRET } from './fixture.ts';

const DAY_MS = 86_400_000;
const KEY_ID = '0123456789abcdef' as KeyId;

describe('the plugin', () => {
  it('is of kind auth, offers no login and vouches for no address', async () => {
    expect(isPlugin(plugin)).toBe(true);
    expect(plugin).toMatchObject({ kind: 'auth', name: 'jwt', needs: [] });
    const { provider } = await openProvider();
    expect([provider.loginMethod, provider.emailDomains]).toEqual([undefined, undefined]);
  });

  it.each<[string, unknown, RegExp]>([
    ['no secret', {}, /^: expected either secret or secrets, found neither$/],
    ['both', { secret: SECRET, secrets: [SECRET] }, /found both/],
    ['an empty secret', { secret: '' }, /^secret: expected a random secret of at least 32 characters.* found an empty text$/],
    ['a short secret', { secret: 'hunter2' }, /found a text of 7 characters/],
    ['a secret that repeats itself', { secret: 'abcdefgh'.repeat(5) }, /found a text that repeats itself/],
    ['a secret of one character', { secret: 'x'.repeat(64) }, /found a text that repeats itself/],
    ['a secret that is a number', { secret: 12_345 }, /^secret: expected a random secret/],
    ['no secrets', { secrets: [] }, /^secrets: expected at least one secret$/],
    ['a weak one among several', { secrets: [SECRET, 'hunter2'] }, /^secrets\.1: .* found a text of 7 characters$/],
    ['one secret twice', { secrets: [SECRET, SECRET] }, /^secrets: expected each secret once$/],
    ['too many', { secrets: Array.from({ length: 17 }, (_, at) => `${SECRET}${at}`) }, /^secrets: expected at most 16 secrets$/],
    ['an expiration without unit', { secret: SECRET, expiration: 24 }, /^expiration: expected a duration such as/],
    ['an expiration of seconds', { secret: SECRET, expiration: '59s' }, /from 1m to 30d$/],
    ['an expiration of months', { secret: SECRET, expiration: '31d' }, /from 1m to 30d$/],
    ['an issuer of nothing', { secret: SECRET, issuer: '' }, /^issuer: /],
    ['an unknown option', { secret: SECRET, algorithm: 'none' }, /algorithm/],
  ])('refuses %s, and shows no secret', async (_, options, expected) => {
    const { faults } = await checkOptions(options);
    expect(faults).toEqual([expect.stringMatching(expected)]);
    expect(faults.join()).not.toMatch(/hunter2|abcdefgh|kQ0v7/);
  });
});

describe('a token', () => {
  it('brings back who it was made for, as derived', async () => {
    const { provider, issue } = await openProvider();
    const { token, expiresAt } = await issue();
    expect(expiresAt).toBe(NOW_S * 1_000 + DAY_MS);
    expect(await ask(provider, token)).toEqual({ outcome: 'accepted', principal: { ...ALICE, derived: true, expiresAt } });
  });

  it('carries the limits of the key it was made from', async () => {
    const { provider, issue } = await openProvider();
    const limits: Partial<Principal> = {
      keyId: KEY_ID,
      bounded: true,
      streams: ['shell'],
      devices: [createId<DeviceId>()],
      admin: true,
      provider: 'apikey',
    };
    const { token } = await issue({ ...ALICE, ...limits });
    expect(await ask(provider, token)).toMatchObject({ outcome: 'accepted', principal: { ...ALICE, ...limits, derived: true } });
  });

  it('keeps an empty limit, which allows nothing', async () => {
    const { provider, issue } = await openProvider();
    const { token } = await issue({ ...ALICE, streams: [], devices: [], scopes: [] });
    expect(await ask(provider, token)).toMatchObject({ principal: { streams: [], devices: [], scopes: [] } });
  });

  it('says in its header how it is signed, and nothing that leads to the secret', async () => {
    const { header, payload } = partsOf((await (await openProvider()).issue()).token);
    expect(header).toEqual({ alg: 'HS256', typ: 'towline+jwt', kid: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(payload).toMatchObject({ iss: 'towline', aud: 'towline', sub: ALICE.id, iat: NOW_S, exp: NOW_S + 86_400 });
    expect(payload).not.toHaveProperty('admin');
  });

  it('lives as long as the option says, and no longer than what it was made from', async () => {
    const { issue } = await openProvider({ secret: SECRET, expiration: '30m' });
    expect((await issue()).expiresAt).toBe(NOW_S * 1_000 + 1_800_000);
    expect((await issue({ ...ALICE, expiresAt: NOW + 60_000 })).expiresAt).toBe(NOW_S * 1_000 + 60_000);
    await expect(issue({ ...ALICE, expiresAt: NOW + 100 })).rejects.toMatchObject({ code: 'token_expired' });
    await expect(issue({ ...ALICE, keyId: KEY_ID, expiresAt: NOW - 1 })).rejects.toMatchObject({ code: 'key_expired' });
  });

  it('ends by the clock', async () => {
    const { provider, clock, issue } = await openProvider();
    const { token, expiresAt } = await issue();
    clock.time = expiresAt - 1;
    expect(await ask(provider, token)).toMatchObject({ outcome: 'accepted' });
    clock.time = expiresAt;
    expect(await ask(provider, token)).toEqual({ outcome: 'rejected', code: 'token_expired' });
  });

  it('survives a clock that was set back a little, not one that was set back far', async () => {
    const { provider, clock, issue } = await openProvider();
    const { token } = await issue();
    clock.time = NOW - 50_000;
    expect(await ask(provider, token)).toMatchObject({ outcome: 'accepted' });
    clock.time = NOW - 300_000;
    expect(await ask(provider, token)).toMatchObject({ code: 'token_invalid', message: expect.stringContaining('from the future') });
  });

  it('of an older secret is good until the secret is gone', async () => {
    const { token } = await (await openProvider({ secret: OLDER_SECRET })).issue();
    const both = await openProvider({ secrets: [SECRET, OLDER_SECRET] });
    expect(await ask(both.provider, token)).toMatchObject({ outcome: 'accepted' });
    const fresh = await both.issue();
    const { provider } = await openProvider({ secrets: [SECRET] });
    expect(await ask(provider, fresh.token)).toMatchObject({ outcome: 'accepted' });
    expect(await ask(provider, token)).toMatchObject({
      outcome: 'rejected',
      code: 'token_invalid',
      message: expect.stringContaining('not any more'),
    });
  });

  it('of a relay of another name with the same secret is left to others', async () => {
    const { token } = await (await openProvider({ secret: SECRET, issuer: 'elsewhere' })).issue();
    expect(await ask((await openProvider()).provider, token)).toEqual({ outcome: 'skipped' });
  });
});

describe('a request for a token', () => {
  it('with a token is refused, and the hint says what to do', async () => {
    const { provider, issue } = await openProvider();
    const answer = await ask(provider, (await issue()).token);
    const { principal } = answer as Extract<typeof answer, { outcome: 'accepted' }>;
    await expect(issue(principal)).rejects.toMatchObject({ code: 'forbidden', hint: expect.stringContaining('API key or the password') });
  });

  it.each(['device', 'enrolment'] as const)('of kind %s is refused', async (kind) => {
    const { issue } = await openProvider();
    await expect(issue({ ...ALICE, kind })).rejects.toMatchObject({ code: 'forbidden', hint: 'Use the API key itself.' });
  });

  it('that would carry too much is refused rather than answered with a token that nobody takes', async () => {
    const { issue } = await openProvider();
    const devices = Array.from({ length: 400 }, () => createId<DeviceId>());
    await expect(issue({ ...ALICE, devices })).rejects.toMatchObject({ code: 'too_large', hint: expect.stringContaining('fewer') });
  });
});

describe('a credential of another kind', () => {
  it.each([
    { scheme: 'basic', username: 'alice', password: 'x' },
    { scheme: 'api_key', key: 'twl_u_x' },
  ] as const)('$scheme is skipped', async (credential) => {
    const { provider } = await openProvider();
    expect(await provider.authenticate(credential, AbortSignal.timeout(5_000))).toEqual({ outcome: 'skipped' });
  });
});
