import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finished } from './support/process.ts';
import { endRelay, type RelayStart, restartRelay, runRelay, startRelayOn } from './support/relay-process.ts';
import { forgetEncryption, replaceMeta, storedMeta, storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** Name of the relay's own secrets in its store. */
const SECRETS = 'grant.secrets';
const CLEAR = 'planted-secret-in-the-clear-of-an-earlier-version';
const [FIRST, SECOND] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];

let system: TestSystem;
let relay: TestRelay;
/** Enrolled once the relay has the secrets that it keeps from then on. */
let device: TestDevice | undefined;
/** Everything that any relay or rescue command wrote. */
let said = '';
beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'));
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const keyFile = () => join(relay.dir, 'encryption.key');
const stored = () => storedMeta(relay.dir, SECRETS);
const keyIdOf = (sealed: string) => sealed.split('.')[1]!;
const configOf = (...keys: [id: string, key: string][]) => {
  const path = join(system.dir, `${keys.map(([id]) => id).join('-')}.yaml`);
  writeFileSync(path, `credentials:\n  encryption_keys:\n${keys.map(([id, key]) => `    - { id: ${id}, key: "${key}" }\n`).join('')}`);
  return path;
};

/** Files of the data folder in which a text lies, byte by byte. */
function holders(text: string): string[] {
  const files = readdirSync(relay.dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.filter((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1').includes(text)).map(({ name }) => name);
}

async function rescue(words: readonly string[], env: Record<string, string> = {}): Promise<Finished> {
  const finished = await runRelay([...words, '--data', relay.dir], { env });
  said += finished.stdout + finished.stderr;
  return finished;
}

async function stop(change = () => {}): Promise<void> {
  await endRelay(relay, 'SIGTERM');
  said += relay.program.stdout + relay.program.stderr;
  await device?.event('offline');
  change();
}

async function start(options: RelayStart = {}): Promise<void> {
  relay = await restartRelay(relay, options);
  await device?.event('online');
}

/** That commands run: the device believes the grants. */
async function expectGrantsGood(): Promise<void> {
  expect(await system.towline(relay, ['pi', 'exec', '--', 'echo', 'done'])).toMatchObject({ code: 0, stdout: 'done\n' });
}

/** Starts in vain. Answers what was said; nothing in the store or the folder is changed by it. */
async function expectNoStart(env: Record<string, string>, args: readonly string[] = []): Promise<string> {
  const before = [stored(), existsSync(keyFile())];
  const finished = await rescue(['start', '--host', '127.0.0.1', '--port', '0', ...args], env);
  expect(finished).toMatchObject({ code: 1, stdout: '' });
  expect([stored(), existsSync(keyFile())]).toEqual(before);
  return finished.stderr;
}

describe('without a configured key', () => {
  it('one is made at the first start, for the owner alone; the path is said, never the key', () => {
    expect(statSync(keyFile()).mode & 0o777).toBe(0o600);
    expect(readFileSync(keyFile(), 'utf8')).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(relay.program.stderr).toContain(keyFile());
    expect(stored()).toMatch(/^v1\.[0-9a-f]{16}\.[0-9a-f]{16}\.[A-Za-z0-9_-]+$/);
  });

  it('what an earlier version left in the clear is encrypted at the next start, and lies nowhere any more', async () => {
    await stop(() => replaceMeta(relay.dir, SECRETS, JSON.stringify([CLEAR])));
    forgetEncryption(relay.dir);
    expect(holders(CLEAR)).toContain('towline.db');
    await start();
    expect(relay.program.stderr).toContain('left in the clear are encrypted now');
    expect(holders(CLEAR)).toEqual([]);
    device = await system.enrolDevice(relay, { name: 'pi' });
    await expectGrantsGood();
  });

  it('grants rotate works on what is encrypted', async () => {
    const before = stored();
    expect(await rescue(['grants', 'rotate'])).toMatchObject({ code: 0 });
    expect(stored()).not.toBe(before);
    expect(keyIdOf(stored())).toBe(keyIdOf(before));
    await expectGrantsGood();
  });
});

it('a value in the clear that somebody puts into the store beside a running relay is not believed, and that is said', async () => {
  const whole = stored();
  replaceMeta(relay.dir, SECRETS, JSON.stringify(['planted by somebody who can write the database']));
  await eventually(async () => relay.program.stderr.includes('cannot be read'), 'the relay says so');
  expect(relay.program.stderr).toContain('lies in the clear');
  replaceMeta(relay.dir, SECRETS, whole);
  await expectGrantsGood();
});

describe('a start is refused, and changes nothing', () => {
  it('without the key: the error names its id, and no other is made', async () => {
    await stop(() => renameSync(keyFile(), `${keyFile()}.away`));
    const shown = await expectNoStart({});
    expect(shown).toContain(`encrypted with key ${keyIdOf(stored())}; none is configured, and there is no ${keyFile()}`);
    const other = await expectNoStart({ TOWLINE_ENCRYPTION_KEY: SECOND });
    expect(other).toContain(`encrypted with key ${keyIdOf(stored())}, which the relay does not have`);
    expect(other).not.toContain(SECOND);
  });

  it('with a wrong key of that id', async () => {
    const id = keyIdOf(stored());
    const shown = await expectNoStart({}, ['--config', configOf([id, SECOND])]);
    expect(shown).toContain(`encrypted with key ${id}, and the key configured by that id is another one`);
    renameSync(`${keyFile()}.away`, keyFile());
  });

  it('with a record that was changed: the error names the key, which is right', async () => {
    const whole = stored();
    replaceMeta(relay.dir, SECRETS, `${whole.slice(0, -8)}AAAAAAAA`);
    const shown = await expectNoStart({});
    expect(shown).toContain(`encrypted with key ${keyIdOf(whole)}, is damaged`);
    replaceMeta(relay.dir, SECRETS, whole);
  });

  it('with a value in the clear, and no rescue command takes it either', async () => {
    const whole = stored();
    const planted = JSON.stringify(['planted by somebody who can write the database']);
    replaceMeta(relay.dir, SECRETS, planted);
    const shown = await expectNoStart({});
    expect(shown).toContain('The record grant.secrets (grant secrets) lies in the clear');
    expect(shown).toContain('encryption.done');
    for (const words of [
      ['secrets', 'rotate'],
      ['grants', 'rotate'],
    ]) {
      expect(await rescue(words)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('lies in the clear') });
    }
    expect(stored()).toBe(planted);
    replaceMeta(relay.dir, SECRETS, whole);
  });

  it.each([
    ['can be read by others', () => chmodSync(keyFile(), 0o644), 'chmod 600'],
    ['was cut short', () => writeFileSync(keyFile(), 'AAAA\n'), 'is damaged: it does not hold base64 of 32 bytes'],
    ['is empty', () => writeFileSync(keyFile(), ''), 'is damaged: it does not hold base64 of 32 bytes'],
  ])('with a key file that %s', async (_what, change, code) => {
    const whole = readFileSync(keyFile(), 'utf8');
    change();
    expect(await expectNoStart({})).toContain(code);
    rmSync(keyFile());
    writeFileSync(keyFile(), whole, { mode: 0o600 });
  });
});

describe('towline-relay secrets rotate', () => {
  it('moves from the key file to a configured key beside a running relay, and nothing of the old key is left', async () => {
    const config = configOf(['first', FIRST]);
    await start({ config });
    const old = stored();
    expect(keyIdOf(old)).not.toBe('first');
    expect(await rescue(['secrets', 'rotate', '--config', config])).toMatchObject({
      code: 0,
      stdout: '1 encrypted anew with key first, 0 were already\n',
    });
    expect(keyIdOf(stored())).toBe('first');
    expect(holders(old)).toEqual([]);
    expect(holders(`v1.${keyIdOf(old)}.`)).toEqual([]);
    expect(storedTrail(relay.dir)).toContainEqual(
      expect.objectContaining({ action: 'secrets.rotated', outcome: 'ok', detail: { key: 'first', sealed: 1, current: 0, failed: 0 } }),
    );
    await expectGrantsGood();
    expect(await rescue(['secrets', 'rotate', '--config', config])).toMatchObject({
      stdout: '0 encrypted anew with key first, 1 were already\n',
    });
  });

  it('needs the old key as long as it is not done', async () => {
    await stop(() => rmSync(keyFile()));
    const refused = await rescue(['secrets', 'rotate', '--config', configOf(['second', SECOND])]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('key first');
    expect(keyIdOf(stored())).toBe('first');
  });

  it('beside a relay that does not know the new key: its sessions and grants go on, and it says so once', async () => {
    await start({ config: configOf(['first', FIRST]) });
    const session = system.startTowline(relay, ['pi', 'exec', '-i', '--', 'cat'], { stdin: 'pipe' });
    session.child.stdin!.write('begun\n');
    await session.saw(/begun/);
    expect((await rescue(['secrets', 'rotate', '--config', configOf(['second', SECOND], ['first', FIRST])])).code).toBe(0);
    expect(holders('v1.first.')).toEqual([]);
    await eventually(async () => relay.program.stderr.includes('cannot be read'), 'the relay says so');
    await expectGrantsGood();
    session.child.stdin!.end('still here\n');
    expect(await session.finished).toMatchObject({ code: 0, stdout: 'begun\nstill here\n' });
    expect(relay.program.stderr.match(/cannot be read/g)).toHaveLength(1);
    expect(relay.program.stderr).toContain('secret_key_missing');
  });

  it('then the old key can go, and the new one come from a variable, without the id that it had', async () => {
    await stop();
    await start({ env: { N8N_ENCRYPTION_KEY: SECOND } });
    await expectGrantsGood();
    expect(existsSync(keyFile())).toBe(false);
  });
});

it('no key, and nothing that was encrypted, is in what any of this has said', () => {
  said += relay.program.stdout + relay.program.stderr;
  for (const secret of [FIRST, SECOND, CLEAR]) expect(said).not.toContain(secret);
});
