import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ListView, SecretView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from './support/keys.ts';
import { bin, type Finished } from './support/process.ts';
import { linkClient } from './support/raw-client.ts';
import { createIdentity, enrolRawDevice, linkDevice } from './support/raw-device.ts';
import { type ApiAnswer, openApi, type RelayApi } from './support/relay-api.ts';
import { endRelay, restartRelay, runRelay, startRelayOn } from './support/relay-process.ts';
import { damageSecret, storedTrail } from './support/stored.ts';
import { createSystem, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';
import { hasTmux, openTerminal } from './support/terminal.ts';

/** Who asks: ada operates the organisation that owns the device, olga is its admin, vera a viewer; sam has a share of the device alone. */
type Person = 'ada' | 'olga' | 'vera' | 'sam' | 'gus';
const ROLES: Readonly<Record<Person, readonly string[]>> = {
  ada: ['--scope', 'org:acme', '--role', 'operator'],
  olga: ['--scope', 'org:acme', '--role', 'admin'],
  vera: ['--scope', 'org:acme', '--role', 'viewer'],
  sam: [],
  gus: ['--scope', 'org:globex', '--role', 'admin'],
};
/** Each test runs several commands, one after the other, milliseconds. */
const TEST_MS = 120_000;
const [FIRST, SECOND] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
/** Every value that is set; none of them may be anywhere but with the program that it is for. */
const planted = new Set<string>();
const plant = (name: string) => {
  const value = `planted-${name}-${randomBytes(12).toString('hex')}`;
  planted.add(value);
  return value;
};

const tmux = await hasTmux();
let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
let api: RelayApi;
/** Everything that any command wrote, but for the output of those that are there to print a value. */
let said = '';
const keys = new Map<Person, string>();
beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'), { config: configOf(['first', FIRST]) });
  device = await system.enrolDevice(relay, { org: 'acme' });
  for (const [person, roles] of Object.entries(ROLES))
    keys.set(person as Person, (await createKey(system, relay, ['--email', `${person}@example.com`, ...roles])).key);
  const shared = await towline(null, ['devices', 'share', 'pi', 'user:sam@example.com', '--role', 'admin']);
  expect(shared).toMatchObject({ code: 0 });
  api = openApi(relay);
});
afterAll(async () => {
  api?.[Symbol.dispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

function configOf(...ring: [id: string, key: string][]): string {
  const path = join(system.dir, `${ring.map(([id]) => id).join('-')}.yaml`);
  const keysOfRing = ring.map(([id, key]) => `    - { id: ${id}, key: "${key}" }\n`).join('');
  const sinks = 'audit: { sinks: [{ use: file, path: audit.jsonl }] }\n';
  writeFileSync(path, `log_level: debug\n${sinks}credentials:\n  encryption_keys:\n${keysOfRing}`);
  return path;
}

/** Runs `towline` as somebody; null: the platform admin. */
async function towline(who: Person | null, words: readonly string[], stdin?: string | Buffer): Promise<Finished> {
  const finished = await system.towline(relay, words, {
    ...(who === null ? {} : { key: keys.get(who)! }),
    ...(stdin === undefined ? {} : { stdin }),
  });
  said += finished.stdout + finished.stderr;
  return finished;
}
const set = (who: Person | null, name: string, value: string | Buffer, ...more: string[]) =>
  towline(who, ['secrets', 'set', name, ...more], value);
/** Runs a command that may print values: what it prints is not noted. */
const exec = (who: Person | null, options: readonly string[], ...command: string[]) =>
  system.towline(relay, ['pi', 'exec', ...options, '--', ...command], who === null ? {} : { key: keys.get(who)! });
const print = (who: Person | null, word: string, name = word.split('/').at(-1)!) => exec(who, ['--secret', word], 'printenv', name);
const call = (who: Person, method: string, path: string, body?: unknown): Promise<ApiAnswer> =>
  api.call(method, path, { key: keys.get(who)!, ...(body === undefined ? {} : { body }) });

describe('a secret of one’s own', { timeout: TEST_MS }, () => {
  it('is set from stdin, listed by name, and in the environment of a command', async () => {
    const value = plant('own');
    expect(await set('ada', 'OWN', `${value}\n`)).toMatchObject({ code: 0, stdout: 'set OWN of user:ada@example.com\n', stderr: '' });
    const { items } = JSON.parse((await towline('ada', ['secrets', 'list', '--json'])).stdout) as ListView<SecretView>;
    expect(items).toEqual([
      {
        scope: 'user:ada@example.com',
        name: 'OWN',
        created_at: expect.any(String),
        created_by: expect.any(String),
        updated_at: expect.any(String),
        updated_by: expect.any(String),
      },
    ]);
    expect(await print('ada', 'OWN')).toMatchObject({ code: 0, stdout: `${value}\n` });
    expect(await print('ada', 'user:ada@example.com/OWN')).toMatchObject({ code: 0, stdout: `${value}\n` });
  });

  it('is replaced, and then removed', async () => {
    const value = plant('replaced');
    expect(await set('ada', 'OWN', value)).toMatchObject({ code: 0 });
    expect(await print('ada', 'OWN')).toMatchObject({ stdout: `${value}\n` });
    expect(await towline('ada', ['secrets', 'remove', 'OWN', '--json'])).toMatchObject({ code: 0 });
    expect(await towline('ada', ['secrets', 'remove', 'OWN'])).toMatchObject({ code: 4, stdout: '' });
    const refused = await print('ada', 'OWN');
    expect(refused).toMatchObject({ code: 255, stdout: '' });
    expect(refused.stderr).toContain('No secret OWN, or it is not yours to use.');
    expect(refused.stderr).toContain('towline secrets list');
  });

  it('goes before that of the owner of the device, which SCOPE/NAME still means', async () => {
    const [own, org] = [plant('both-own'), plant('both-org')];
    await set('ada', 'BOTH', own);
    expect(await set('olga', 'BOTH', org, '--scope', 'org:acme')).toMatchObject({ code: 0 });
    expect((await print('ada', 'BOTH')).stdout).toBe(`${own}\n`);
    expect((await print('ada', 'org:acme/BOTH')).stdout).toBe(`${org}\n`);
    expect((await print('olga', 'BOTH')).stdout).toBe(`${org}\n`);
    const twice = await exec('ada', ['--secret', 'BOTH', '--secret', 'org:acme/BOTH'], 'true');
    expect(twice).toMatchObject({ code: 255 });
    expect(twice.stderr).toContain('the secret BOTH is asked for twice');
  });

  it('arrives byte for byte, whatever is in it', async () => {
    const odd = [
      'two\nlines\n',
      ' spaces  and\ttabs ',
      `'single' "double" \`tick\``,
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the braces are for a shell, if one would look.
      '$(id) ${HOME} $HOME \\n \\',
      'ünï ☃ 🎉 \u{10ffff}',
      '\ufeffwith a mark',
      '\x01\x1b[31m\x7f\x80',
      '-n',
      '*',
      '\r\n',
    ];
    // Two by the command line, which drops one newline; the others as any client may.
    for (const at of [0, 5]) expect(await set('ada', `ODD_${at}`, `${odd[at]}\n`)).toMatchObject({ code: 0 });
    for (const [at, value] of odd.entries()) {
      if (at === 0 || at === 5) continue;
      expect((await call('ada', 'PUT', `/v1/secrets/user:ada@example.com/ODD_${at}`, { value })).status, value).toBe(200);
    }
    const names = odd.map((_value, at) => `ODD_${at}`);
    const script = `for name in ${names.join(' ')}; do printenv "$name" | base64 -w0; echo; done`;
    const { stdout, stderr } = await exec(
      'ada',
      names.flatMap((name) => ['--secret', name]),
      'sh',
      '-c',
      script,
    );
    const got = stdout
      .trim()
      .split('\n')
      // Without the newline that printenv adds.
      .map((line) => Buffer.from(line, 'base64').toString('utf8').slice(0, -1));
    expect(got, stderr).toEqual(odd);
  });

  it('is not taken when it is empty, too long, no UTF-8 or with NUL, and nothing of it is repeated', async () => {
    const marker = plant('refused');
    const cases: [string | Buffer, string][] = [
      ['', 'empty'],
      ['\n', 'empty'],
      [`${marker}\0`, 'NUL'],
      [Buffer.from([0x61, 0xff, 0xfe]), 'not UTF-8'],
      [marker.repeat(1_000), 'longer than 16384 bytes'],
    ];
    for (const [value, why] of cases) {
      const refused = await set('ada', 'REFUSED', value);
      expect(refused, why).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr).toContain(why);
    }
    expect(await set('ada', `LEAKED=${marker}`, 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('does not belong on the command line'),
    });
    expect(await towline('ada', ['secrets', 'set', 'PATH'], 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('PATH is refused'),
    });
    expect((await towline('ada', ['secrets', 'list'])).stdout).not.toContain('REFUSED');
    // Bodies that are none, and those of other fields, by a client of another make.
    const path = '/v1/secrets/user:ada@example.com/REFUSED';
    for (const body of [
      `{"value":"${marker}`,
      `{"value":"${marker}"}}`,
      marker,
      `"${marker}"`,
      `{"values":"${marker}"}`,
      `{"value":["${marker}"]}`,
    ]) {
      const refused = await call('ada', 'PUT', path, body);
      expect(refused).toMatchObject({ status: 400, code: 'invalid_request' });
      expect(JSON.stringify(refused.body)).not.toContain(marker);
    }
    expect(relay.program.stderr).not.toContain(marker);
    // A whole line of the largest size is taken.
    expect(await set('ada', 'LARGEST', `${'x'.repeat(16_384)}\n`)).toMatchObject({ code: 0 });
    expect((await exec('ada', ['--secret', 'LARGEST'], 'sh', '-c', 'printf %s "$LARGEST" | wc -c')).stdout.trim()).toBe('16384');
  });
});

describe('the secret of an organisation', { timeout: TEST_MS }, () => {
  const value = plant('org');
  const name = (answer: ApiAnswer) => `${answer.status} ${answer.code ?? 'ok'}`;

  it('is set by its admin, used by its operators, seen by its viewers', async () => {
    expect(await set('olga', 'DEPLOY', value, '--scope', 'org:acme')).toMatchObject({ code: 0 });
    for (const who of ['olga', 'ada', null] as const) expect((await print(who, 'DEPLOY')).stdout).toBe(`${value}\n`);
    for (const who of ['ada', 'vera'] as const) {
      expect(await set(who, 'DEPLOY', 'other', '--scope', 'org:acme')).toMatchObject({ code: 3, stdout: '' });
      expect(await towline(who, ['secrets', 'remove', 'DEPLOY', '--scope', 'org:acme'])).toMatchObject({ code: 3, stdout: '' });
      expect((await towline(who, ['secrets', 'list', '--scope', 'org:acme'])).stdout).toMatch(/^DEPLOY +org:acme /m);
    }
  });

  it('is not used by a viewer who may run commands on the device by a share; that is answered as of one that does not exist', async () => {
    await towline(null, ['devices', 'share', 'pi', 'user:vera@example.com', '--role', 'operator']);
    expect((await exec('vera', [], 'echo', 'in')).stdout).toBe('in\n');
    const texts = await Promise.all(['DEPLOY', 'ABSENT'].map(async (word) => (await print('vera', word)).stderr.replaceAll(word, 'NAME')));
    expect(texts[0]).toContain('No secret NAME, or it is not yours to use.');
    expect(texts[0]).toBe(texts[1]);
  });

  it('is named by the refusal, the first of several, and by the record of it, which does not say whether there is one', async () => {
    const ask = (...words: string[]) =>
      exec(
        'vera',
        words.flatMap((word) => ['--secret', word]),
        'true',
      );
    await set('vera', 'HERS', plant('hers'));
    expect((await ask('HERS', 'ABSENT', 'DEPLOY')).stderr).toContain('No secret ABSENT, or');
    expect((await ask('HERS', 'org:acme/DEPLOY', 'ABSENT')).stderr).toContain('No secret org:acme/DEPLOY, or');
    const { stdout } = await towline(null, ['pi', 'audit', '--action', 'session.refused', '--limit', '2', '--json']);
    const { items } = JSON.parse(stdout) as { items: { reason: string; detail: object }[] };
    expect(items.map(({ reason, detail }) => ({ reason, ...detail }))).toEqual([
      { reason: 'not_found', asked_for: 'pi', secret: 'org:acme/DEPLOY' },
      { reason: 'not_found', asked_for: 'pi', secret: 'ABSENT' },
    ]);
  });

  it('is out of reach by a share of the device, even as its admin', async () => {
    expect((await exec('sam', [], 'echo', 'in')).stdout).toBe('in\n');
    for (const word of ['DEPLOY', 'org:acme/DEPLOY', 'user:ada@example.com/BOTH']) {
      const { code, stdout, stderr } = await print('sam', word);
      expect({ code, stdout }).toEqual({ code: 255, stdout: '' });
      expect(stderr).toContain(`No secret ${word}, or it is not yours to use.`);
    }
    expect((await towline('sam', ['secrets', 'list', '--scope', 'org:acme', '--json'])).stdout).toBe(
      '{\n  "items": [],\n  "next": null\n}\n',
    );
  });

  it('is for strangers as one that does not exist, by every route', async () => {
    const answers = async (scope: string) => {
      const path = `/v1/secrets/${scope}/DEPLOY`;
      const whole = [
        await call('gus', 'PUT', path, { value: 'x' }),
        await call('gus', 'DELETE', path),
        await call('gus', 'GET', `/v1/secrets?scope=${scope}`),
      ];
      return whole.map((answer) => [name(answer), JSON.stringify(answer.body)]);
    };
    expect(await answers('org:acme')).toEqual(await answers('org:nobody-has-this'));
    expect((await answers('org:acme')).map(([first]) => first)).toEqual(['404 not_found', '404 not_found', '200 ok']);
    expect((await print('ada', 'DEPLOY')).stdout).toBe(`${value}\n`);
  });

  it('is given by a key for some streams, in those; such a key neither sets nor removes it', async () => {
    const forExec = await createKey(system, relay, [
      '--email',
      'eve@example.com',
      '--scope',
      'org:acme',
      '--role',
      'admin',
      '--stream',
      'exec',
    ]);
    const limited = (words: readonly string[], stdin?: string) =>
      system.towline(relay, words, { key: forExec.key, ...(stdin === undefined ? {} : { stdin }) });
    expect((await limited(['pi', 'exec', '--secret', 'DEPLOY', '--', 'printenv', 'DEPLOY'])).stdout).toBe(`${value}\n`);
    expect(await limited(['secrets', 'set', 'DEPLOY', '--scope', 'org:acme'], 'x')).toMatchObject({ code: 3, stdout: '' });
    expect(await limited(['secrets', 'remove', 'DEPLOY', '--scope', 'org:acme'])).toMatchObject({ code: 3, stdout: '' });
  });
});

describe('while a session has a secret', { timeout: TEST_MS }, () => {
  it('no process list shows it, and neither the list of sessions nor the trail has more than its name', async () => {
    const value = plant('running');
    await set('olga', 'RUNNING', value, '--scope', 'org:acme');
    const program = system.startTowline(relay, ['pi', 'exec', '--secret', 'RUNNING', '--', 'sh', '-c', 'echo begun $$; sleep 315; :'], {
      key: keys.get('ada')!,
    });
    const [, pid = ''] = await program.saw(/begun (\d+)/);
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')).toContain(`RUNNING=${value}`);
    expect(readFileSync(`/proc/${pid}/environ`, 'latin1')).not.toContain('TOWLINE_SECRET_');
    const lines = commandLines();
    expect(lines).toContainEqual(expect.stringContaining('sleep 315'));
    expect(lines.filter((line) => found(line).length > 0)).toEqual([]);
    const { stdout } = await towline('olga', ['pi', 'sessions', '--json']);
    const [session] = (JSON.parse(stdout) as { items: { id: string; detail: { secrets: string[] } }[] }).items;
    expect(session!.detail.secrets).toEqual(['org:acme/RUNNING']);
    program.child.kill('SIGTERM');
    said += (await program.finished).stderr;
    const records = storedTrail(relay.dir).filter((record) => record.session === session!.id);
    expect(records.map(({ action }) => action)).toContain('session.opened');
    for (const { detail } of records) expect(detail).toMatchObject({ secrets: ['org:acme/RUNNING'] });
    expect(storedTrail(relay.dir)).toContainEqual(
      expect.objectContaining({ action: 'secret.set', owner: 'org:acme', detail: { scope: 'org:acme', name: 'RUNNING' } }),
    );
    expect(storedTrail(relay.dir)).toContainEqual(
      expect.objectContaining({
        action: 'secret.removed',
        owner: 'user:ada@example.com',
        detail: { scope: 'user:ada@example.com', name: 'OWN' },
      }),
    );
  });

  it.skipIf(!tmux)('a shell has it too (needs tmux)', async () => {
    const value = plant('shell');
    await set('ada', 'IN_SHELL', value);
    await using terminal = await openTerminal(`${bin('towline')} pi shell --secret IN_SHELL`, {
      TOWLINE_RELAY: relay.url,
      TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
      TOWLINE_API_KEY: keys.get('ada')!,
      TOWLINE_CONFIG_DIR: join(system.dir, 'shell-user'),
    });
    await terminal.shows(/sha256:/);
    await terminal.type('clear; printenv IN_SHELL; env | grep -c TOWLINE_SECRET_; echo "done"\n');
    await terminal.shows(/^done$/m);
    expect(await terminal.screen()).toMatch(new RegExp(`^${value}\\n0\\ndone$`, 'm'));
    await terminal.type('exit\n');
    await terminal.shows(/ended with 0/);
  });
});

it('the largest secret arrives whole by either transport', { timeout: TEST_MS }, async () => {
  for (const transport of ['tls', 'quic']) {
    const name = `by-${transport}`;
    await using _device = await system.enrolDevice(relay, { name, org: 'acme', args: ['--transport', transport] });
    const words = [
      name,
      'exec',
      '--secret',
      'LARGEST',
      '--',
      'sh',
      '-c',
      'printf %s "$LARGEST" | tr -d x | wc -c; printf %s "$LARGEST" | wc -c',
    ];
    expect((await system.towline(relay, words, { key: keys.get('ada')! })).stdout).toBe('0\n16384\n');
  }
});

describe('an opening with secrets that is not in order', { timeout: TEST_MS }, () => {
  it('is refused above the bound on their sum, and on command and secrets together', async () => {
    for (const at of [1, 2]) expect(await set('ada', `BIG_${at}`, 'y'.repeat(12_000))).toMatchObject({ code: 0 });
    const both = await exec('ada', ['--secret', 'BIG_1', '--secret', 'BIG_2'], 'true');
    expect(both).toMatchObject({ code: 255, stdout: '' });
    expect(both.stderr).toContain('The secrets of this session have 24010 bytes, where 20480 are allowed.');
    const long = await exec('ada', ['--secret', 'LARGEST'], 'echo', 'z'.repeat(20_000));
    expect(long).toMatchObject({ code: 255, stdout: '' });
    expect(long.stderr).toContain('The command and its secrets together are too large for one session.');
    expect((await exec('ada', ['--secret', 'BIG_1'], 'sh', '-c', 'printf %s "$BIG_1" | wc -c')).stdout.trim()).toBe('12000');
  });

  it('is refused with more than 50, or by forbidden or malformed names that a client of another make sends', async () => {
    await using client = await linkClient(relay, keys.get('ada')!);
    const open = (secrets: unknown) => client.open('pi', { body: { argv: ['true'], stdin: false, secrets } as never });
    const bad = [
      [],
      ['PATH'],
      ['ld_preload'],
      ['org:acme/BASH_ENV'],
      ['A=b'],
      [''],
      ['org:ACME/X'],
      [7],
      'OWN',
      [{ name: 'X', value: 'y' }],
      ['X', 'X'],
    ];
    for (const secrets of bad) expect(await open(secrets), JSON.stringify(secrets)).toBe('invalid_request');
    expect(await open(Array.from({ length: 51 }, (_, at) => `N_${at}`))).toBe('invalid_request');
    expect(await open(['BOTH'])).toBe('accepted');
  });

  it('is refused for a device of a version that does not know them, which never sees it; without secrets that one is used', async () => {
    const old = await enrolRawDevice(api, { name: 'old', owner: 'org:acme', identity: createIdentity() });
    await using link = await linkDevice(relay, old.apiKey, { identity: old.identity });
    await using client = await linkClient(relay, keys.get('olga')!);
    const body = { argv: ['true'], stdin: false };
    expect(await client.open('old', { body: { ...body, secrets: ['DEPLOY'] } })).toBe('device_outdated');
    expect(link.openings).toEqual([]);
    expect(await client.open('old', { body })).toBe('accepted');
    expect(link.openings).toMatchObject([{ body }]);
  });
});

describe('the key ring', { timeout: TEST_MS }, () => {
  it('can be rotated: secrets go on, and no file has anything that the old key opens', async () => {
    const value = plant('rotated');
    await set('ada', 'ROTATED', value);
    await restart(['second', SECOND], ['first', FIRST]);
    expect((await print('ada', 'ROTATED')).stdout).toBe(`${value}\n`);
    const rotated = await runRelay(['secrets', 'rotate', '--config', configOf(['second', SECOND], ['first', FIRST]), '--data', relay.dir]);
    said += rotated.stdout + rotated.stderr;
    expect(rotated).toMatchObject({ code: 0 });
    await restart(['second', SECOND]);
    expect((await print('ada', 'ROTATED')).stdout).toBe(`${value}\n`);
    expect(holders('v1.first.')).toEqual([]);
  });

  it('without the key of a secret says so, and touches nobody else', async () => {
    const other = plant('other');
    await set('ada', 'OTHER', other);
    damageSecret(relay.dir, 'ROTATED');
    const refused = await print('ada', 'ROTATED');
    expect(refused).toMatchObject({ code: 255, stdout: '' });
    expect(refused.stderr).toContain('encrypted with key second, is damaged');
    expect((await print('ada', 'OTHER')).stdout).toBe(`${other}\n`);
    expect((await exec('ada', [], 'echo', 'fine')).stdout).toBe('fine\n');
    await relay.program.saw(/a secret could not be given to a session/, 'stderr');
    // Setting it anew mends it.
    expect(await set('ada', 'ROTATED', 'anew')).toMatchObject({ code: 0 });
    expect((await print('ada', 'ROTATED')).stdout).toBe('anew\n');
  });
});

it('no value is in what relay, device and commands wrote, in the trail, or in any file of theirs', async () => {
  said += (await towline(null, ['audit', '--details', '--json', '--limit', '1000'])).stdout;
  said += (await towline(null, ['audit', '--details', '--limit', '1000'])).stdout;
  await device[Symbol.asyncDispose]();
  await endRelay(relay, 'SIGTERM');
  said += relay.program.stdout + relay.program.stderr + device.program.stdout + device.program.stderr;
  expect(said.length).toBeGreaterThan(10_000);
  expect(planted.size).toBeGreaterThan(9);
  expect(found(said)).toEqual([]);
  const files = [relay.dir, device.dir, join(system.dir, 'audit.jsonl')].flatMap(filesIn);
  expect(files.length).toBeGreaterThan(5);
  expect(files.filter((path) => found(readFileSync(path, 'latin1')).length > 0)).toEqual([]);
});

const found = (text: string) =>
  [...planted].filter((value) => text.includes(value) || text.includes(Buffer.from(value).toString('base64url')));

async function restart(...ring: [id: string, key: string][]): Promise<void> {
  await endRelay(relay, 'SIGTERM');
  said += relay.program.stdout + relay.program.stderr;
  await device.event('offline');
  relay = await restartRelay(relay, { config: configOf(...ring) });
  await device.event('online');
}

function commandLines(): string[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return pids.flatMap((pid) => {
    try {
      return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
    } catch {
      return [];
    }
  });
}

function filesIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath, entry.name)] : [],
  );
}

/** Files of the data folder in which a text lies, byte by byte. */
function holders(text: string): string[] {
  return filesIn(relay.dir).filter((path) => readFileSync(path, 'latin1').includes(text));
}
