import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { deriveGrantKey } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, ROOT, startProgram } from './support/process.ts';
import { linkClient } from './support/raw-client.ts';
import { createIdentity, registrationBody, requestEnrolment } from './support/raw-device.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { runRelay, startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const NEW_SECRET = 'zK3vQ9xT7mW1pL5rH8nB4cJ6fD2gS0yA-uE_iOqVtXw';
const OLD_SECRET = 'Hq5Zt8Lw2Rb7Xn4Vc9Kj1Fm6Gp3Ds0Ya-Ti_eUoQzBx';
const LOADED = `
server:
  host: "127.0.0.1"
  port: \${RELAY_PORT:-0}
  public_url: https://relay.example.com:8443
  tls: { enabled: true }
  trusted_proxies: ["127.0.0.0/24"]
data: state/of/the/relay
log_level: warn
admin_emails: ["Boss@Example.com"]
forward_secrets: ["\${RELAY_SECRET}", ${OLD_SECRET}]
store: { use: sqlite, path: other/place.db }
auth: [apikey]
audit:
  sinks: [{ use: file, path: trail/audit.jsonl, required: true }]
streams: [exec]
transports: [tls]
plugins: []
enrolment: { expiry: 2s, max_pending_per_owner: 2, max_pending_per_address: 3 }
`;
/** Keys of the reference and where a test shows that each has an effect. A new key fails here until it has one. */
const SHOWN: Readonly<Record<string, string>> = {
  'server.host': 'here',
  'server.port': 'here',
  'server.public_url': 'here',
  'server.tls.enabled': 'relay-check.test.ts',
  'server.tls.cert_file': 'relay-certificates.test.ts',
  'server.tls.key_file': 'relay-certificates.test.ts',
  'server.trusted_proxies': 'here',
  data: 'here',
  log_level: 'here',
  admin_emails: 'here',
  forward_secret: 'here',
  forward_secrets: 'here',
  'credentials.encryption_key': 'secrets-at-rest.test.ts',
  'credentials.encryption_keys': 'secrets-at-rest.test.ts',
  'credentials.storage': 'config/test/encryption-keys.test.ts: another value is refused',
  store: 'here',
  auth: 'plugins.test.ts',
  'audit.sinks': 'here, audit-sink.test.ts',
  streams: 'here',
  transports: 'here',
  plugins: 'plugins.test.ts',
  'enrolment.expiry': 'here',
  'enrolment.max_pending_per_owner': 'here',
  'enrolment.max_pending_per_address': 'here',
  'security.jwt.enabled': 'here',
  'security.jwt.secret': 'here',
  'security.jwt.expiration': 'here',
  'security.api_keys.enabled': 'here',
  'security.basic_auth.enabled': 'here',
  'security.basic_auth.username': 'here',
  'security.basic_auth.password': 'here',
  'sessions.idle': 'session-limits.test.ts',
  'sessions.max_duration': 'session-limits.test.ts',
};

let system: TestSystem;
/** Folder of the config file. */
let dir: string;
let relay: TestRelay;
let api: RelayApi;
beforeAll(async () => {
  system = createSystem();
  dir = join(system.dir, 'config');
  mkdirSync(dir);
  writeFileSync(join(dir, 'towline.yaml'), LOADED);
  relay = await startConfigured(join(dir, 'towline.yaml'), { RELAY_SECRET: NEW_SECRET });
  api = openApi(relay);
});
afterAll(async () => {
  api?.[Symbol.dispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

/** Starts a relay by its config alone: no flag stands in for a key. */
async function startConfigured(config: string, env: Record<string, string>): Promise<TestRelay> {
  const program = startProgram(bin('towline-relay'), ['start', '--config', config], { env, cwd: system.dir });
  const [, url = '', fingerprint = ''] = await program.saw(/^ready url=(\S+) fingerprint=(\S+)$/m).catch(async (error: unknown) => {
    await program[Symbol.asyncDispose]();
    throw error;
  });
  const data = join(dir, 'state/of/the/relay');
  const adminKey = readFileSync(join(data, 'admin.key'), 'utf8').trim();
  const port = Number(new URL(url).port);
  return { program, dir: data, url, port, fingerprint, adminKey, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
}

describe('a key of the config has its effect', () => {
  it('and none is in the reference for which no test shows it', () => {
    const reference = readFileSync(join(ROOT, 'docs', 'config.md'), 'utf8');
    // Of the tables of the relay the one of its keys.
    const [table = ''] = /^\| key [\s\S]*?\n\n/m.exec(reference.slice(reference.indexOf('## The relay'))) ?? [];
    const keys = [...table.matchAll(/^\| `([a-z._]+)`/gm)].map(([, key]) => key!);
    expect(keys.sort()).toEqual(Object.keys(SHOWN).sort());
  });

  it('server.host, server.port, data: where it listens and where it keeps things, relative to the file', () => {
    expect(relay.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(existsSync(join(dir, 'state/of/the/relay', 'ca.pem'))).toBe(true);
    expect(existsSync(join(system.dir, 'towline-data'))).toBe(false);
  });

  it('server.public_url: the self-made certificate is for that name too', async () => {
    const socket: TLSSocket = connectTls({
      port: relay.port,
      host: '127.0.0.1',
      servername: 'relay.example.com',
      ca: readFileSync(join(relay.dir, 'ca.pem')),
    });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    expect(socket.getPeerCertificate().subjectaltname).toContain('DNS:relay.example.com');
    socket.destroy();
  });

  it('server.trusted_proxies: the address they forward is the one in the trail, and of others it is not believed', async () => {
    const forwarded = { 'x-forwarded-for': '203.0.113.7' };
    const ask = (from: RelayApi, name: string) =>
      from.call('POST', '/v1/registrations', {
        body: registrationBody(createIdentity(), { name, owner: `user:${name}@example.com` }),
        headers: forwarded,
      });
    using stranger = openApi(relay, '127.0.1.1');
    const [believed, not] = [await ask(api, 'proxied'), await ask(stranger, 'spoofed')];
    expect(bodyOf<{ address: string }>(believed, 201).address).toBe('203.0.113.7');
    expect(bodyOf<{ address: string }>(not, 201).address).toBe('127.0.1.1');
  });

  it('log_level: what is less is not logged, as the place of the first key', () => {
    expect(existsSync(join(relay.dir, 'admin.key'))).toBe(true);
    expect(relay.program.stderr).not.toMatch(/"level":(10|20|30)/);
  });

  it('admin_emails: whoever holds that address is a platform admin', async () => {
    const whoIs = async (email: string) => {
      const { stdout } = await runRelay(['keys', 'create', '--email', email, '--config', join(dir, 'towline.yaml')], {
        env: { RELAY_SECRET: NEW_SECRET },
      });
      return bodyOf<{ admin: boolean }>(await api.call('GET', '/v1/me', { key: stdout.trim() })).admin;
    };
    expect(await whoIs('boss@example.com')).toBe(true);
    expect(await whoIs('worker@example.com')).toBe(false);
  });

  it('store: the options of the plugin count', () => {
    expect(existsSync(join(dir, 'other', 'place.db'))).toBe(true);
    expect(existsSync(join(relay.dir, 'towline.db'))).toBe(false);
  });

  it('audit.sinks: the records are in the file, whose folder is made', () => {
    const first = readFileSync(join(dir, 'trail', 'audit.jsonl'), 'utf8').split('\n')[0]!;
    expect(JSON.parse(first)).toMatchObject({ number: 1, action: 'key.created' });
  });

  it('enrolment.expiry, enrolment.max_pending_*: requests expire, and only so many wait', async () => {
    const owner = 'user:many@example.com';
    using here = openApi(relay, '127.0.1.2');
    const first = await requestEnrolment(here, createIdentity(), { name: 'one', owner });
    expect(Date.parse(first.expires_at) - Date.parse(first.created_at)).toBe(2_000);
    await requestEnrolment(here, createIdentity(), { name: 'two', owner });
    const more = (name: string, of: string) =>
      here.call('POST', '/v1/registrations', { body: registrationBody(createIdentity(), { name, owner: of }) });
    expect(await more('three', owner)).toMatchObject({ status: 429, code: 'registration_limit' });
    expect((await more('four', 'user:other@example.com')).status).toBe(201);
    expect(await more('five', 'user:another@example.com')).toMatchObject({ status: 429, code: 'registration_limit' });
    await eventually(async () => (await more('six', owner)).status === 201, 'the waiting requests expire and make room');
  });

  it('forward_secrets, streams: a device is shown the whole ring, and is asked for nothing but exec', async () => {
    const device = await enrol('ringed');
    const { relay: kept } = JSON.parse(readFileSync(join(device.dir, 'device.json'), 'utf8')) as {
      relay: { grant_keys: { id: string }[] };
    };
    expect(kept.grant_keys.map(({ id }) => id)).toEqual([OLD_SECRET, NEW_SECRET].map((secret) => deriveGrantKey(secret).id));
    expect((await system.towline(relay, ['ringed', 'exec', '--', 'echo', 'granted'])).stdout).toBe('granted\n');
    await using client = await linkClient(relay, relay.adminKey);
    expect(await client.open('ringed', { protocol: '/shell/1', body: {} })).toBe('stream_not_offered');
  });
});

describe('the blocks of older files', () => {
  const blocks = (more: string) => `
security:
  jwt: { secret: ${NEW_SECRET}, expiration: 2h }
  basic_auth: { username: olga, password: kettle-orbit-39-salmon }
  ${more}
`;
  const basic = { headers: { authorization: `Basic ${Buffer.from('olga:kettle-orbit-39-salmon').toString('base64')}` } };
  const start = async (name: string, config: string) => {
    writeFileSync(join(dir, `${name}.yaml`), config);
    return await startRelayOn(join(system.dir, name), { config: join(dir, `${name}.yaml`) });
  };

  it('security.basic_auth, security.jwt: one user by name and password, and a token that lives as long as it says', async () => {
    await using older = await start('older', blocks(''));
    using there = openApi(older);
    expect(bodyOf<{ label: string; admin: boolean }>(await there.call('GET', '/v1/me', basic))).toMatchObject({
      label: 'olga',
      admin: true,
    });
    const { token, expires_at } = bodyOf<{ token: string; expires_at: string }>(await there.call('POST', '/v1/auth/token', basic));
    const hours = (Date.parse(expires_at) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(1.9);
    expect(hours).toBeLessThanOrEqual(2);
    const bearer = { headers: { authorization: `Bearer ${token}` } };
    expect(bodyOf<{ label: string }>(await there.call('GET', '/v1/me', bearer))).toMatchObject({ label: 'olga' });
    const { stdout } = await runRelay(['keys', 'create', '--admin', '--data', older.dir]);
    expect((await there.call('GET', '/v1/me', { key: stdout.trim() })).status).toBe(200);
  });

  it('enabled: false switches each of them off, also API keys', async () => {
    await using older = await start('switched', blocks('api_keys: { enabled: false }').replace('jwt: {', 'jwt: { enabled: false,'));
    using there = openApi(older);
    expect(await there.call('POST', '/v1/auth/token', basic)).toMatchObject({ status: 503, code: 'unavailable' });
    const { stdout } = await runRelay(['keys', 'create', '--admin', '--data', older.dir]);
    expect(await there.call('GET', '/v1/me', { key: stdout.trim() })).toMatchObject({ status: 401, code: 'unauthenticated' });
    await using none = await start('no-basic', blocks('').replace('basic_auth: {', 'basic_auth: { enabled: false,'));
    using api = openApi(none);
    expect(await api.call('GET', '/v1/me', basic)).toMatchObject({ status: 401, code: 'unauthenticated' });
  });
});

describe('the environment', () => {
  it('wins over the file, the command line over the environment, and the first of two names over the second', async () => {
    const config = join(dir, 'towline.yaml');
    const env = {
      RELAY_SECRET: NEW_SECRET,
      TOWLINE_HOST: '127.0.0.9',
      TOWLINE_PORT: '8999',
      TOWLINE_DATA: join(system.dir, 'of-the-environment'),
    };
    const { stdout } = await runRelay(['check', '--config', config], { env });
    expect(stdout).toContain('listens on 127.0.0.9 port 8999 with TLS');
    expect(stdout).toContain(`data       ${env.TOWLINE_DATA}\n`);
    const flagged = await runRelay(['check', '--config', config, '--data', join(system.dir, 'of-the-flag')], { env });
    expect(flagged.stdout).toContain(`data       ${join(system.dir, 'of-the-flag')}\n`);
  });

  it('alone sets up a relay: address, port, data, log level, admins, and a secret from a file', async () => {
    const data = join(system.dir, 'from-environment');
    const secretFile = join(system.dir, 'forward-secret');
    writeFileSync(secretFile, `${OLD_SECRET}\n`);
    const env = {
      TOWLINE_HOST: '127.0.0.1',
      TOWLINE_PORT: '0',
      TOWLINE_DATA: data,
      TOWLINE_LOG_LEVEL: 'error',
      ADMIN_EMAILS: 'second@example.com, first@example.com',
      TOWLINE_FORWARD_SECRET_FILE: secretFile,
    };
    await using program = startProgram(bin('towline-relay'), ['start'], { env, cwd: system.dir });
    const [, url = '', fingerprint = ''] = await program.saw(/^ready url=(\S+) fingerprint=(\S+)$/m);
    const { stdout } = await runRelay(['keys', 'create', '--email', 'first@example.com'], { env });
    const adminKey = stdout.trim();
    const started = { program, dir: data, url, port: Number(new URL(url).port), fingerprint, adminKey };
    const other: TestRelay = { ...started, [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]() };
    await using device = await system.enrolDevice(other, { name: 'by-file' });
    const state = readFileSync(join(device.dir, 'device.json'), 'utf8');
    expect((JSON.parse(state) as { relay: { grant_keys: { id: string }[] } }).relay.grant_keys.map(({ id }) => id)).toEqual([
      deriveGrantKey(OLD_SECRET).id,
    ]);
    // The admins of the environment approve for others; nothing below an error is logged.
    expect(program.stderr).toBe('');
  });

  it.each([
    ['a value that is none', { TOWLINE_PORT: 'http' }, 'TOWLINE_PORT'],
    ['a variable that is set but empty', { TOWLINE_HOST: '' }, 'TOWLINE_HOST'],
    ['a secret twice', { TOWLINE_FORWARD_SECRET: NEW_SECRET, TOWLINE_FORWARD_SECRET_FILE: '/dev/null' }, 'TOWLINE_FORWARD_SECRET_FILE'],
    ['a file that is not there', { TOWLINE_FORWARD_SECRET_FILE: '/no/such/file' }, '/no/such/file'],
    ['a weak secret', { FORWARD_SECRET: 'hunter2-hunter2' }, 'FORWARD_SECRET'],
  ])('stops the start for %s, and shows no secret', async (_what, env, named) => {
    const { code, stdout, stderr } = await runRelay(['start', '--data', join(system.dir, 'never')], { env, cwd: system.dir });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(named);
    for (const secret of [NEW_SECRET, 'hunter2']) expect(stderr).not.toContain(secret);
    expect(existsSync(join(system.dir, 'never'))).toBe(false);
  });
});

/** Enrols a runtime at the relay with the short expiry: approval comes in time or the request is made anew. */
async function enrol(name: string): Promise<TestDevice> {
  const device = system.startDevice(relay, { name });
  const online = device.program.saw(/"event":"online"/);
  online.catch(() => {});
  await eventually(async () => {
    const waiting = device.program.stdout.match(/"request":"([0-9a-f]{32})"/g)?.at(-1);
    if (waiting === undefined) return false;
    const id = waiting.slice(11, -1);
    return (await api.call('POST', `/v1/registrations/${id}/approve`, { key: relay.adminKey })).status === 200;
  }, 'the request is approved');
  await online;
  return device;
}
