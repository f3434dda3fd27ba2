import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from './support/keys.ts';
import { networkFault } from './support/network-namespaces.ts';
import { type CertificateFiles, makeAuthority, makeLeaf } from './support/openssl.ts';
import { bin, type Finished, runProgram, STEP_MS } from './support/process.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
let authority: CertificateFiles;
/** Everything that any run printed. */
let printed = '';
const servers: Server[] = [];
const sockets = new Set<Socket>();
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  authority = await makeAuthority(system.dir, 'another CA');
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  await system[Symbol.asyncDispose]();
});

interface Item {
  readonly check: string;
  readonly status: string;
  readonly message: string;
  readonly hint: string | null;
}

/** A run of doctor: its findings by check, and as `name status`. */
interface Examination extends Finished {
  readonly items: readonly Item[];
  readonly line: Readonly<Record<string, Item>>;
  readonly statuses: Readonly<Record<string, string>>;
}

let folders = 0;
const freshFolder = () => join(system.dir, `folder-${(folders += 1)}`);

/** Examines as a user without anything set up, but for what `env` says. */
async function examine(
  env: Readonly<Record<string, string>>,
  [file, ...args]: readonly [string, ...string[]] = [bin('towline')],
): Promise<Examination> {
  const finished = await runProgram(file, [...args, 'doctor', '--json'], {
    env: { TOWLINE_CONFIG_DIR: freshFolder(), ...env },
    deadlineMs: 30_000,
  });
  printed += finished.stdout + finished.stderr;
  const { items, next } = JSON.parse(finished.stdout) as { items: Item[]; next: null };
  expect(next).toBeNull();
  return {
    ...finished,
    items,
    // Of several findings of a check the first is the worst.
    line: Object.fromEntries(items.toReversed().map((item) => [item.check, item])),
    statuses: Object.fromEntries(items.toReversed().map(({ check, status }) => [check, status])),
  };
}

/** Environment of a user who knows the relay and holds a key. */
const known = (extra: Readonly<Record<string, string>> = {}) => ({
  TOWLINE_RELAY: relay.url,
  TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
  TOWLINE_API_KEY: relay.adminKey,
  ...extra,
});

/** Opens a server of the test on loopback and gives its port. */
async function listen(server: Server): Promise<number> {
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  servers.push(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

/** An HTTPS server with a certificate of the other CA, and the environment of a user who trusts that. */
async function startHttps(answer: http.RequestListener, days = 30): Promise<Record<string, string>> {
  const leaf = await makeLeaf(system.dir, `leaf-${(folders += 1)}`, { by: authority, days });
  const chain = readFileSync(leaf.cert, 'utf8') + readFileSync(authority.cert, 'utf8');
  const port = await listen(https.createServer({ cert: chain, key: readFileSync(leaf.key) }, answer));
  return { TOWLINE_RELAY: `https://127.0.0.1:${port}`, TOWLINE_CA_FILE: authority.cert, TOWLINE_API_KEY: relay.adminKey };
}

/** What builds upon each part that can be broken on the way. */
const AFTER_TLS = { api: 'skipped', clock: 'skipped', login: 'skipped', device: 'skipped', link: 'skipped' };
const AFTER_TCP = { tls: 'skipped', ...AFTER_TLS };
const AFTER_DNS = { tcp: 'skipped', udp: 'skipped', ...AFTER_TCP };

describe('towline doctor', () => {
  it('finds nothing broken where everything works', async () => {
    const { code, stderr, statuses, items } = await examine(known());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { udp, udp_buffers: buffers, pty, ...others } = statuses;
    expect(others).toEqual({
      permissions: 'ok',
      relay: 'ok',
      proxy: 'ok',
      dns: 'ok',
      tcp: 'ok',
      tls: 'ok',
      api: 'ok',
      clock: 'ok',
      login: 'ok',
      device: 'skipped',
      link: 'ok',
    });
    // These depend on the machine, and none of them is a failure where nobody is served.
    for (const status of [udp, buffers, pty]) expect(['ok', 'warning', 'skipped']).toContain(status);
    for (const { message, hint, status } of items) {
      expect(message).toMatch(/^\S.*\.$/);
      if (status === 'warning' || status === 'failed') expect(hint).toMatch(/^\S.*\.$/);
    }
  });

  it('prints a line for each check and what to do below it, for people', async () => {
    const env = { TOWLINE_CONFIG_DIR: freshFolder(), ...known({ TOWLINE_TRUST_INVALID_CERT: 'true' }) };
    const { code, stdout, stderr } = await runProgram(bin('towline'), ['doctor'], { env });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ok {7}tcp {10}127\.0\.0\.1 takes connections on port \d+ \(\d+ ms\)\.$/m);
    expect(stdout).toMatch(/^warning {2}tls {10}TLS 1\.3 works, but the certificate is not checked.*\n {22}Unset it/m);
    expect(stderr.match(/WARNING.*NOT checked/g)).toHaveLength(1);
  });

  it('says without any setting what is missing, and checks this machine all the same', async () => {
    const { code, stderr, line, statuses } = await examine({});
    expect(code).toBe(1);
    expect(line.relay).toMatchObject({ status: 'failed', message: 'No relay is set.', hint: expect.stringContaining('towline login') });
    expect(statuses).toMatchObject({ permissions: 'ok', dns: 'skipped', ...AFTER_DNS });
    expect(statuses.pty).not.toBe('skipped');
    expect(stderr).toBe('towline: what is broken: relay\n');
  });

  it.each([
    ['a URL that is none', { TOWLINE_RELAY: 'http://127.0.0.1' }, 'http://'],
    ['a fingerprint that is none', { TOWLINE_TLS_FINGERPRINT: 'sha256:abc' }, '64 hex digits'],
    ['a CA file that is not there', { TOWLINE_TLS_FINGERPRINT: '', TOWLINE_CA_FILE: '/nowhere/ca.pem' }, 'ENOENT'],
  ])('names a wrong setting: %s', async (_what, wrong, part) => {
    const { code, line, statuses } = await examine(known(wrong));
    expect(code).toBe(1);
    expect(line.relay).toMatchObject({ status: 'failed', message: expect.stringContaining(part) });
    expect(statuses).toMatchObject({ dns: 'skipped', ...AFTER_DNS });
  });

  it('names DNS when the name is not known', async () => {
    const { code, line, statuses, stderr } = await examine(known({ TOWLINE_RELAY: 'https://relay.invalid' }));
    expect(code).toBe(1);
    expect(line.dns).toMatchObject({ status: 'failed', message: expect.stringMatching(/not known to DNS|DNS did not answer/) });
    expect(statuses).toMatchObject(AFTER_DNS);
    expect(stderr).toBe('towline: what is broken: dns\n');
  });

  it('names TCP when the port refuses', async () => {
    const server = createServer();
    const port = await listen(server);
    server.close();
    await once(server, 'close');
    const { code, line, statuses } = await examine(known({ TOWLINE_RELAY: `https://127.0.0.1:${port}` }));
    expect(code).toBe(1);
    expect(line.tcp).toMatchObject({
      status: 'failed',
      message: expect.stringContaining('refuses'),
      hint: expect.stringContaining('relay runs'),
    });
    expect(statuses).toMatchObject(AFTER_TCP);
  });

  it('names TLS when the port swallows what is sent, and does not wait long', async () => {
    const port = await listen(createServer());
    const { code, line, statuses } = await examine(known({ TOWLINE_RELAY: `https://127.0.0.1:${port}` }));
    expect(code).toBe(1);
    expect(line.tls).toMatchObject({ status: 'failed', message: expect.stringContaining('did not answer within') });
    expect(statuses).toMatchObject({ tcp: 'ok', ...AFTER_TLS });
  });

  it('names TLS when what listens does not speak it', async () => {
    const port = await listen(http.createServer((_request, response) => response.end('<html>')));
    const { code, line } = await examine(known({ TOWLINE_RELAY: `https://127.0.0.1:${port}` }));
    expect(code).toBe(1);
    expect(line.tls).toMatchObject({ status: 'failed', message: expect.stringContaining('does not speak TLS') });
  });

  it('names TLS when the relay is not the one that is trusted, and tells it nothing', async () => {
    const seen: string[] = [];
    const env = await startHttps((request, response) => {
      seen.push(String(request.url));
      response.end();
    });
    for (const [trust, part] of [
      [{ TOWLINE_CA_FILE: join(relay.dir, 'ca.pem') }, 'not trusted here'],
      [{ TOWLINE_CA_FILE: '' }, 'not trusted here'],
      [{ TOWLINE_TLS_FINGERPRINT: relay.fingerprint }, 'was expected'],
    ] as const) {
      const { code, line, statuses } = await examine({ ...env, ...trust });
      expect(code).toBe(1);
      expect(line.tls).toMatchObject({ status: 'failed', message: expect.stringContaining(part), hint: expect.any(String) });
      expect(statuses).toMatchObject(AFTER_TLS);
    }
    expect(seen).toEqual([]);
  });

  it('tells the time of this machine when a certificate is out of date, since the clock may be what is wrong', async () => {
    const env = await startHttps((_request, response) => response.end(), -1);
    const { line } = await examine(env);
    expect(line.tls).toMatchObject({
      status: 'failed',
      message: expect.stringMatching(/has expired.* The clock of this machine says \d{4}-/),
      hint: expect.stringContaining('clock'),
    });
  });

  it('names the API when something else than a relay answers', async () => {
    const env = await startHttps((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>'),
    );
    const { code, line, statuses } = await examine(env);
    expect(code).toBe(1);
    expect(line.api).toMatchObject({ status: 'failed', message: expect.stringContaining('not a Towline relay') });
    expect(statuses).toMatchObject({ tls: 'ok', clock: 'skipped', login: 'skipped', link: 'skipped' });
  });

  it.each([
    ['ahead', -3_600_000, /(59|60)m ahead of that of the relay/],
    ['behind', 86_400_000, /(23|24)h behind that of the relay/],
  ])('says which way the clock is off: %s', async (_way, relayAheadMs, expected) => {
    const env = await startHttps((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', date: new Date(Date.now() + relayAheadMs).toUTCString() });
      response.end('{"items":[],"next":null}');
    });
    expect((await examine(env)).line.clock).toMatchObject({
      status: 'warning',
      message: expect.stringMatching(expected),
      hint: expect.any(String),
    });
  });

  it('leaves the clock alone where the relay tells no time', async () => {
    const env = await startHttps((_request, response) => {
      response.sendDate = false;
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"items":[],"next":null}');
    });
    expect((await examine(env)).statuses.clock).toBe('skipped');
  });

  it('names the login when nobody is logged in, or the key is revoked or of the wrong kind', async () => {
    const nobody = await examine({ TOWLINE_RELAY: relay.url, TOWLINE_TLS_FINGERPRINT: relay.fingerprint });
    expect(nobody.line.login).toMatchObject({
      status: 'failed',
      message: expect.stringContaining('Not logged in'),
      hint: expect.stringContaining('towline login'),
    });
    const { id, key } = await createKey(system, relay, ['--email', 'bob@example.com']);
    expect((await examine(known({ TOWLINE_API_KEY: key }))).line.login).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('bob@example.com'),
    });
    await system.rescue(relay, ['keys', 'revoke', id]);
    const revoked = await examine(known({ TOWLINE_API_KEY: key }));
    expect(revoked.code).toBe(1);
    expect(revoked.line.login).toMatchObject({ status: 'failed', message: expect.stringContaining('revoked') });
    expect(revoked.statuses).toMatchObject({ api: 'ok', clock: 'ok', link: 'skipped' });
    const enrolment = await createKey(system, relay, ['--enrol', '--org', 'acme']);
    expect((await examine(known({ TOWLINE_API_KEY: enrolment.key }))).line.login).toMatchObject({
      status: 'failed',
      message: expect.stringContaining('not of a user'),
    });
    expect(printed).not.toContain(key);
    expect(printed).not.toContain(enrolment.key);
  });

  it('names permissions when others can read the login, which is not read then', async () => {
    const dir = freshFolder();
    const env = { TOWLINE_CONFIG_DIR: dir };
    const login = ['login', '--relay', relay.url, '--fingerprint', relay.fingerprint, '--api-key', '-'];
    await runProgram(bin('towline'), login, { env, stdin: `${relay.adminKey}\n` });
    expect((await examine(env)).code).toBe(0);
    chmodSync(join(dir, 'credentials.json'), 0o644);
    const { code, line, statuses, stderr } = await examine(env);
    expect(code).toBe(1);
    expect(line.permissions).toMatchObject({
      status: 'failed',
      message: expect.stringContaining('mode 0644'),
      hint: expect.stringContaining('chmod 600'),
    });
    expect(statuses).toMatchObject({ api: 'ok', login: 'skipped', link: 'skipped' });
    expect(stderr).toBe('towline: what is broken: permissions\n');
    chmodSync(join(dir, 'credentials.json'), 0o600);
    writeFileSync(join(dir, 'config.json'), '{', { mode: 0o600 });
    expect((await examine(env)).statuses).toMatchObject({ permissions: 'failed', relay: 'skipped', dns: 'skipped' });
  });

  it.each(['auto', 'websocket', 'tls'])('opens the link by the transport that is asked for: %s', async (transport) => {
    const { code, line } = await examine(known(), [bin('towline'), '--transport', transport]);
    expect({ code, ...line.link }).toMatchObject({
      code: 0,
      status: 'ok',
      message: expect.stringMatching(transport === 'auto' ? /over (quic|tls)/ : `over ${transport}`),
    });
  });

  it('takes it for no failure that UDP is swallowed on the way', async () => {
    const swallowing = createSocket('udp4');
    await new Promise<void>((resolve) => swallowing.bind(0, '127.0.0.1', resolve));
    try {
      const { line } = await examine(known({ TOWLINE_RELAY: `https://127.0.0.1:${swallowing.address().port}` }));
      // Skipped only on a machine that QUIC has no native part for.
      expect(line.udp!.status).toMatch(/warning|skipped/);
      expect(line.udp!.hint).toContain('links go over TLS');
    } finally {
      swallowing.close();
    }
  });

  it('refuses a transport that is none with exit code 2', async () => {
    expect(await runProgram(bin('towline'), ['doctor', '--transport', 'udp'], { env: known() })).toMatchObject({ code: 2, stdout: '' });
  });
});

describe('towline doctor behind a proxy', () => {
  /** A proxy that does CONNECT as it is told, and what it was asked for. */
  async function startProxy(decide: () => number): Promise<{ readonly url: string; readonly asked: string[] }> {
    const asked: string[] = [];
    const server = http.createServer();
    server.on('connect', (request, near: Socket) => {
      asked.push(String(request.url));
      const status = decide();
      if (status !== 200) return near.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
      const [host, port] = String(request.url).split(':');
      const far = connect({ host: host!, port: Number(port) }, () => near.write('HTTP/1.1 200 OK\r\n\r\n'));
      sockets.add(far);
      far.on('error', () => near.destroy()).pipe(near);
      near.on('error', () => far.destroy()).pipe(far);
      return undefined;
    });
    return { url: `http://127.0.0.1:${await listen(server)}`, asked };
  }

  it('goes through the proxy and says so', async () => {
    const proxy = await startProxy(() => 200);
    const { code, line, statuses } = await examine(known({ HTTPS_PROXY: proxy.url }));
    expect({ code, ...statuses }).toMatchObject({ code: 0, proxy: 'ok', dns: 'ok', tcp: 'ok', tls: 'ok', login: 'ok', link: 'ok' });
    expect(line.proxy!.message).toContain(new URL(proxy.url).host);
    expect(line.tcp!.message).toContain('proxy');
    expect(new Set(proxy.asked)).toEqual(new Set([`127.0.0.1:${relay.port}`]));
  });

  it('lets the proxy look the name up', async () => {
    const proxy = await startProxy(() => 502);
    const { line, statuses } = await examine(known({ HTTPS_PROXY: proxy.url, TOWLINE_RELAY: 'https://relay.invalid' }));
    expect(statuses).toMatchObject({ proxy: 'ok', dns: 'ok', tcp: 'failed', ...AFTER_TCP });
    expect(line.tcp).toMatchObject({ message: expect.stringContaining('could not connect to relay.invalid:443') });
  });

  it('leaves it out where NO_PROXY names the relay', async () => {
    const proxy = await startProxy(() => 403);
    const { code, line } = await examine(known({ HTTPS_PROXY: proxy.url, NO_PROXY: '127.0.0.0/8' }));
    expect({ code, ...line.proxy }).toMatchObject({ code: 0, status: 'ok', message: expect.stringContaining('NO_PROXY names 127.0.0.1') });
    expect(proxy.asked).toEqual([]);
  });

  it.each([
    ['refuses CONNECT', 403, 'refuses to connect to'],
    ['wants a password', 407, 'asks for a user name and password'],
  ])('names TCP when the proxy %s', async (_what, status, part) => {
    const proxy = await startProxy(() => status);
    const { code, line, statuses } = await examine(known({ HTTPS_PROXY: proxy.url }));
    expect({ code, ...statuses }).toMatchObject({ code: 1, proxy: 'ok', tcp: 'failed', ...AFTER_TCP });
    expect(line.tcp!.message).toContain(part);
  });

  it('names the proxy when its setting is wrong or nobody listens there, and shows no password', async () => {
    const server = createServer();
    const port = await listen(server);
    server.close();
    await once(server, 'close');
    for (const url of [
      'http://alice:opensesame@127.0.0.1:8080/path',
      'ftp://alice:opensesame@127.0.0.1',
      `http://alice:opensesame@127.0.0.1:${port}`,
    ]) {
      const { code, line, statuses } = await examine(known({ HTTPS_PROXY: url }));
      expect({ code, ...statuses }).toMatchObject({ code: 1, proxy: 'failed', tcp: 'skipped', ...AFTER_TCP });
      expect(line.proxy!.hint).toMatch(/HTTPS_PROXY|http:\/\/HOST/);
    }
    expect(printed).not.toContain('opensesame');
  });

  it('says that a variable is none of those that are read', async () => {
    const { line } = await examine(known({ ALL_PROXY: 'http://127.0.0.1:1' }));
    expect(line.proxy).toMatchObject({ status: 'ok', message: expect.stringContaining('not ALL_PROXY') });
  });
});

describe('towline doctor on a device', () => {
  it('takes the relay from the enrolment, and leaves the runtime alone', async () => {
    await using device = await system.enrolDevice(relay, { name: 'patient' });
    const { code, line } = await examine({ TOWLINE_CONFIG_DIR: device.dir });
    expect(code).toBe(0);
    expect(line.relay!.message).toContain('by the enrolment of this machine');
    expect(line.device).toMatchObject({ status: 'ok', message: expect.stringContaining('patient') });
    expect(line.login).toMatchObject({ status: 'skipped', message: expect.stringContaining('is a device') });
    expect(line.pty!.status).toBe('ok');
    const { stdout } = await system.towline(relay, ['devices', 'list', '--json']);
    expect((JSON.parse(stdout) as { items: { name: string; online: boolean }[] }).items).toContainEqual(
      expect.objectContaining({ name: 'patient', online: true }),
    );
    expect(device.program.stdout).not.toContain('"offline"');
    // With the relay in the environment as well, as runtimes of containers have it, the trust is still the runtime's.
    const named = await examine({ TOWLINE_CONFIG_DIR: device.dir, TOWLINE_RELAY: relay.url });
    expect({ code: named.code, ...named.statuses }).toMatchObject({ code: 0, tls: 'ok', device: 'ok', login: 'skipped' });
    const asUser = await examine(known({ TOWLINE_CONFIG_DIR: device.dir }));
    expect(asUser.statuses).toMatchObject({ login: 'ok', device: 'ok', link: 'ok' });
  });

  it('names the device when its key is dead', async () => {
    const device = await system.enrolDevice(relay, { name: 'dismissed' });
    await device[Symbol.asyncDispose]();
    const env = { TOWLINE_CONFIG_DIR: device.dir };
    expect((await examine(env)).statuses.device).toBe('ok');
    expect((await system.towline(relay, ['devices', 'remove', 'dismissed'])).code).toBe(0);
    const { code, line, stderr } = await examine(env);
    expect(code).toBe(1);
    expect(line.device).toMatchObject({ status: 'failed', message: expect.stringMatching(/removed|revoked|not known/) });
    expect(stderr).toBe('towline: what is broken: device\n');
  });

  it('does not mistake the device of one relay for that of another', async () => {
    await using device = await system.enrolDevice(relay, { name: 'elsewhere' });
    const env = await startHttps((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"items":[],"next":null}');
    });
    const { line } = await examine({ ...env, TOWLINE_CONFIG_DIR: device.dir });
    expect(line.device).toMatchObject({ status: 'skipped', message: expect.stringContaining(relay.url) });
  });
});

const fault = networkFault();
describe.skipIf(fault !== null)(`towline doctor on a broken machine${fault === null ? '' : ` (skipped: ${fault})`}`, () => {
  /** Runs doctor in namespaces of its own, after some words of a shell. */
  const broken = (prepare: string, env: Readonly<Record<string, string>>) =>
    examine(env, [
      'unshare',
      '--mount',
      '--net',
      '--kill-child',
      'sh',
      '-c',
      `ip link set lo up; ${prepare}; exec "$0" "$@"`,
      bin('towline'),
    ]);

  it('ends in time where name servers and ports are silent', async () => {
    const resolver = join(system.dir, 'resolv.conf');
    writeFileSync(resolver, 'nameserver 127.0.0.9\nnameserver 127.0.0.10\nnameserver 127.0.0.11\n');
    const silence =
      "nft 'add table inet f; add chain inet f in { type filter hook input priority 0; }; add rule inet f in udp dport 53 drop; add rule inet f in tcp dport 443 drop'";
    const begun = performance.now();
    const dns = await broken(
      `${silence}; mount --bind ${resolver} /etc/resolv.conf`,
      known({ TOWLINE_RELAY: 'https://relay.example.com' }),
    );
    expect(dns.line.dns).toMatchObject({ status: 'failed', message: 'DNS did not answer for the name relay.example.com.' });
    expect(dns.statuses).toMatchObject(AFTER_DNS);
    const tcp = await broken(silence, known({ TOWLINE_RELAY: 'https://127.0.0.1' }));
    expect(tcp.line.tcp).toMatchObject({
      status: 'failed',
      message: '127.0.0.1 did not answer on TCP port 443.',
      hint: expect.stringContaining('firewalls'),
    });
    expect(performance.now() - begun).toBeLessThan(2 * STEP_MS);
  });

  it('names the network when there is none', async () => {
    const { line } = await broken('true', known({ TOWLINE_RELAY: 'https://192.0.2.1' }));
    expect(line.tcp).toMatchObject({ status: 'failed', message: expect.stringContaining('unreachable') });
  });

  it('names the terminal when none can be opened, as a failure only on a device', async () => {
    const hidden = 'mount --bind /dev/null /dev/ptmx';
    const user = await broken(hidden, {});
    expect(user.line.pty).toMatchObject({ status: 'warning', message: expect.stringContaining('this machine') });
    const device = await system.enrolDevice(relay, { name: 'mute' });
    await device[Symbol.asyncDispose]();
    const served = await broken(hidden, { TOWLINE_CONFIG_DIR: device.dir });
    expect(served.line.pty).toMatchObject({ status: 'failed', message: expect.stringContaining('this machine'), hint: expect.any(String) });
  });

  it('names permissions for a user who may not read the files', async () => {
    const dir = freshFolder();
    mkdirSync(dir, { mode: 0o700 });
    chmodSync(system.dir, 0o755);
    const env = { TOWLINE_CONFIG_DIR: dir };
    const { line } = await examine(env, ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--', bin('towline')]);
    expect(line.permissions).toMatchObject({
      status: 'failed',
      message: expect.stringMatching(/EACCES/),
      hint: expect.stringContaining('owner'),
    });
  });
});

it('no run of doctor has printed a secret', () => {
  expect(printed).not.toBe('');
  expect(printed).not.toContain(relay.adminKey);
});
