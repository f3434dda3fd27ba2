import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, runProgram, startProgram } from './support/process.ts';
import { endRelay, restartRelay, runRelay, startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'));
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const modeOf = (...path: string[]) => (statSync(join(relay.dir, ...path)).mode & 0o777).toString(8);
const root = process.getuid?.() === 0;

interface KeyRow {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly owner: string;
  readonly state: string;
}

async function listKeys(...args: string[]): Promise<KeyRow[]> {
  const { stdout } = await system.rescue(relay, ['keys', 'list', '--json', ...args]);
  return (JSON.parse(stdout) as { items: KeyRow[] }).items;
}

async function createKey(...args: string[]): Promise<{ id: string; key: string }> {
  const { code, stdout, stderr } = await system.rescue(relay, ['keys', 'create', '--json', ...args]);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as { id: string; key: string };
}

describe('towline-relay start without a config', () => {
  it('prints the ready line and nothing else on stdout, with the port that it took for 0', () => {
    expect(relay.program.stdout).toMatch(/^ready url=https:\/\/127\.0\.0\.1:[1-9]\d+ fingerprint=sha256:[0-9a-f]{64}\n$/);
  });

  it('writes a key of a platform admin for its owner only, and tells the file but not the key', async () => {
    expect(modeOf('admin.key')).toBe('600');
    expect(relay.program.stderr).toContain(join(relay.dir, 'admin.key'));
    expect(relay.adminKey).toMatch(/^twl_u_[0-9a-f]{16}_[0-9a-f]{64}$/);
    expect(relay.program.stdout + relay.program.stderr).not.toContain(relay.adminKey.slice(-64));
    const { stdout } = await system.towline(relay, ['whoami', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'user', admin: true });
  });

  it('keeps its data where only its user can read it, but for the certificate that is to be handed out', () => {
    expect(modeOf()).toBe('700');
    expect(modeOf('tls')).toBe('700');
    expect(modeOf('ca.pem')).toBe('644');
    const files = readdirSync(relay.dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const open = files.filter(({ parentPath, name }) => (statSync(join(parentPath, name)).mode & 0o077) !== 0);
    expect(open.map(({ name }) => name)).toEqual(['ca.pem']);
    expect(files.map(({ name }) => name)).toEqual(expect.arrayContaining(['authority.pem', 'relay.pem', 'towline.db']));
  });

  it('keeps its data in ./towline-data and listens everywhere unless it is told otherwise', async () => {
    const cwd = join(system.dir, 'anywhere');
    mkdirSync(cwd);
    await using program = startProgram(bin('towline-relay'), ['start', '--port', '0'], { cwd });
    const [, port] = await program.saw(/^ready url=https:\/\/localhost:(\d+) fingerprint=sha256:/m);
    expect(existsSync(join(cwd, 'towline-data', 'admin.key'))).toBe(true);
    const socket = connect(Number(port), '127.0.0.2');
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.destroy();
  });

  it('would listen on port 8085 of every address', async () => {
    const { code, stdout } = await runRelay(['check'], { cwd: system.dir });
    expect(code).toBe(0);
    expect(stdout).toContain(`data       ${join(system.dir, 'towline-data')}\n`);
    expect(stdout).toContain('listens on 0.0.0.0 port 8085 with TLS (self-made certificate)\n');
    for (const line of [/^store +sqlite /m, /^auth +apikey /m, /^stream +shell /m, /^stream +exec /m, /^transport +tls /m])
      expect(stdout).toMatch(line);
  });
});

describe('a place that cannot be had', () => {
  it('refuses a port that is in use, and gives back what it took before', async () => {
    const data = join(system.dir, 'second');
    const refused = await runRelay(['start', '--data', data, '--host', '127.0.0.1', '--port', String(relay.port)]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(`Cannot listen on 127.0.0.1 port ${relay.port}: the port is in use.`);
    expect(refused.stderr).toContain('--port');
    await using second = await startRelayOn(data);
    expect(second.adminKey).toMatch(/^twl_u_/);
  });

  it('refuses a data folder that another relay uses, which goes on', async () => {
    const refused = await runRelay(['start', '--data', relay.dir, '--host', '127.0.0.1', '--port', '0']);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(relay.dir);
    expect(refused.stderr).toMatch(/another process|in use|uses/i);
    expect((await system.towline(relay, ['whoami'])).code).toBe(0);
  });

  it('refuses a data folder that its user cannot write', async () => {
    const data = join(system.dir, 'not-mine');
    mkdirSync(data, { mode: 0o755 });
    chmodSync(system.dir, 0o755);
    if (!root) chmodSync(data, 0o555);
    const command = ['start', '--data', data, '--host', '127.0.0.1', '--port', '0'];
    const { code, stdout, stderr } = root ? await asNobody(bin('towline-relay'), command) : await runRelay(command);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`The data folder ${data} cannot be written`);
    expect(stderr).toContain('--data');
    expect(readdirSync(data)).toEqual([]);
  });

  it('refuses a data folder that is a file', async () => {
    const file = join(system.dir, 'a-file');
    writeFileSync(file, 'kept');
    const { code, stderr } = await runRelay(['start', '--data', file, '--port', '0']);
    expect(code).toBe(1);
    expect(stderr).toContain(`The data folder ${file} cannot be written`);
    expect(readFileSync(file, 'utf8')).toBe('kept');
  });
});

describe('towline-relay keys beside a running relay', () => {
  it('makes keys of people, which hold at once and only what was asked for', async () => {
    const created = await createKey('--email', 'Eve@Example.com', '--scope', 'org:acme', '--role', 'viewer', '--name', 'of eve');
    expect(Object.keys(created).sort()).toEqual(['id', 'key']);
    expect(created.key).toMatch(/^twl_u_[0-9a-f]{16}_[0-9a-f]{64}$/);
    const { code, stdout } = await system.towline(relay, ['whoami', '--json'], { key: created.key });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      email: 'eve@example.com',
      admin: false,
      key_id: created.id,
      scopes: [
        { scope: 'user:eve@example.com', role: 'admin' },
        { scope: 'org:acme', role: 'viewer' },
      ],
    });
  });

  it('makes keys of admins and keys for enrolling, and prints no more than the key without --json', async () => {
    const admin = await createKey('--admin');
    const me = JSON.parse((await system.towline(relay, ['whoami', '--json'], { key: admin.key })).stdout);
    expect(me).toMatchObject({ admin: true, key_id: admin.id });
    const { stdout, stderr } = await system.rescue(relay, ['keys', 'create', '--enrol', '--org', 'acme', '--count', '2']);
    expect(stdout).toMatch(/^twl_e_[0-9a-f]{16}_[0-9a-f]{64}\n$/);
    expect(stderr).toBe('');
    const used = await system.towline(relay, ['whoami'], { key: stdout.trim() });
    expect(used.code).toBe(3);
    expect(used.stderr).toContain('twl_u_');
  });

  it('lists keys without their secrets, as text and as JSON', async () => {
    const { id, key } = await createKey('--email', 'lister@example.com', '--name', 'to be listed');
    const text = await system.rescue(relay, ['keys', 'list']);
    expect(text.stdout).toMatch(new RegExp(`^${id} +user +valid +user:lister@example\\.com +to be listed$`, 'm'));
    const json = await system.rescue(relay, ['keys', 'list', '--json']);
    expect((JSON.parse(json.stdout) as { items: KeyRow[] }).items).toContainEqual(
      expect.objectContaining({ id, kind: 'user', state: 'valid', owner: 'user:lister@example.com' }),
    );
    for (const { stdout } of [text, json]) expect(stdout).not.toMatch(/[0-9a-f]{64}/);
    expect(text.stdout + json.stdout).not.toContain(key.slice(-64));
  });

  it('revokes a key within a second, and whoever is linked by it is told why', async () => {
    const { id, key } = await createKey('--email', 'gone@example.com');
    await using device = await system.enrolDevice(relay, { name: 'revoked', email: 'gone@example.com' });
    const session = system.startTowline(relay, [device.name, 'exec', '--', 'sh', '-c', 'echo begun; sleep 300'], { key });
    await session.saw(/begun/);
    const revoked = await system.rescue(relay, ['keys', 'revoke', id, '--reason', 'left the company']);
    const told = performance.now();
    expect(revoked).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const ended = await session.finished;
    expect(performance.now() - told).toBeLessThan(3_000);
    expect(ended.code).toBe(255);
    expect(ended.stderr).toContain('left the company');
    const after = await system.towline(relay, ['whoami'], { key });
    expect(after).toMatchObject({ code: 3, stdout: '' });
    expect(after.stderr).toContain('revoked');
    expect((await listKeys()).map((row) => row.id)).not.toContain(id);
    expect(await listKeys('--revoked')).toContainEqual(expect.objectContaining({ id, state: 'revoked' }));
    expect(await system.rescue(relay, ['keys', 'revoke', id])).toMatchObject({ code: 1, stdout: '' });
  });

  it('says that there is no such key', async () => {
    const { code, stderr } = await system.rescue(relay, ['keys', 'revoke', '0123456789abcdef']);
    expect(code).toBe(4);
    expect(stderr).toContain('0123456789abcdef');
  });

  it('lets a key expire', async () => {
    const { key } = await createKey('--email', 'short@example.com', '--expires', '1s');
    const refused = await eventually(async () => {
      const { code, stderr } = await system.towline(relay, ['whoami'], { key });
      return code === 0 ? null : { code, stderr };
    }, 'the key expires');
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('expired');
  });

  it('limits a key to streams', async () => {
    const { key } = await createKey('--email', 'stream@example.com', '--stream', 'shell');
    await using _device = await system.enrolDevice(relay, { name: 'only-shells', email: 'stream@example.com' });
    const { code, stderr } = await system.towline(relay, ['only-shells', 'exec', '--', 'true'], { key });
    expect(code).toBe(255);
    expect(stderr).toContain('You may use only-shells for shell, not for exec.');
  });
});

describe('wrong use of towline-relay', () => {
  it.each([
    ['no command', []],
    ['an unknown option', ['start', '--prot', '1']],
    ['a port that is none', ['start', '--port', '65536']],
    ['a config file that is not there', ['start', '--config', '/no/such/towline.yaml']],
    ['a key for nobody', ['keys', 'create']],
    ['a key of an admin that also enrols', ['keys', 'create', '--admin', '--enrol', '--org', 'acme']],
    ['an enrolment key for two', ['keys', 'create', '--enrol', '--org', 'acme', '--email', 'a@example.com']],
    ['a scope that is none', ['keys', 'create', '--email', 'a@example.com', '--scope', 'acme']],
    ['an expiry that is none', ['keys', 'create', '--admin', '--expires', 'soon']],
  ])('exits 2 for %s and says what is wrong', async (_what, args) => {
    const { code, stdout, stderr } = await runRelay(args, { cwd: system.dir, env: { TOWLINE_DATA: join(system.dir, 'wrong-use') } });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr.trim()).not.toBe('');
    expect(stderr).not.toMatch(/^ +at /m);
  });
});

describe('the next start', () => {
  it('makes no second key, also when the file was taken away, and knows the first', async () => {
    const before = (await listKeys()).length;
    expect(await endRelay(relay, 'SIGTERM')).toMatchObject({ code: 0 });
    rmSync(join(relay.dir, 'admin.key'));
    await using second = await restartRelay(relay);
    expect(existsSync(join(relay.dir, 'admin.key'))).toBe(false);
    expect(second.program.stderr).not.toContain('platform admin');
    expect(second).toMatchObject({ url: relay.url, fingerprint: relay.fingerprint });
    expect(await listKeys()).toHaveLength(before);
    expect((await system.towline(relay, ['whoami'])).code).toBe(0);
  });
});

/** Runs a program as a user who owns nothing. */
function asNobody(file: string, args: readonly string[]) {
  return runProgram('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', file, ...args], { env: { HOME: '/nonexistent' } });
}
