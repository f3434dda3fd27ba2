import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeOidcUser } from './oidc-user.ts';
import { list, startPeer } from './relay-peer.ts';

const AGES_MS = 60_000;
const DEVICE = { device_credentials: { api_key: `twl_d_${'1'.repeat(16)}_${'a'.repeat(64)}` } };

describe('a relay that names what is not its own', { timeout: AGES_MS }, () => {
  it('is named before the login, with provider, client and scopes that its token will be for', async () => {
    await using at = await makeOidcUser();
    const started = await at.startLogin();
    started.interrupt();
    const { stderr } = await started.finished;
    const told = `towline: ${at.peer.url} will be given a token of ${at.provider.url}, issued to “${at.provider.clientId}” for openid`;
    expect(stderr).toContain(told);
    expect(stderr.indexOf(told)).toBeLessThan(stderr.indexOf('To log in'));
  });

  it('cannot put what no file of ours may hold beside the key of this machine', async () => {
    await using at = await makeOidcUser();
    const method = { method: 'device_flow', label: 'X', issuer: at.provider.url, client_id: at.provider.clientId };
    await using hostile = await startPeer(({ path }) =>
      path === '/v1/login-methods'
        ? list([{ ...method, scopes: ['openid', 'offline_access'], audience: '' }])
        : {
            json: {
              kind: 'user',
              id: 'x',
              label: 'x',
              email: null,
              scopes: [],
              admin: false,
              key_id: null,
              expires_at: null,
              provider: 'x',
            },
          },
    );
    await mkdir(at.user.dir, { mode: 0o700 });
    const file = join(at.user.dir, 'credentials.json');
    await writeFile(file, JSON.stringify(DEVICE), { mode: 0o600 });
    const started = await at.startLogin(['login', '--relay', hostile.url]);
    await at.provider.confirm(started.directUrl, { login: 'alice' });
    await started.finished;
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject(DEVICE);
    expect(await at.run(['logout'])).toMatchObject({ code: 0 });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(DEVICE);
  });
});

it.each(['http://127.0.0.1:8080/wipe?all=1', 'https://id.example.com@evil.example/', 'javascript:alert(1)', 'ssh://evil.example/'])(
  'a provider elsewhere cannot have %s opened',
  { timeout: AGES_MS },
  async (page) => {
    await using at = await makeOidcUser();
    const json = { device_code: 'd', user_code: 'ABCD-EFGH', verification_uri: page, expires_in: 600 };
    at.provider.faults.set('/device/auth', { json, status: 200 });
    const outcome = await at.run(['login', '--relay', at.peer.url]);
    expect(outcome).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('dentity provider') });
    expect(outcome.stderr).not.toContain('To log in');
  },
);
