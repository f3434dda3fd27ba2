import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeOidcUser } from './oidc-user.ts';
import { list, startPeer } from './relay-peer.ts';
import { meView } from './views.ts';

const AGES_MS = 60_000;

describe('login at an identity provider', () => {
  it('shows page and code, waits for the confirmation, and stores what the relay accepted', { timeout: AGES_MS }, async () => {
    await using at = await makeOidcUser({}, () => meView({ key_id: null, email: null, email_note: 'It is not verified.\u001b[2J' }));
    const outcome = await at.login();
    expect(outcome).toMatchObject({ code: 0, stdout: `logged in to ${at.peer.url} as alice@example.com\n` });
    expect(outcome.stderr).toMatch(/page {2}https:\S+\/device\n {4}code {2}\w{4}-\w{4}\n/);
    expect(outcome.stderr).toContain('takes no e-mail address from this login: It is not verified.\\u{1b}[2J');
    expect(outcome.stderr).not.toContain('\u001b');
    const { OAuth2Token, ...others } = await at.stored();
    expect(others).toEqual({ relay: at.peer.url });
    expect(OAuth2Token).toEqual({
      access_token: expect.stringMatching(/^ey/),
      refresh_token: expect.any(String),
      expires_at: expect.any(Number),
      issuer: at.provider.url,
      client_id: at.provider.clientId,
      scopes: ['openid', 'offline_access', 'email'],
    });
    expect(Math.abs(OAuth2Token!.expires_at! - Date.now() / 1_000 - 3_600)).toBeLessThan(30);
    expect((await stat(join(at.user.dir, 'credentials.json'))).mode & 0o777).toBe(0o600);
    expect(at.provider.requests).toContain('GET /jwks');
    const known = await at.run(['whoami']);
    expect(known).toMatchObject({ code: 0, stdout: expect.stringContaining('It is not verified.') });
    expect(at.peer.requests.at(-1)!.headers.authorization).toBe(`Bearer ${OAuth2Token!.access_token}`);
  });

  it('is denied at the provider: exit 3, nothing stored', { timeout: AGES_MS }, async () => {
    await using at = await makeOidcUser();
    const started = await at.startLogin();
    await at.provider.confirm(started.directUrl, { login: 'alice', deny: true });
    expect(await started.finished).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('refused at the identity provider'),
    });
    await expect(at.stored()).rejects.toMatchObject({ code: 'ENOENT' });
    expect(at.peer.requests.map(({ path }) => path)).toEqual(['/v1/login-methods']);
  });

  it('gives up when nobody confirms before the code ends', { timeout: AGES_MS }, async () => {
    await using at = await makeOidcUser({ lifetimes: { deviceCode: 6 } });
    const started = await at.startLogin();
    expect(await started.finished).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('not confirmed within 6.0s') });
    expect(at.provider.requests.filter((request) => request === 'POST /token')).toHaveLength(1);
  });

  it('asks less often when the provider says slow_down', { timeout: AGES_MS }, async () => {
    await using at = await makeOidcUser();
    at.provider.faults.set('/token', { json: { error: 'slow_down' }, status: 400 });
    const begun = performance.now();
    const started = await at.startLogin();
    await at.provider.confirm(started.directUrl, { login: 'alice' });
    const asked = () => at.provider.requests.filter((request) => request === 'POST /token').length;
    while (asked() === 0) await new Promise((later) => setTimeout(later, 20));
    at.provider.faults.clear();
    expect(await started.finished).toMatchObject({ code: 0 });
    expect(asked()).toBe(2);
    // Five seconds, then ten.
    expect(performance.now() - begun).toBeGreaterThan(14_500);
  });

  it('outlives a provider that fails while the code is waited for', { timeout: AGES_MS }, async () => {
    await using at = await makeOidcUser();
    at.provider.faults.set('/token', 'error');
    const started = await at.startLogin();
    await at.provider.confirm(started.directUrl, { login: 'alice' });
    while (!at.provider.requests.includes('POST /token')) await new Promise((later) => setTimeout(later, 20));
    at.provider.faults.clear();
    expect(await started.finished).toMatchObject({ code: 0 });
  });

  it('is left by Ctrl-C at once, with 130', { timeout: AGES_MS }, async () => {
    await using at = await makeOidcUser();
    const started = await at.startLogin();
    const pressed = performance.now();
    started.interrupt();
    expect(await started.finished).toMatchObject({ code: 130, stdout: '' });
    expect(performance.now() - pressed).toBeLessThan(2_000);
  });

  it('revokes what the relay does not accept, and stores nothing', { timeout: AGES_MS }, async () => {
    await using at = await makeOidcUser({}, () => ({}));
    const outcome = await at.login();
    expect(outcome).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('not issued for this relay') });
    expect(outcome.stderr).toContain('revoked at the identity provider');
    expect(at.provider.events).toContain('grant.revoked');
    await expect(at.stored()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('a provider that is not in order', () => {
  it.each([
    ['html', 'answer that is not valid'],
    ['error', 'status 500'],
    ['hang', 'did not answer within 8 s'],
    ['drip', 'did not answer within 8 s'],
    ['endless', 'more than 1048576 bytes'],
    ['reset', 'cannot be reached'],
    [{ redirect: 'https://elsewhere.example.com/' }, 'redirect (302)'],
    [{ json: { issuer: 'https://evil.example.com' } }, 'not valid'],
    [{ json: 'x' }, 'not valid'],
  ] as const)('ends a login with a clear message: %j', { timeout: AGES_MS }, async (fault, part) => {
    await using at = await makeOidcUser();
    at.provider.faults.set('/.well-known/openid-configuration', fault);
    const outcome = await at.run(['login', '--relay', at.peer.url]);
    expect(outcome).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(part) });
    expect(outcome.stderr).toContain('dentity provider');
    await expect(at.stored()).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is not believed by the CA of the relay', async () => {
    await using at = await makeOidcUser();
    const both = join(at.user.dir, '..', 'provider-ca.pem');
    const refused = await at.run(['login', '--relay', at.peer.url], {
      env: { NODE_EXTRA_CA_CERTS: '', TOWLINE_CA_FILE: await joined(at.user.dir, both) },
    });
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/certificate of the identity provider .* not trusted here[\s\S]*SSL_CERT_FILE/),
    });
    const asked = await at.startLogin(undefined, { env: { NODE_EXTRA_CA_CERTS: '', SSL_CERT_FILE: both } });
    asked.interrupt();
    await asked.finished;
  });

  it('never prints control characters of its texts, and takes no page but https', async () => {
    await using at = await makeOidcUser();
    const answer = { device_code: 'x', user_code: 'AB\u001b[2J\nCD', verification_uri: 'https://id.example.com/\u001b[31m', expires_in: 2 };
    at.provider.faults.set('/device/auth', { json: answer });
    const shown = await at.run(['login', '--relay', at.peer.url]);
    expect(shown).toMatchObject({ code: 1, stderr: expect.stringContaining('code  AB\\u{1b}[2J\\u{a}CD\n') });
    expect(shown.stderr).not.toContain('\u001b');
    at.provider.faults.set('/device/auth', { json: { ...answer, verification_uri: 'javascript:alert(1)' } });
    expect(await at.run(['login', '--relay', at.peer.url])).toMatchObject({ code: 1, stderr: expect.stringContaining('no https:// URL') });
  });

  it.each([
    ['http://id.example.com', 'no https:// URL'],
    ['ftp://id.example.com', 'no https:// URL'],
    ['nonsense', 'no https:// URL'],
    ['https://id.example.com/?x=1', 'query'],
  ])('is not asked when the relay names it as %s', async (issuer, part) => {
    await using at = await makeOidcUser();
    await using other = await startPeer(() =>
      list([{ method: 'device_flow', label: 'Odd', issuer, client_id: 'towline', scopes: ['openid'] }]),
    );
    expect(await at.run(['login', '--relay', other.url])).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(part) });
  });
});

/** Both CAs in one file. */
async function joined(dir: string, provider: string): Promise<string> {
  const path = join(dir, '..', 'both.pem');
  await writeFile(path, `${await readFile(join(dir, '..', 'ca.pem'), 'utf8')}\n${await readFile(provider, 'utf8')}`);
  return path;
}
