import { isPlugin } from '@towline/contract';
import { describe, expect, it } from 'vitest';
import { plugin } from '../src/index.ts';
import { hashPassword } from '../src/password.ts';
import { cheapHash, checkOptions, openProvider, PASSWORD } from './fixture.ts';

const WRONG = { outcome: 'rejected', code: 'unauthenticated', message: 'The user name or the password is wrong.' };
const ALICE = { username: 'alice', password_hash: cheapHash(PASSWORD) };

describe('the plugin', () => {
  it('is of kind auth, offers a login, and vouches for the domains that are in its users', async () => {
    expect(isPlugin(plugin)).toBe(true);
    expect(plugin).toMatchObject({ kind: 'auth', name: 'basic', needs: [] });
    const users = [ALICE, { ...ALICE, username: 'bob', email: 'Bob@Example.com' }, { ...ALICE, username: 'eve', email: 'eve@example.com' }];
    const { provider } = await openProvider({ users });
    expect(provider.loginMethod).toEqual({ method: 'basic', label: 'user name and password' });
    expect(provider.emailDomains).toEqual(['example.com']);
    expect((await openProvider({ users: [ALICE] })).provider.emailDomains).toBeUndefined();
  });
});

describe('a login', () => {
  it('gives what the operator has written', async () => {
    const more = { email: 'Alice@Example.com', scopes: [{ scope: 'org:acme', role: 'viewer' }], streams: ['shell'], admin: true };
    const { login } = await openProvider({ users: [{ ...ALICE, ...more }] });
    expect(await login('alice', PASSWORD)).toEqual({
      outcome: 'accepted',
      principal: {
        kind: 'user',
        id: 'basic|alice',
        label: 'alice@example.com',
        email: 'alice@example.com',
        scopes: more.scopes,
        streams: ['shell'],
        admin: true,
        provider: 'basic',
      },
    });
  });

  it('without more gives a user who holds nothing', async () => {
    const { login } = await openProvider({ users: [ALICE] });
    const principal = { kind: 'user', id: 'basic|alice', label: 'alice', scopes: [], admin: false, provider: 'basic' };
    expect(await login('alice', PASSWORD)).toEqual({ outcome: 'accepted', principal });
  });

  it('with a hash of hash-password is accepted', async () => {
    const password_hash = await hashPassword(PASSWORD);
    expect(password_hash).toMatch(/^scrypt\$131072\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
    const { login } = await openProvider({ users: [{ username: 'alice', password_hash }] });
    expect(await login('alice', PASSWORD)).toMatchObject({ outcome: 'accepted' });
    expect(await login('alice', `${PASSWORD}!`)).toEqual(WRONG);
  });

  it.each<[string, string, string]>([
    ['an unknown user', 'mallory', PASSWORD],
    ['a wrong password', 'alice', 'kettle-orbit-39-trout'],
    ['an empty password', 'alice', ''],
    ['an empty name', '', PASSWORD],
    ['nothing', '', ''],
    ['another case of the name', 'Alice', PASSWORD],
    ['another case of the password', 'alice', PASSWORD.toUpperCase()],
    ['space behind the password', 'alice', `${PASSWORD} `],
    ['the hash in place of the password', 'alice', ALICE.password_hash],
    ['a zero byte in the name', 'alice\0', PASSWORD],
    ['a zero byte in the password', 'alice', `${PASSWORD}\0x`],
    ['a line break in the name', 'alice\r\n', PASSWORD],
    ['a member of objects', '__proto__', PASSWORD],
    ['a name that looks alike', '\u0430lice', PASSWORD],
    ['a very long password', 'alice', 'x'.repeat(1_000_000)],
    ['a very long name', 'x'.repeat(1_000_000), PASSWORD],
  ])('with %s gets the one answer', async (_, username, password) => {
    const { login } = await openProvider({ users: [ALICE] });
    expect(await login(username, password)).toEqual(WRONG);
  });

  it('with a colon in the password is accepted', async () => {
    const password = 'kettle:orbit:39:salmon';
    const { login } = await openProvider({ users: [{ ...ALICE, password_hash: cheapHash(password) }] });
    expect(await login('alice', password)).toMatchObject({ outcome: 'accepted' });
  });

  it('is the same however its letters are composed', async () => {
    const password = 'gr\u00fc\u00dfe-aus-k\u00f6ln-39';
    const { login } = await openProvider({ users: [{ username: 'zo\u00eb', password_hash: cheapHash(password) }] });
    expect(await login('zoe\u0308', password.normalize('NFD'))).toMatchObject({ principal: { id: 'basic|zo\u00eb' } });
  });

  it('of one user with the password of another is wrong', async () => {
    const bob = { username: 'bob', password_hash: cheapHash('another-one-of-39-words') };
    const { login } = await openProvider({ users: [ALICE, bob] });
    await login('alice', PASSWORD);
    expect(await login('bob', PASSWORD)).toEqual(WRONG);
  });

  it.each([
    { scheme: 'bearer', token: PASSWORD },
    { scheme: 'api_key', key: PASSWORD },
  ] as const)('of scheme $scheme is left to others', async (credential) => {
    const { ask } = await openProvider({ users: [ALICE] });
    expect(await ask(credential)).toEqual({ outcome: 'skipped' });
  });
});

describe('a login that was right a moment ago', () => {
  it('is not hashed again for a minute, however many requests come with it', async () => {
    const { login, clock } = await openProvider({ users: [ALICE] });
    await login('alice', PASSWORD);
    const many = await Promise.all(Array.from({ length: 500 }, () => login('alice', PASSWORD)));
    expect(many.every(({ outcome }) => outcome === 'accepted')).toBe(true);
    clock.time += 60_000;
    const later = await Promise.all(Array.from({ length: 500 }, () => login('alice', PASSWORD)));
    // Without the memory, most find the gate full.
    expect(later.filter(({ outcome }) => outcome === 'rejected').length).toBeGreaterThan(400);
  });

  it('makes no wrong one right', async () => {
    const { login } = await openProvider({ users: [ALICE] });
    await login('alice', PASSWORD);
    expect(await login('alice', 'kettle-orbit-39-trout')).toEqual(WRONG);
    expect(await login('alice', 'kettle-orbit-39-trout')).toEqual(WRONG);
  });
});

describe('guesses in a flood', () => {
  it('are answered with a limit, and the relay goes on serving', async () => {
    const { login } = await openProvider({ users: [ALICE] });
    const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => login('alice', `guess number ${at}`)));
    const codes = answers.map((answer) => (answer.outcome === 'rejected' ? answer.code : answer.outcome));
    expect(codes.filter((code) => code === 'unauthenticated')).toHaveLength(18);
    expect(codes.filter((code) => code === 'rate_limited')).toHaveLength(82);
    expect(await login('alice', PASSWORD)).toMatchObject({ outcome: 'accepted' });
  });

  it('of which one has hung up leaves its place to the next', async () => {
    const { ask, login } = await openProvider({ users: [ALICE] });
    const gone = Array.from({ length: 18 }, () => ask({ scheme: 'basic', username: 'alice', password: 'x' }, AbortSignal.abort()));
    expect((await Promise.allSettled(gone)).map(({ status }) => status)).not.toContain('fulfilled');
    expect(await login('alice', PASSWORD)).toMatchObject({ outcome: 'accepted' });
  });
});

describe('a user with a password in plain', () => {
  it('is a platform admin, and the log advises a hash, once and without the password', async () => {
    const { login, lines } = await openProvider({ username: 'operator', password: PASSWORD });
    expect(await login('operator', PASSWORD)).toMatchObject({ principal: { id: 'basic|operator', admin: true, scopes: [] } });
    expect(await login('operator', 'kettle-orbit-39-trout')).toEqual(WRONG);
    expect(lines).toEqual([expect.stringContaining('towline-relay hash-password')]);
    expect(lines.join()).not.toContain(PASSWORD);
  });

  it('is the only one: options say either this or users', async () => {
    expect((await checkOptions({ users: [ALICE], username: 'operator', password: PASSWORD })).faults).toHaveLength(1);
  });
});
