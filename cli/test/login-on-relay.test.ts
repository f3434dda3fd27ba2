import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOidcProvider, type TestOidcProvider } from '../../test/support/oidc-provider.ts';
import { bin, runProgram, startProgram } from '../../test/support/process.ts';
import { startRelayOn } from '../../test/support/relay-process.ts';
import { createSystem, type TestRelay, type TestSystem } from '../../test/support/system.ts';

// A real relay with a real identity provider whose tokens live shorter than a session.

const TOKEN_S = 15;
const AGES_MS = 90_000;
const PASSWORD = 'correct horse battery: staple';

let dir: string;
let provider: TestOidcProvider;
let relay: TestRelay;
let system: TestSystem;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'towline-login-'));
  provider = await startOidcProvider({
    accounts: [{ sub: 'ada', email: 'ada@example.com', email_verified: true }],
    lifetimes: { accessToken: TOKEN_S },
  });
  writeFileSync(join(dir, 'provider-ca.pem'), provider.caPem);
  const hash = await runProgram(bin('towline-relay'), ['hash-password'], { stdin: `${PASSWORD}\n` });
  expect(hash).toMatchObject({ code: 0 });
  const config = join(dir, 'relay.yaml');
  writeFileSync(
    config,
    [
      'admin_emails: [ada@example.com]',
      'auth:',
      `  - { use: oidc, issuer: ${provider.url}, client_id: ${provider.clientId}, ca_file: provider-ca.pem, clock_leeway: 0s, email_domains: [example.com] }`,
      `  - { use: jwt, secrets: ["${randomBytes(32).toString('base64')}"] }`,
      `  - { use: basic, users: [{ username: bob, password_hash: "${hash.stdout.trim()}", email: bob@basic.example }] }`,
      '  - apikey',
      '',
    ].join('\n'),
  );
  relay = await startRelayOn(join(dir, 'relay'), { config });
  system = createSystem();
}, AGES_MS);

afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

function person(name: string) {
  const env = {
    TOWLINE_RELAY: relay.url,
    TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
    TOWLINE_CONFIG_DIR: join(dir, name),
    SSL_CERT_FILE: join(dir, 'provider-ca.pem'),
  };
  return {
    run: (args: readonly string[], stdin?: string) => runProgram(bin('towline'), args, { env, ...(stdin === undefined ? {} : { stdin }) }),
    start: (args: readonly string[]) => startProgram(bin('towline'), args, { env }),
    stored: () => JSON.parse(readFileSync(join(dir, name, 'credentials.json'), 'utf8')).credentials,
  };
}

describe('a login on a real relay', { timeout: AGES_MS }, () => {
  it('is renewed in the middle of a session that outlives two of its tokens', async () => {
    const ada = person('ada');
    await using login = ada.start(['login', '--provider', provider.url]);
    const [, url = ''] = await login.saw(/(https:\S+user_code=\S+)\s/, 'stderr');
    await provider.confirm(url, { login: 'ada' });
    expect(await login.finished).toMatchObject({ code: 0, stdout: expect.stringContaining('ada@example.com') });
    const device = system.startDevice(relay, { name: 'pi', email: 'ada@example.com' });
    const { request } = await device.event('waiting');
    expect(await ada.run(['devices', 'approve', String(request)])).toMatchObject({ code: 0 });
    await device.event('online');
    const before = ada.stored().OAuth2Token.access_token;
    await using session = ada.start(['pi', 'exec', '--', 'sh', '-c', `sleep ${TOKEN_S * 2 + 4}; echo still here`]);
    expect(await session.finished).toMatchObject({ code: 0, stdout: 'still here\n', stderr: '' });
    expect(ada.stored().OAuth2Token.access_token).not.toBe(before);
    expect(provider.events).not.toContain('grant.revoked');
    expect(await ada.run(['logout'])).toMatchObject({ code: 0, stdout: expect.stringContaining('revoked at the identity provider') });
    expect(await ada.run(['whoami'])).toMatchObject({ code: 3 });
  });

  it('by user name and password becomes a token of the relay', async () => {
    const bob = person('bob');
    expect(await bob.run(['login', '--basic', '-'], `bob:${PASSWORD}\n`)).toMatchObject({ code: 0, stderr: '' });
    expect(bob.stored()).toEqual({ OAuth2Token: { access_token: expect.any(String), expires_at: expect.any(Number) }, relay: relay.url });
    const me = await bob.run(['whoami']);
    expect(me).toMatchObject({ code: 0, stdout: expect.stringMatching(/bob@basic\.example/) });
    expect(me.stdout).toMatch(/^expires /m);
    expect(await bob.run(['login', '--basic', '-'], 'bob:wrong password\n')).toMatchObject({ code: 3, stdout: '' });
    expect(await bob.run(['whoami'])).toMatchObject({ code: 0 });
  });

  it('names all ways there are when there is no terminal', async () => {
    const refused = await person('eve').run(['login']);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(`--provider "${provider.url}"`) });
    expect(refused.stderr).toMatch(/--basic[\s\S]*--api-key -|--api-key -[\s\S]*--basic/);
  });
});
