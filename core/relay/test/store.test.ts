import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeOldDatabase } from '../../../plugins/store-sqlite/test/old-database.ts';
import { bin, startProgram } from '../../../test/support/process.ts';
import { bodyOf, openApi } from '../../../test/support/relay-api.ts';
import { endRelay, runRelay, startRelayOn } from '../../../test/support/relay-process.ts';
import { storedTrail } from '../../../test/support/stored.ts';
import { createSystem, type TestRelay, type TestSystem } from '../../../test/support/system.ts';
import { verifyChain } from '../../kernel/src/audit/chain.ts';
import { sealed } from './sealed.ts';

let system: TestSystem;
let relay: TestRelay;
/** An export of the relay, and its lines without line feeds. */
let file: string;
let lines: string[];
beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'));
  await system.enrolDevice(relay, { name: 'garage' });
  file = at('first.jsonl');
  expect(await runRelay(['store', 'export', file, '--data', relay.dir])).toMatchObject({ code: 0, stdout: '' });
  lines = linesOf(readFileSync(file, 'utf8'));
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

let folders = 0;
const at = (name: string) => join(system.dir, name);
const newFolder = () => at(`data-${(folders += 1)}`);
const linesOf = (text: string) => text.split('\n').slice(0, -1);
const records = (text: string) => linesOf(text).slice(1, -1);
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const exportOf = async (data: string) => (await runRelay(['store', 'export', '-', '--data', data])).stdout;
const importInto = (data: string, from: string) => runRelay(['store', 'import', from, '--data', data]);

describe('towline-relay store export', () => {
  it('beside a running relay writes all of it, for the owner only, with a hash over it', () => {
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(parsed[0]).toEqual({ towline_store: 1, schema: 2, relay: expect.stringMatching(/^\d/), at: expect.stringMatching(/Z$/) });
    const content = `${lines.slice(0, -1).join('\n')}\n`;
    expect(parsed.at(-1)).toEqual({ counts: expect.objectContaining({ device: 1, session: 0 }), sha256: sha256(content) });
    const devices = parsed.filter(({ kind }) => kind === 'device').map(({ value }) => (value as { name: string }).name);
    expect(devices).toEqual(['garage']);
    expect(readFileSync(file, 'utf8')).not.toContain(relay.adminKey.slice(-20));
  });

  it('does not overwrite a file but with --force', async () => {
    const path = at('taken.jsonl');
    writeFileSync(path, 'mine');
    const refused = await runRelay(['store', 'export', path, '--data', relay.dir]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`${path} exists`) });
    expect(readFileSync(path, 'utf8')).toBe('mine');
    expect(await runRelay(['store', 'export', path, '--force', '--data', relay.dir])).toMatchObject({ code: 0 });
    expect(records(readFileSync(path, 'utf8'))[0]).toBe(lines[1]);
  });

  it('to a place that cannot be written says so', async () => {
    const path = join(file, 'below', 'a.jsonl');
    const refused = await runRelay(['store', 'export', path, '--data', relay.dir]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(`${path} cannot be written (ENOTDIR)`) });
  });
});

describe('towline-relay store import', () => {
  it('of an export from a relay in use gives an equal store, whose trail verifies and on which a relay serves the same key', async () => {
    const data = newFolder();
    expect(await importInto(data, file)).toMatchObject({ code: 0, stderr: expect.stringMatching(/^imported .*1 device/) });
    expect(records(await exportOf(data))).toEqual(lines.slice(1, -1));
    expect(await verifyChain(storedTrail(data))).toMatchObject({ ok: true, count: storedTrail(data).length });
    // What the relay keeps encrypted comes as it is, and needs its key.
    const without = await runRelay(['start', '--data', data, '--host', '127.0.0.1', '--port', '0']);
    expect(without).toMatchObject({ code: expect.any(Number), stderr: expect.stringContaining('encryption.key') });
    expect(without.code).not.toBe(0);
    copyFileSync(join(relay.dir, 'encryption.key'), join(data, 'encryption.key'));
    const copy = await startRelayOn(data);
    using api = openApi(copy);
    const { items } = bodyOf<{ items: { name: string }[] }>(await api.call('GET', '/v1/devices', { key: relay.adminKey }));
    expect(items.map(({ name }) => name)).toEqual(['garage']);
    await endRelay(copy, 'SIGTERM');
    expect(await verifyChain(storedTrail(data))).toMatchObject({ ok: true });
  });

  it('takes an export of the schema before, which had no secrets', async () => {
    const before = at('schema-1.jsonl');
    writeFileSync(before, sealed([lines[0]!.replace('"schema":2', '"schema":1'), ...lines.slice(1, -1)]));
    const data = newFolder();
    expect(await importInto(data, before)).toMatchObject({ code: 0, stderr: expect.stringMatching(/^imported .*1 device/) });
    expect(records(await exportOf(data))).toEqual(lines.slice(1, -1));
  });

  it('takes what an export writes through a pipe', async () => {
    const data = newFolder();
    const finished = await runRelay(['store', 'import', '-', '--data', data], { stdin: await exportOf(relay.dir) });
    expect(finished).toMatchObject({ code: 0 });
    expect((await exportOf(data)).length).toBeGreaterThan(1_000);
  });

  it('refuses while a relay runs on the folder, and a store that is not empty', async () => {
    const running = await importInto(relay.dir, file);
    expect(running).toMatchObject({ code: 1, stderr: expect.stringContaining(`uses the folder ${relay.dir}`) });
    const data = newFolder();
    await importInto(data, file);
    const before = records(await exportOf(data));
    expect(await importInto(data, file)).toMatchObject({ code: 1, stderr: expect.stringContaining('not empty') });
    expect(records(await exportOf(data))).toEqual(before);
  });

  it('of a file that was changed, by a pipe, or that leaves something out, leaves nothing', async () => {
    const data = newFolder();
    const changed = await runRelay(['store', 'import', '-', '--data', data], {
      stdin: `${lines.join('\n')}\n`.replace('garage', 'Garage'),
    });
    expect(changed).toMatchObject({ code: 1, stderr: expect.stringContaining('was changed or damaged: by line') });
    const path = at('gap.jsonl');
    writeFileSync(path, sealed([...lines.slice(0, -3), lines.at(-2)!]));
    expect(await importInto(data, path)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/Record \d+ of the import, of kind audit, does not fit/),
    });
    expect(records(await exportOf(data))).toEqual([]);
  });

  it('looks at the whole file before it makes anything', async () => {
    const [data, path] = [newFolder(), at('cut.jsonl')];
    writeFileSync(path, `${lines.slice(0, -1).join('\n')}\n`);
    expect(await importInto(data, path)).toMatchObject({ code: 1 });
    expect(existsSync(data)).toBe(false);
    expect(await importInto(data, at('absent.jsonl'))).toMatchObject({ code: 4, stderr: expect.stringContaining('(ENOENT)') });
    mkdirSync(at('folder'));
    expect(await importInto(data, at('folder'))).toMatchObject({ code: 2, stderr: expect.stringContaining('(EISDIR)') });
  });

  it('that is interrupted leaves nothing', async () => {
    const data = newFolder();
    const program = startProgram(bin('towline-relay'), ['store', 'import', '-', '--data', data], { stdin: 'pipe' });
    program.child.stdin!.write(`${lines.slice(0, -1).join('\n')}\n`);
    await expect.poll(() => existsSync(join(data, 'towline.db')), { timeout: 10_000 }).toBe(true);
    program.child.kill('SIGINT');
    expect(await program.finished).toMatchObject({ code: 130 });
    expect(records(await exportOf(data))).toEqual([]);
  });
});

it('towline-relay store migrate tells from and to', async () => {
  const data = newFolder();
  const first = await runRelay(['store', 'migrate', '--data', data]);
  expect(first.stdout).toMatch(/^the store was brought from schema 0 to \d+\n$/);
  const again = await runRelay(['store', 'migrate', '--data', data]);
  expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^the store has schema \d+: nothing to do\n$/) });
});

it('towline-relay store migrate, several times at once on a store of the first version, migrates once', async () => {
  const data = newFolder();
  mkdirSync(data, { mode: 0o700 });
  await makeOldDatabase(join(data, 'towline.db'), 1);
  const outcomes = await Promise.all([1, 2, 3].map(() => runRelay(['store', 'migrate', '--data', data])));
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0]);
  const said = outcomes.map(({ stdout }) => stdout).sort();
  expect(said).toEqual([
    expect.stringMatching(/^the store has schema \d+: nothing to do\n$/),
    expect.stringMatching(/^the store has schema \d+: nothing to do\n$/),
    expect.stringMatching(/^the store was brought from schema 1 to \d+\n$/),
  ]);
});
