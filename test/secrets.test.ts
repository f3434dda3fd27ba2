import { chmodSync, cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, type Finished, type ProgramOptions, runProgram } from './support/process.ts';
import { openApi } from './support/relay-api.ts';
import { endRelay, runRelay, startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const FORWARD_SECRET = 'Wq8Zr2Ty6Ub1Nm5Kj9Hg3Fd7Sa4Pl0Xc-Ev_IoQuTyRe';
const OF_THE_MACHINE = 'planted-in-the-environment-of-the-runtime';
const PASSWORD = 'planted-password-in-a-url';
/** What is looked for, by where it belongs. Of API keys the secret part: their ids are shown on purpose. */
const secrets = new Map<string, string>();
/** Everything that any program wrote, by what it was. */
const said: [what: string, text: string][] = [];
let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;

/** Notes a secret; of a key enough of its secret part that one cut short or mistyped is found too. */
function plant(name: string, text: string): string {
  secrets.set(name, /^twl_[ude]_[0-9a-f]{16}_([0-9a-f]{40})/.exec(text)?.[1] ?? text);
  return text;
}

const found = (text: string): string[] => [...secrets].flatMap(([name, secret]) => (text.includes(secret) ? [name] : []));
const parsed = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Record<string, never>;

async function noted(what: string, running: Promise<Finished>): Promise<Finished> {
  const finished = await running;
  said.push([what, finished.stdout + finished.stderr]);
  return finished;
}
const towline = (words: readonly string[], { key, ...options }: ProgramOptions & { key?: string } = {}) =>
  noted(`towline ${words[0]}`, system.towline(relay, words, { ...options, ...(key === undefined ? {} : { key }) }));
const agent = (words: readonly string[], env: Record<string, string>) =>
  noted(`towline-agent ${words[0]}`, runProgram(bin('towline-agent'), words, { env }));

beforeAll(async () => {
  system = createSystem();
  plant('forward_secret', FORWARD_SECRET);
  plant('environment of the runtime', OF_THE_MACHINE);
  plant('password in a URL', PASSWORD);
  const config = join(system.dir, 'towline.yaml');
  writeFileSync(config, `log_level: debug\nforward_secret: "\${PLANTED}"\naudit: { sinks: [{ use: file, path: audit.jsonl }] }\n`);
  relay = await startRelayOn(join(system.dir, 'relay'), { config, env: { PLANTED: FORWARD_SECRET } });
  plant('key of the admin', relay.adminKey);
  const created = await system.rescue(relay, ['keys', 'create', '--enrol', '--email', 'admin@example.com', '--count', '3']);
  const enrolment = plant('enrolment key', created.stdout.trim());
  device = system.startDevice(relay, { env: { TOWLINE_API_KEY: enrolment, SECRET_OF_THE_MACHINE: OF_THE_MACHINE } });
  await device.event('online');
  plant('first key of the device', deviceKey());
  plant('private key of the device', String(parsed(join(device.dir, 'device.json')).private_key));
  plant('encryption key', readFileSync(join(relay.dir, 'encryption.key'), 'utf8').trim());
  plant('private key of the CA', readFileSync(join(relay.dir, 'tls', 'authority.pem'), 'utf8').split('\n')[1]!);
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const deviceKey = () =>
  (parsed(join(device.dir, 'credentials.json')) as { device_credentials?: { api_key: string } }).device_credentials!.api_key;

describe('a command on a device', () => {
  it('finds no credential of the runtime in its environment, nor anything else of it', async () => {
    const { stdout } = await towline(['pi', 'exec', '--', 'sh', '-c', 'env; tr "\\0" "\\n" </proc/self/environ']);
    expect(stdout).toContain('TOWLINE_SESSION=');
    expect(stdout).not.toMatch(/^(TOWLINE_API_KEY|M87_API_KEY|SECRET_OF_THE_MACHINE|TOWLINE_CONFIG_DIR)=/m);
    expect(found(stdout)).toEqual([]);
  });

  it('has none in what the machine shows of it and of the processes that lead to it', async () => {
    const program = system.startTowline(relay, ['pi', 'exec', '--', 'sh', '-c', 'echo begun $$; sleep 314; :']);
    const [, pid = ''] = await program.saw(/begun (\d+)/);
    const ours = processes().filter(({ ancestors }) => ancestors.includes(Number(pid)) || ancestors.includes(device.program.pid));
    expect(ours.map(({ cmdline }) => cmdline)).toContainEqual(expect.stringContaining('sleep 314'));
    expect(ours.flatMap(({ environ }) => found(environ))).toEqual([]);
    // No command line of the whole machine has any, that of relay, runtime and command line among them.
    const all = processes();
    expect(all.map(({ pid: of }) => of)).toEqual(expect.arrayContaining([relay.program.pid, device.program.pid, program.pid]));
    expect(all.flatMap(({ cmdline }) => found(cmdline))).toEqual([]);
    program.child.kill('SIGTERM');
    said.push(['towline exec', (await program.finished).stderr]);
  });
});

describe('the work of a day', () => {
  it('goes on with keys in all the right places', async () => {
    const created = await system.rescue(relay, ['keys', 'create', '--email', 'user@example.com', '--scope', 'user:admin@example.com']);
    const key = plant('key of a user', created.stdout.trim());
    const env = { TOWLINE_CONFIG_DIR: join(system.dir, 'person'), TOWLINE_API_KEY: undefined as never };
    expect(await towline(['-v', 'login', '--relay', relay.url, '--api-key', '-'], { env, stdin: `${key}\n` })).toMatchObject({ code: 0 });
    for (const words of [
      ['-v', 'whoami'],
      ['-v', 'pi', 'exec', '-i', '--', 'cat'],
      ['-v', 'devices', 'show', 'pi'],
      ['-v', 'pi', 'status'],
    ])
      expect(await towline(words, { env, stdin: '' })).toMatchObject({ code: 0 });
    expect((await towline(['-v', 'devices', 'rotate', 'pi'])).code).toBe(0);
    await eventually(async () => deviceKey() !== undefined && found(deviceKey()).length === 0, 'the device holds another key');
    plant('second key of the device', deviceKey());
    expect((await towline(['pi', 'exec', '--', 'true'])).code).toBe(0);
    await noted('keys list', system.rescue(relay, ['keys', 'list', '--json', '--revoked']));
    await agent(['status'], { TOWLINE_CONFIG_DIR: device.dir });
  });

  it('goes wrong with keys in all the wrong places', async () => {
    const { adminKey } = relay;
    const mistyped = `${adminKey.slice(0, -1)}${adminKey.endsWith('0') ? '1' : '0'}`;
    for (const key of [mistyped, adminKey.slice(0, -3), `${adminKey} `, deviceKey(), `bearer-${adminKey}`])
      expect((await towline(['-v', 'whoami'], { key })).code).not.toBe(0);
    await towline(['pi', 'exec', '--', 'true'], { key: mistyped });
    await towline(['--relay', `https://admin:${PASSWORD}@127.0.0.1:${relay.port}`, 'whoami']);
    for (const TOWLINE_API_KEY of [adminKey, mistyped, OF_THE_MACHINE])
      await agent(['run', '--relay', relay.url, '--email', 'a@example.com'], {
        TOWLINE_CONFIG_DIR: join(system.dir, 'confused'),
        TOWLINE_API_KEY,
      });
    await noted(
      'weak secret',
      runRelay(['check'], { cwd: system.dir, env: { TOWLINE_FORWARD_SECRET: OF_THE_MACHINE.slice(0, 20) + OF_THE_MACHINE } }),
    );
    await noted('a secret as a port', runRelay(['check'], { cwd: system.dir, env: { TOWLINE_PORT: FORWARD_SECRET } }));
    using api = openApi(relay);
    for (const path of [`/v1/devices/${adminKey}`, `/v1/devices?cursor=${adminKey}`, `/v1/${adminKey}`, `/v1/audit?user=${adminKey}`])
      await api.call('GET', path, { key: adminKey });
    await api.call('GET', '/v1/me', { headers: { authorization: `Bearer ${mistyped}` } });
    await api.call('GET', '/v1/me', { headers: { authorization: `Basic ${Buffer.from(`admin:${PASSWORD}`).toString('base64')}` } });
    await api.call('POST', '/v1/registrations', { key: adminKey, body: { name: adminKey, api_key: adminKey } });
  });

  it('goes wrong with a key pasted where a name or a command belongs, and the trail keeps none of it', async () => {
    // What is typed comes back to who typed it; it must not stay anywhere.
    await system.towline(relay, [relay.adminKey, 'exec', '--', 'true']);
    await system.towline(relay, ['pi', 'exec', '--', 'true', '--key', relay.adminKey]);
    const { stdout } = await towline(['audit', '--details', '--limit', '1000']);
    expect(stdout).toContain(`${relay.adminKey.slice(0, 23)}[redacted]`);
    expect(found(stdout)).toEqual([]);
    await towline(['audit', '--json', '--limit', '1000']);
  });
});

describe('no secret that was planted', () => {
  it('is in anything that a program wrote', () => {
    expect(said.length).toBeGreaterThan(20);
    expect(secrets.size).toBe(11);
    for (const [what, text] of said) expect([what, found(text)]).toEqual([what, []]);
  });

  it('is in the log of the relay at level debug, nor in that of the runtime', async () => {
    expect(relay.program.stderr.length).toBeGreaterThan(200);
    expect(found(relay.program.stdout + relay.program.stderr)).toEqual([]);
    expect(device.program.stderr).toContain('API key was renewed');
    expect(found(device.program.stdout + device.program.stderr)).toEqual([]);
  });

  it('is in a file, but for those that are made to hold it, which others cannot read', async () => {
    await device[Symbol.asyncDispose]();
    await endRelay(relay, 'SIGTERM');
    const holders: Record<string, string[]> = {};
    for (const folder of [relay.dir, device.dir, join(system.dir, 'person'), join(system.dir, 'audit.jsonl')]) {
      for (const path of filesIn(folder)) {
        const names = found(readFileSync(path, 'latin1'));
        if (names.length === 0) continue;
        holders[path.slice(system.dir.length + 1)] = names;
        expect([path, statSync(path).mode & 0o077]).toEqual([path, 0]);
      }
    }
    expect(holders).toEqual({
      'relay/admin.key': ['key of the admin'],
      'relay/encryption.key': ['encryption key'],
      'relay/tls/authority.pem': ['private key of the CA'],
      'device-pi/credentials.json': ['second key of the device'],
      'device-pi/device.json': ['private key of the device'],
      'person/credentials.json': ['key of a user'],
    });
  });
});

describe('a file with secrets that others can read', () => {
  /** A copy of a folder in which one thing has the wrong mode. */
  function loosened(name: string, from: string, loosen: readonly [path: string, mode: number]): string {
    const copy = join(system.dir, `loose ${name}`);
    cpSync(from, copy, { recursive: true });
    chmodSync(copy, 0o700);
    chmodSync(join(copy, loosen[0]), loosen[1]);
    return copy;
  }

  it.each([
    ['credentials.json', 0o644, 'chmod 600'],
    ['credentials.json', 0o620, 'chmod 600'],
    ['.', 0o777, 'chmod 700'],
  ])('is refused by towline: %s with mode %o', async (path, mode, remedy) => {
    const dir = loosened(`person ${path} ${mode}`, join(system.dir, 'person'), [path, mode]);
    const env = { TOWLINE_CONFIG_DIR: dir };
    const { code, stdout, stderr } = await runProgram(bin('towline'), ['whoami'], { env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${remedy} ${join(dir, path)}`);
    expect(found(stderr)).toEqual([]);
  });

  it.each([
    ['device.json', 0o640],
    ['credentials.json', 0o604],
  ])('is refused by a runtime: %s with mode %o', async (path, mode) => {
    const dir = loosened(`device ${path}`, device.dir, [path, mode]);
    const { code, stdout, stderr } = await runProgram(bin('towline-agent'), ['run'], { env: { TOWLINE_CONFIG_DIR: dir } });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`chmod 600 ${join(dir, path)}`);
    expect(found(stderr)).toEqual([]);
  });

  it.each([
    ['towline.db', 0o644],
    ['encryption.key', 0o640],
    ['tls/authority.pem', 0o640],
    ['tls/relay.pem', 0o604],
  ])('is refused by a relay: %s with mode %o', async (path, mode) => {
    const dir = loosened(`relay ${path.replace('/', ' ')}`, relay.dir, [path, mode]);
    const { code, stdout, stderr } = await runRelay(['start', '--data', dir, '--host', '127.0.0.1', '--port', '0']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`chmod 600 ${join(dir, path)}`);
    expect(found(stderr)).toEqual([]);
  });
});

interface ProcessView {
  readonly pid: number;
  readonly ancestors: readonly number[];
  readonly cmdline: string;
  /** Empty where this user may not look. */
  readonly environ: string;
}

/** Everything that runs on this machine, as `ps` sees it. */
function processes(): ProcessView[] {
  const read = (pid: number | string, what: string) => {
    try {
      return readFileSync(`/proc/${pid}/${what}`, 'latin1').replaceAll('\0', ' ');
    } catch {
      return '';
    }
  };
  const parentOf = (pid: number) => Number(/^PPid:\s+(\d+)/m.exec(read(pid, 'status'))?.[1] ?? 0);
  const ancestors = (pid: number): number[] => {
    const parent = parentOf(pid);
    return parent === 0 ? [] : [parent, ...ancestors(parent)];
  };
  const pids = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
  return pids.map((pid) => ({ pid, ancestors: ancestors(pid), cmdline: read(pid, 'cmdline'), environ: read(pid, 'environ') }));
}

function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
}
