import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOidcProvider, type TestOidcProvider } from './support/oidc-provider.ts';
import { bin, type Finished, type Program, runProgram, STEP_MS, startProgram } from './support/process.ts';
import { startRelayOn } from './support/relay-process.ts';
import { createSystem, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';
import { hasTmux, openTerminal } from './support/terminal.ts';

// The way of people through everything: they log in at a real provider by its own pages and get to devices by an organisation and
// by shares; what ends their rights ends what runs.

const tmux = await hasTmux();
let dir: string;
let provider: TestOidcProvider;
let relay: TestRelay;
let system: TestSystem;
let device: TestDevice;
let ada: Person;
let bob: Person;

/** Somebody with a configuration folder and no key. */
interface Person {
  readonly env: Readonly<Record<string, string>>;
  run(...args: string[]): Promise<Finished>;
  /** Runs, expects success, and reads the JSON. */
  read<Answer>(...args: string[]): Promise<Answer>;
  start(args: readonly string[]): Program;
  login(sub?: string): Promise<Finished>;
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'towline-people-'));
  provider = await startOidcProvider({
    accounts: [
      { sub: 'ada', email: 'ada@example.com', email_verified: true, name: 'Ada' },
      { sub: 'bob', email: 'Bob@Example.com', email_verified: true },
      { sub: 'eve', email: 'ada@example.com', email_verified: false },
    ],
  });
  writeFileSync(join(dir, 'provider-ca.pem'), provider.caPem);
  const config = join(dir, 'relay.yaml');
  writeFileSync(
    config,
    [
      'admin_emails: [ada@example.com]',
      'auth:',
      `  - { use: oidc, issuer: ${provider.url}, client_id: ${provider.clientId}, ca_file: provider-ca.pem }`,
      '  - apikey',
      '',
    ].join('\n'),
  );
  relay = await startRelayOn(join(dir, 'relay'), { config });
  system = createSystem();
  ada = personAt('ada');
  bob = personAt('bob');
  expect(await ada.login()).toMatchObject({ code: 0 });
  expect(await bob.login()).toMatchObject({ code: 0 });
  expect(await ada.run('orgs', 'create', 'acme')).toMatchObject({ code: 0 });
  device = system.startDevice(relay, { name: 'pi', org: 'acme' });
  const { request } = await device.event('waiting');
  expect(await bob.run('devices', 'approve', String(request))).toMatchObject({ code: 4 });
  expect(await ada.run('devices', 'approve', String(request))).toMatchObject({ code: 0 });
  await device.event('online');
}, 4 * STEP_MS);

afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

function personAt(name: string): Person {
  const env = {
    TOWLINE_RELAY: relay.url,
    TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
    TOWLINE_CONFIG_DIR: join(dir, `user-${name}`),
    SSL_CERT_FILE: join(dir, 'provider-ca.pem'),
  };
  const start = (args: readonly string[]) => startProgram(bin('towline'), args, { env, stdin: 'pipe' });
  const run = (...args: string[]) => runProgram(bin('towline'), args, { env });
  return {
    env,
    run,
    start,
    async read<Answer>(...args: string[]) {
      const { code, stdout, stderr } = await run(...args, '--json');
      expect(code, stderr).toBe(0);
      return JSON.parse(stdout) as Answer;
    },
    async login(sub = name) {
      await using login = start(['login', '--provider', provider.url]);
      const [uri] = await login.saw(/https:\/\/\S+user_code=\S+/, 'stderr');
      await provider.confirm(uri, { login: sub });
      return await login.finished;
    },
  };
}

/** A session of bob's that runs until something ends it. */
async function runningSession(who: Person): Promise<Program> {
  const session = who.start(['pi', 'exec', '-i', '--', 'sh', '-c', 'echo begun; cat']);
  await session.saw(/begun/);
  return session;
}

async function expectEnded(session: Program, why: RegExp): Promise<void> {
  const since = performance.now();
  const { code, stderr } = await session.finished;
  expect(code, stderr).toBe(255);
  expect(stderr).toMatch(why);
  // A second is promised; the rest is room for a loaded machine.
  expect(performance.now() - since).toBeLessThan(5_000);
}

it('knows who has logged in, by what, and until when', async () => {
  const me = await ada.read<{ email: string; admin: boolean; provider: string; expires_at: string | null; scopes: unknown }>('whoami');
  expect(me).toMatchObject({ email: 'ada@example.com', admin: true, provider: 'oidc' });
  expect(Date.parse(me.expires_at ?? '')).toBeGreaterThan(Date.now());
  expect(await bob.read('whoami')).toMatchObject({
    email: 'bob@example.com',
    admin: false,
    scopes: [{ scope: 'user:bob@example.com', role: 'admin' }],
  });
});

it('gives nothing for an address that the provider does not vouch for', async () => {
  const eve = personAt('eve');
  const login = await eve.login();
  expect(login).toMatchObject({ code: 0 });
  expect(login.stdout + login.stderr).toMatch(/e-mail/);
  expect(await eve.read('whoami')).toMatchObject({ email: null, admin: false, scopes: [] });
  expect(await eve.read('devices', 'list')).toMatchObject({ items: [] });
});

it('lets members of an organisation reach its devices, and ends what runs with the membership', async () => {
  expect(await bob.run('devices', 'show', 'pi')).toMatchObject({ code: 4 });
  expect(await ada.run('orgs', 'members', 'add', 'acme', 'bob@example.com', '--role', 'viewer')).toMatchObject({ code: 0 });
  expect(await bob.read('devices', 'list')).toMatchObject({ items: [{ name: 'pi', role: 'viewer' }] });
  expect(await bob.run('pi', 'exec', '--', 'true')).toMatchObject({ code: 255, stderr: expect.stringMatching(/role operator/) });
  expect(await ada.run('orgs', 'members', 'add', 'acme', 'bob@example.com', '--role', 'operator')).toMatchObject({ code: 0 });
  await using session = await runningSession(bob);
  expect(await ada.run('orgs', 'members', 'remove', 'acme', 'bob@example.com')).toMatchObject({ code: 0 });
  await expectEnded(session, /access .*ended/i);
  expect(await bob.run('devices', 'show', 'pi')).toMatchObject({ code: 4 });
});

it('shares a device for some streams, and takes it back in the middle of a session', async () => {
  expect(await ada.run('devices', 'share', 'pi', 'user:bob@example.com', '--stream', 'exec', '--until', '1h')).toMatchObject({ code: 0 });
  expect(await ada.read('devices', 'access', 'pi')).toMatchObject({
    owner: 'org:acme',
    shares: [{ scope: 'user:bob@example.com', role: 'operator', streams: ['exec'] }],
  });
  await using session = await runningSession(bob);
  const shell = await bob.run('pi', 'shell');
  expect(shell.code).not.toBe(0);
  expect(await bob.run('devices', 'share', 'pi', 'user:eve@example.com')).toMatchObject({ code: 3 });
  expect(await ada.run('devices', 'unshare', 'pi', 'user:bob@example.com')).toMatchObject({ code: 0 });
  await expectEnded(session, /access .*ended/i);
});

it.skipIf(!tmux)('ends a shell in the middle when its user is disabled, says so, and gives the terminal back', async () => {
  await ada.run('devices', 'share', 'pi', 'user:bob@example.com');
  await using terminal = await openTerminal(`${bin('towline')} pi shell`, { ...bob.env });
  await terminal.shows(/sha256:/);
  await terminal.type('PS1="ready> "; clear\n');
  await terminal.shows(/^ready>$/m);
  expect(await ada.run('users', 'disable', 'bob@example.com')).toMatchObject({ code: 0 });
  await terminal.shows(/disabled[\s\S]*\[ended with 255\]/);
  expect(await ada.run('users', 'enable', 'bob@example.com')).toMatchObject({ code: 0 });
  await ada.run('devices', 'unshare', 'pi', 'user:bob@example.com');
});

it('makes keys that hold no more than their user, and die when they are revoked', async () => {
  await ada.run('devices', 'share', 'pi', 'user:bob@example.com');
  const { id, key } = await bob.read<{ id: string; key: string }>('keys', 'create', '--name', 'ci', '--stream', 'exec');
  const byKey = (...args: string[]) =>
    runProgram(bin('towline'), args, {
      env: {
        TOWLINE_RELAY: relay.url,
        TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
        TOWLINE_API_KEY: key,
        TOWLINE_CONFIG_DIR: join(dir, 'ci'),
      },
    });
  expect(await byKey('pi', 'exec', '--', 'echo', 'by key')).toMatchObject({ code: 0, stderr: '', stdout: 'by key\n' });
  expect(await byKey('keys', 'create')).toMatchObject({ code: 3 });
  expect(await bob.run('keys', 'revoke', id)).toMatchObject({ code: 0 });
  expect(await byKey('pi', 'exec', '--', 'true')).toMatchObject({ code: 255 });
  await ada.run('devices', 'unshare', 'pi', 'user:bob@example.com');
});

it('ends everything of a user who is disabled, also by the rescue command', async () => {
  await ada.run('devices', 'share', 'pi', 'user:bob@example.com');
  await using session = await runningSession(bob);
  const users = await ada.read<{ items: { id: string; email: string | null }[] }>('users', 'list');
  const { id } = users.items.find(({ email }) => email === 'bob@example.com')!;
  expect(await system.rescue(relay, ['users', 'disable', id, '--config', join(dir, 'relay.yaml')])).toMatchObject({ code: 0 });
  await expectEnded(session, /disabled/i);
  expect(await bob.run('whoami')).toMatchObject({ code: 3 });
  expect(await ada.run('users', 'enable', 'bob@example.com')).toMatchObject({ code: 0 });
  expect(await bob.run('whoami')).toMatchObject({ code: 0 });
});

it('forgets a login and revokes it at the provider', async () => {
  expect(await bob.run('logout')).toMatchObject({ code: 0 });
  expect(provider.requests.some((request) => request.includes('/token/revocation'))).toBe(true);
  expect(await bob.run('whoami')).toMatchObject({ code: 3 });
});

it('has written down who did what', async () => {
  const { items } = await ada.read<{ items: { action: string; actor: { email: string | null } }[] }>('audit', '--limit', '200');
  const actions = new Set(items.map(({ action }) => action));
  for (const action of [
    'org.created',
    'org.member_set',
    'org.member_removed',
    'device.shared',
    'device.unshared',
    'key.created',
    'key.revoked',
    'user.enabled',
  ])
    expect(actions).toContain(action);
});
