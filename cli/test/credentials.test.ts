import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeTestPair } from '../../core/link/test/trust-certificates.ts';
import { failure, list, type RelayPeer, type SeenRequest, startPeer } from './relay-peer.ts';
import { makeUser, USER_KEY, type User } from './run-cli.ts';
import { meView } from './views.ts';

const DEVICE_KEY = USER_KEY.replace('twl_u_', 'twl_d_');
const ENROLMENT_KEY = USER_KEY.replace('twl_u_', 'twl_e_');

describe('credentials', () => {
  let user: User;
  let peer: RelayPeer;
  let other: RelayPeer;
  beforeEach(async () => {
    user = await makeUser();
    const answer = ({ headers, path }: SeenRequest) => {
      if (path === '/v1/login-methods') return list([{ method: 'api_key', label: 'API key' }]);
      return headers['x-api-key'] === USER_KEY ? { json: meView() } : failure(401, 'unauthenticated', 'The key is not known here.');
    };
    peer = await startPeer(answer);
    other = await startPeer(answer);
  });
  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
    await other[Symbol.asyncDispose]();
    await user[Symbol.asyncDispose]();
  });
  const file = (name: string) => join(user.dir, name);
  const readJson = async (name: string): Promise<unknown> => JSON.parse(await readFile(file(name), 'utf8'));
  const login = () => user.run(['login', '--relay', peer.url, '--api-key', '-'], { input: `${USER_KEY}\n` });

  it('are checked before they are stored, 0600 in a 0700 folder, and used from then on', async () => {
    expect(await login()).toEqual({ code: 0, stdout: `logged in to ${peer.url} as alice@example.com\n`, stderr: '' });
    expect(peer.requests.map(({ path }) => path)).toEqual(['/v1/me']);
    expect((await stat(user.dir)).mode & 0o777).toBe(0o700);
    expect((await stat(file('credentials.json'))).mode & 0o777).toBe(0o600);
    expect(await readJson('credentials.json')).toEqual({ credentials: { APIKey: { api_key: USER_KEY }, relay: peer.url } });
    const { code, stdout } = await user.run(['whoami']);
    expect(code).toBe(0);
    expect(stdout).toContain('alice@example.com');
    expect(stdout).toContain('org:acme (admin)');
    expect(JSON.parse((await user.run(['whoami', '--json'])).stdout)).toEqual({ ...meView(), relay: peer.url });
  });

  it('are not stored when the relay does not know them, and the login before stays', async () => {
    await login();
    const wrong = USER_KEY.replace(/a$/, 'b');
    const failed = await user.run(['login', '--api-key', '-'], { input: wrong });
    expect(failed).toMatchObject({ code: 3, stdout: '', stderr: expect.stringContaining('The key is not known here.') });
    expect(await readJson('credentials.json')).toMatchObject({ credentials: { APIKey: { api_key: USER_KEY } } });
  });

  it('warns that a key on the command line can be seen by others', async () => {
    const { code, stderr } = await user.run(['login', '--relay', peer.url, '--api-key', USER_KEY]);
    expect(code).toBe(0);
    expect(stderr).toContain('process list');
    expect(stderr).not.toContain(USER_KEY);
  });

  it('come from the environment too when nothing else is given', async () => {
    const { code, stderr } = await user.run(['login', '--relay', peer.url], { env: { TOWLINE_API_KEY: USER_KEY } });
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('from the environment') });
    expect((await user.run(['whoami'])).code).toBe(0);
  });

  it('cannot be asked for without a terminal', async () => {
    expect(await user.run(['login', '--relay', peer.url])).toMatchObject({ code: 2, stderr: expect.stringContaining('--api-key -') });
    expect(await user.run(['login', '--relay', peer.url, '--api-key', '-'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('empty'),
    });
  });

  it.each([
    ['a device', DEVICE_KEY, 'key_wrong_kind'],
    ['an enrolment', ENROLMENT_KEY, 'key_wrong_kind'],
    ['nobody, being cut off', USER_KEY.slice(0, -1), 'unauthenticated'],
    ['nobody, having a blank in it', `${USER_KEY.slice(0, 20)} ${USER_KEY.slice(20)}`, 'unauthenticated'],
  ])('of %s are refused before they are sent', async (_whose, key, code) => {
    for (const run of [
      user.run(['--json', 'login', '--relay', peer.url, '--api-key', '-'], { input: key }),
      user.run(['--json', 'devices', 'list', '--relay', peer.url], { env: { TOWLINE_API_KEY: key } }),
      user.run(['--json', 'pi', 'status', '--relay', peer.url], { env: { M87_API_KEY: key } }),
    ]) {
      const outcome = await run;
      expect(JSON.parse(outcome.stderr)).toMatchObject({ error: { code } });
      expect(outcome).toMatchObject({ code: 3, stdout: '' });
      expect(outcome.stderr).not.toContain(key.slice(7));
    }
    expect(peer.requests).toEqual([]);
  });

  it('are refused when the relay says that they are not those of a user', async () => {
    await using strange = await startPeer(() => ({ json: meView({ kind: 'device' }) }));
    const outcome = await user.run(['login', '--relay', strange.url, '--api-key', '-'], { input: 'a-key-of-another-form' });
    expect(outcome).toMatchObject({ code: 3, stderr: expect.stringContaining('Nothing was stored') });
    await expect(readFile(file('credentials.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('are only sent to the relay that they were stored for', async () => {
    await login();
    for (const run of [
      user.run(['whoami', '--relay', other.url]),
      user.run(['whoami'], { env: { TOWLINE_RELAY: other.url } }),
      user.run(['pi', 'status', '--relay', other.url.replace('localhost', '127.0.0.1')]),
    ]) {
      expect(await run).toMatchObject({
        code: 3,
        stdout: '',
        stderr: expect.stringMatching(/the stored login is for .*\n.*towline login --relay/),
      });
    }
    expect(await user.run(['pi', 'exec', '--relay', other.url, '--', 'true'])).toMatchObject({
      code: 255,
      stderr: expect.stringContaining('stored login is for'),
    });
    expect(other.requests).toEqual([]);
  });

  it('stay with their relay even when the config names another', async () => {
    await login();
    await writeFile(file('config.json'), JSON.stringify({ relay: other.url }), { mode: 0o600 });
    expect((await user.run(['whoami'])).code).toBe(3);
    expect(other.requests).toEqual([]);
  });

  it('of the environment win over stored ones', async () => {
    await login();
    const { code, stderr } = await user.run(['whoami'], { env: { TOWLINE_API_KEY: USER_KEY.replace(/a$/, 'c') } });
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining('not known here') });
  });

  it('are not read from a file that others can read', async () => {
    await login();
    await chmod(file('credentials.json'), 0o644);
    const { code, stderr } = await user.run(['whoami']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/credentials\.json can be read by others \(mode 0644\).*\n.*chmod 600/),
    });
    expect(peer.requests).toHaveLength(1);
  });

  it('are not guessed from a damaged file', async () => {
    await mkdir(user.dir, { mode: 0o700 });
    await writeFile(file('credentials.json'), `{"credentials": {"APIKey": "${USER_KEY}"`, { mode: 0o600 });
    const { code, stderr } = await user.run(['whoami', '--relay', peer.url]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('credentials.json is not JSON') });
    expect(stderr).not.toContain(USER_KEY.slice(0, 20));
  });

  it('are forgotten by logout, and those of the machine as a device stay', async () => {
    await login();
    const present = (await readJson('credentials.json')) as object;
    await writeFile(file('credentials.json'), JSON.stringify({ ...present, device_credentials: { api_key: DEVICE_KEY } }), { mode: 0o600 });
    expect(await user.run(['logout'])).toMatchObject({ code: 0, stdout: expect.stringContaining('logged out') });
    expect(await readJson('credentials.json')).toEqual({ device_credentials: { api_key: DEVICE_KEY } });
    expect(await user.run(['whoami'])).toMatchObject({ code: 3, stderr: expect.stringContaining(`Not logged in to ${peer.url}`) });
    expect(await user.run(['logout'])).toMatchObject({ code: 0, stdout: 'nobody was logged in\n' });
  });

  it('of two profiles are apart', async () => {
    await login();
    expect((await user.run(['--profile', 'work', 'whoami', '--relay', peer.url])).code).toBe(3);
    await user.run(['login', '--profile', 'work', '--relay', other.url, '--api-key', '-'], { input: USER_KEY });
    expect((await user.run(['whoami'], { env: { TOWLINE_PROFILE: 'work' } })).stdout).toContain(other.url);
    expect((await user.run(['whoami'])).stdout).toContain(peer.url);
  });
});

describe('trust', () => {
  let user: User;
  let peer: RelayPeer;
  beforeEach(async () => {
    user = await makeUser();
    peer = await startPeer(() => ({ json: meView() }));
  });
  afterEach(async () => {
    await peer[Symbol.asyncDispose]();
    await user[Symbol.asyncDispose]();
  });
  const plain = { TOWLINE_CA_FILE: '' };

  it('in a private CA is stored at login, and holds for that relay only', async () => {
    const { pair } = await import('./relay-peer.ts');
    const ca = join(user.dir, '..', 'own-ca.pem');
    await writeFile(ca, pair.ca.pem);
    const logged = await user.run(['login', '--relay', peer.url, '--ca', ca, '--api-key', '-'], { env: plain, input: USER_KEY });
    expect(logged).toMatchObject({ code: 0 });
    expect((await user.run(['whoami'], { env: plain })).code).toBe(0);
    const asOther = peer.url.replace('localhost', '127.0.0.1');
    const elsewhere = await user.run(['whoami', '--relay', asOther], { env: { ...plain, TOWLINE_API_KEY: USER_KEY } });
    expect(elsewhere).toMatchObject({ code: 1, stderr: expect.stringContaining('not trusted here') });
  });

  it('by fingerprint refuses another key, and sends nothing to it', async () => {
    const fingerprint = `sha256:${'0'.repeat(64)}`;
    const outcome = await user.run(['login', '--relay', peer.url, '--fingerprint', fingerprint, '--api-key', '-'], {
      env: plain,
      input: USER_KEY,
    });
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('was expected') });
    expect(peer.requests).toEqual([]);
  });

  it('is not there for a stranger, who is sent nothing', async () => {
    const outcome = await user.run(['whoami', '--relay', peer.url], { env: { ...plain, TOWLINE_API_KEY: USER_KEY } });
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('--fingerprint') });
    expect(peer.requests).toEqual([]);
  });

  it('switched off warns loudly on each use', async () => {
    const env = { ...plain, TOWLINE_API_KEY: USER_KEY, TOWLINE_TRUST_INVALID_CERT: 'true' };
    for (let use = 0; use < 2; use += 1) {
      const { code, stderr } = await user.run(['whoami', '--relay', peer.url], { env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/WARNING.*NOT checked/) });
    }
  });

  it('is not switched off by a word that is no clear yes', async () => {
    const run = (value: string) =>
      user.run(['whoami', '--relay', peer.url], { env: { ...plain, TOWLINE_API_KEY: USER_KEY, M87_TRUST_INVALID_CERT: value } });
    expect(await run('false')).toMatchObject({ code: 1, stderr: expect.stringContaining('not trusted here') });
    expect(await run('maybe')).toMatchObject({ code: 2, stderr: expect.stringContaining('M87_TRUST_INVALID_CERT is “maybe”') });
    expect((await run('true')).code).toBe(0);
  });

  it.each([
    ['two kinds at once', ['--fingerprint', `sha256:${'0'.repeat(64)}`, '--ca', '/dev/null'], 'both given'],
    ['a fingerprint that is none', ['--fingerprint', 'abc'], '64 hex digits'],
    ['a CA file that is missing', ['--ca', '/nowhere/ca.pem'], 'ENOENT'],
    ['a CA file that holds none', ['--ca', import.meta.filename], 'no certificate'],
  ])('given wrongly is a wrong use: %s', async (_what, args, part) => {
    const outcome = await user.run(['login', '--relay', peer.url, ...args, '--api-key', '-'], { input: USER_KEY });
    expect(outcome).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(part) });
    expect(peer.requests).toEqual([]);
  });

  it('does not follow from a certificate of another CA', async () => {
    const ca = join(user.dir, '..', 'other-ca.pem');
    await writeFile(ca, makeTestPair().ca.pem);
    const outcome = await user.run(['login', '--relay', peer.url, '--ca', ca, '--api-key', '-'], { env: plain, input: USER_KEY });
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining('not trusted here') });
    expect(peer.requests).toEqual([]);
  });
});
