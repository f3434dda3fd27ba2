import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answers, onTerminal } from './login-terminal.ts';
import { makeOidcUser } from './oidc-user.ts';
import { type Answer, failure, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { makeUser, type User } from './run-cli.ts';
import { meView } from './views.ts';

const OIDC = (label: string, issuer: string) => ({ method: 'device_flow', label, issuer, client_id: 'towline', scopes: ['openid'] });
const FIRST = OIDC('Work', 'https://one.invalid');
const SECOND = OIDC('Work', 'https://two.invalid');
const METHODS = [
  { method: 'api_key', label: 'API key' },
  { method: 'basic', label: 'User name and password' },
  FIRST,
  SECOND,
  OIDC('School', 'https://three.invalid'),
  { method: 'telepathy', label: 'of a later version' },
];
const BASIC = `Basic ${Buffer.from('bob:pass:wörd ').toString('base64')}`;

describe('the ways to log in', () => {
  let user: User;
  let peer: RelayPeer;
  let issue: () => Answer;
  beforeEach(async () => {
    user = await makeUser();
    issue = () => ({ json: { token: 'aaa.bbb.ccc', expires_at: new Date(Date.now() + 3_600_000).toISOString() } });
    peer = await startPeer(({ method, path, headers }: SeenRequest) => {
      if (path === '/v1/login-methods') return list(METHODS);
      if (method === 'POST' && path === '/v1/auth/token' && headers.authorization === BASIC) return issue();
      const known = path === '/v1/me' && [BASIC, 'Bearer aaa.bbb.ccc'].includes(String(headers.authorization));
      return known
        ? { json: meView({ label: 'bob', email: null, key_id: null }) }
        : failure(401, 'unauthenticated', 'Wrong user name or password.');
    });
  });
  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
    await user[Symbol.asyncDispose]();
  });
  const stored = async () => JSON.parse(await readFile(join(user.dir, 'credentials.json'), 'utf8')).credentials;
  const env = () => ({ TOWLINE_CONFIG_DIR: user.dir, TOWLINE_CA_FILE: join(user.dir, '..', 'ca.pem') });
  const login = (...args: string[]) => user.run(['login', '--relay', peer.url, ...args]);
  const basic = (input: string, ...args: string[]) => user.run(['login', '--relay', peer.url, '--basic', '-', ...args], { input });

  it('are not chosen by the program where nobody can be asked', async () => {
    expect(await login()).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/several ways[\s\S]*--api-key -, --basic, --provider "https:\/\/one.invalid"/),
    });
    expect(peer.requests.map(({ path }) => path)).toEqual(['/v1/login-methods']);
  });

  it.each([
    [['--provider', 'Work'], /fits more than one: Work \(https:\/\/one.invalid\), Work \(https:\/\/two.invalid\)/],
    [['--provider', 'Home'], /no provider “Home”[\s\S]*School \(https:\/\/three.invalid\)/],
    [['--provider', 'Work', '--basic'], /--basic and --provider were both given/],
    [['--api-key', '-', '--basic'], /--api-key and --basic were both given/],
    [['--basic', 'bob'], /process list/],
    [['--basic'], /no terminal[\s\S]*--basic -/],
  ])('are refused as a wrong use: %j', async (args, part) => {
    expect(await login(...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(part) });
    expect(peer.requests.filter(({ path }) => path !== '/v1/login-methods')).toEqual([]);
  });

  it('name a provider by its issuer, or a label that is the only one', async () => {
    for (const [name, host] of [
      ['https://two.invalid', 'two.invalid'],
      ['school', 'three.invalid'],
    ] as const)
      expect(await login('--provider', name)).toMatchObject({ code: 1, stderr: expect.stringContaining(host) });
  });

  it('are listed on a terminal, and one is picked by its number', async () => {
    const type = answers(
      ['Log in by (1 to 5)', 'x\r'],
      ['by (1 to 5): x\r\nLog in by', '2\r'],
      ['User name', 'bob\r'],
      ['(not shown)', 'pass:wörd \r'],
    );
    const { code, shown } = await onTerminal(['login', '--relay', peer.url], { env: env(), type });
    expect({ code, shown }).toMatchObject({ code: 0, shown: expect.stringContaining('4  Work (https://two.invalid)') });
    expect(shown).not.toContain('pass:w');
    expect(await stored()).toMatchObject({ OAuth2Token: { access_token: 'aaa.bbb.ccc' } });
  });

  it('end with 130 on Ctrl-C in the middle of a choice', async () => {
    const { code } = await onTerminal(['login', '--relay', peer.url], { env: env(), type: answers(['Log in by', '\u0003']) });
    expect(code).toBe(130);
  });

  it('turn user name and password into a token, which is all that is stored', async () => {
    expect(await basic('bob:pass:wörd \n')).toEqual({ code: 0, stdout: `logged in to ${peer.url} as bob\n`, stderr: '' });
    expect(await stored()).toEqual({ OAuth2Token: { access_token: 'aaa.bbb.ccc', expires_at: expect.any(Number) }, relay: peer.url });
    expect(await user.run(['whoami'])).toMatchObject({ code: 0, stdout: expect.stringContaining('bob') });
    expect(await user.run(['logout'])).toMatchObject({ code: 0, stdout: expect.stringContaining('stays valid until it ends'), stderr: '' });
  });

  it('store user name and password themselves, and say so, where the relay makes no tokens', async () => {
    issue = () => failure(503, 'unavailable', 'This relay makes no tokens.');
    expect(await basic('bob:pass:wörd ')).toMatchObject({ code: 0, stderr: expect.stringContaining('themselves are stored') });
    expect(await stored()).toEqual({ Basic: { username: 'bob', password: 'pass:wörd ' }, relay: peer.url });
    expect(await user.run(['whoami'])).toMatchObject({ code: 0, stdout: expect.stringContaining('bob') });
    expect(await user.run(['logout'])).toMatchObject({ code: 0, stdout: 'logged out\n' });
  });

  it.each([
    ['bob:wrong', 3, 'Wrong user name or password'],
    ['bob', 2, 'no colon'],
    [':x', 2, 'user name is empty'],
    ['bob:', 2, 'password is empty'],
    ['bob:a\u0007b', 2, 'control character'],
    ['', 2, 'empty'],
    [`bob:${'x'.repeat(5_000)}`, 2, 'too long'],
  ])('store nothing of a login that is wrong: %j', async (input, code, part) => {
    const outcome = await basic(input);
    expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(part) });
    expect(outcome.stderr).not.toContain('xxxx');
    await expect(stored()).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('do not fall back to a password when the relay fails otherwise', async () => {
    issue = () => failure(429, 'rate_limited', 'Too many logins.');
    expect(await basic('bob:pass:wörd ')).toMatchObject({ code: 1, stderr: expect.stringContaining('Too many logins') });
    await expect(stored()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the QR code of a login', () => {
  const showing = async (options: {
    readonly cols: number;
    readonly rows: number;
    readonly env?: Record<string, string>;
    readonly args?: string[];
  }) => {
    await using at = await makeOidcUser();
    const env = {
      ...at.env,
      TOWLINE_CONFIG_DIR: at.user.dir,
      TOWLINE_CA_FILE: join(at.user.dir, '..', 'ca.pem'),
      LANG: 'C.UTF-8',
      ...options.env,
    };
    const type = answers(['Ctrl-C ends it', '\u0003']);
    return await onTerminal(['login', '--relay', at.peer.url, ...(options.args ?? [])], { ...options, env, type });
  };

  it('is shown where it fits, in colours that a camera reads on any theme', async () => {
    const { code, shown } = await showing({ cols: 100, rows: 50 });
    expect({ code, shown }).toMatchObject({ code: 130, shown: expect.stringMatching(/\u001b\[97;40m[█▀▄ ]{20,}\u001b\[0m\r\n/) });
    const plain = await showing({ cols: 100, rows: 50, args: ['--no-color'] });
    expect(plain.shown).toMatch(/[█▀▄ ]{20,}\r\n/);
    expect(plain.shown).not.toContain('\u001b');
  });

  it.each([
    ['too narrow', { cols: 20, rows: 60 }],
    ['too low', { cols: 100, rows: 20 }],
    ['without block characters', { cols: 100, rows: 60, env: { LANG: 'C' } }],
  ])('is not shown on a terminal that is %s', async (_what, options) => {
    const { shown } = await showing(options);
    expect(shown).toContain('code');
    expect(shown).not.toMatch(/[█▀▄]/);
  });
});
