import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sampleRecords } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { OrgId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../../plugins/store-sqlite/test/open-store.ts';
import { Site } from '../../../test/support/plugin-site.ts';
import { bin, type Program, startProgram } from '../../../test/support/process.ts';
import { bodyOf, openApi } from '../../../test/support/relay-api.ts';
import { endRelay, runRelay, startRelayOn } from '../../../test/support/relay-process.ts';
import { storedTrail } from '../../../test/support/stored.ts';
import { createSystem, type TestSystem } from '../../../test/support/system.ts';
import { verifyChain } from '../../kernel/src/audit/chain.ts';

/** About 30 MB, so that a backup takes long enough to be killed in the middle. */
const RECORDS = 30_000;
const KILLS = 3;
/** Some of these start a dozen processes, one after the other. */
const PATIENCE_MS = 120_000;

let system: TestSystem;
beforeAll(() => {
  system = createSystem();
});
afterAll(() => system[Symbol.asyncDispose]());

const at = (name: string) => join(system.dir, name);

describe('towline-relay store backup', { timeout: PATIENCE_MS }, () => {
  it('beside a relay that goes on writing holds all that it acknowledged before, and a relay serves on it', async () => {
    await using relay = await startRelayOn(at('relay'));
    await system.enrolDevice(relay, { name: 'garage' });
    using api = openApi(relay);
    const made: string[] = [];
    let on = true;
    const writing = (async () => {
      for (let n = 0; on; n += 1) {
        bodyOf(await api.call('POST', '/v1/orgs', { key: relay.adminKey, body: { id: `org-${n}`, name: 'One more' } }), 201);
        made.push(`org-${n}`);
      }
    })();
    await expect.poll(() => made.length, { timeout: 20_000 }).toBeGreaterThan(5);
    const before = [...made];
    const file = at('relay.backup');
    expect(await runRelay(['store', 'backup', file, '--data', relay.dir])).toMatchObject({
      code: 0,
      stdout: '',
      stderr: `backed up ${statSync(file).size} bytes to ${file}\n`,
    });
    const during = made.length - before.length;
    on = false;
    await writing;
    expect(during).toBeGreaterThan(0);
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');

    const restored = at('restored');
    mkdirSync(restored, { mode: 0o700 });
    copyFileSync(file, join(restored, 'towline.db'));
    copyFileSync(join(relay.dir, 'encryption.key'), join(restored, 'encryption.key'));
    const store = await openStore(restored);
    for (const id of before) expect(await store.organisations.get(id as OrgId, SYSTEM_SCOPE), id).not.toBeNull();
    await store[Symbol.asyncDispose]();
    const copy = await startRelayOn(restored);
    using copied = openApi(copy);
    const { items } = bodyOf<{ items: { name: string }[] }>(await copied.call('GET', '/v1/devices', { key: relay.adminKey }));
    expect(items.map(({ name }) => name)).toEqual(['garage']);
    await endRelay(copy, 'SIGTERM');
    expect(await verifyChain(storedTrail(restored))).toMatchObject({ ok: true });
  });

  it('that is killed leaves no file in its place, one that is interrupted nothing at all', async () => {
    const data = await filledFolder('killed');
    const folder = at('backups');
    mkdirSync(folder);
    const outcomes: string[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      const file = join(folder, `${round}.db`);
      await endInTheMiddle(startBackup(data, file), folder, 'SIGKILL');
      if (!existsSync(file)) outcomes.push('none');
      else outcomes.push((await runRelay(['store', 'export', '-', '--config', configFor(file)])).code === 0 ? 'whole' : 'damaged');
    }
    expect(outcomes).not.toContain('damaged');
    expect(outcomes).toContain('none');
    // What a killed one leaves lies beside the place, where nobody else may look, and is in the way of none.
    for (const left of readdirSync(folder)) expect((statSync(join(folder, left)).mode & 0o077).toString(8)).toBe('0');
    rmSync(folder, { recursive: true });
    mkdirSync(folder);
    const interrupted = startBackup(data, join(folder, 'last.db'));
    expect(await endInTheMiddle(interrupted, folder, 'SIGINT')).toMatchObject({ code: 130 });
    expect(readdirSync(folder)).toEqual([]);
    expect(await runRelay(['store', 'backup', join(folder, 'last.db'), '--data', data])).toMatchObject({ code: 0 });
  });

  it('overwrites nothing, and says what it cannot write', async () => {
    const data = await filledFolder('small', 1);
    const taken = at('taken.db');
    writeFileSync(taken, 'mine');
    expect(await runRelay(['store', 'backup', taken, '--data', data])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${taken} exists`),
    });
    expect(readFileSync(taken, 'utf8')).toBe('mine');
    const below = join(taken, 'below.db');
    expect(await runRelay(['store', 'backup', below, '--data', data])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${below} cannot be written (ENOTDIR)`),
    });
  });

  it('of a folder without a store says that there is none, and writes no file', async () => {
    const refused = await runRelay(['store', 'backup', at('nothing.db'), '--data', at('wrong-folder')]);
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('--data') });
    expect(existsSync(at('nothing.db'))).toBe(false);
  });

  it('of a store without one names the tool of its database', async () => {
    mkdirSync(at('site'));
    const site = new Site(at('site')).configure('store: acme', 'plugins: [./plugins/store]').addPackage('plugins/store', {
      kind: 'store',
      name: 'acme',
      before: "import { SqliteStore } from '@towline/store-sqlite';",
      create: `Object.assign(new SqliteStore(${JSON.stringify(at('acme-data.db'))}, host), { backup: undefined })`,
    });
    const refused = await runRelay(['store', 'backup', at('acme.db'), '--config', site.config, '--data', at('acme')]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('mongodump') });
    expect(existsSync(at('acme.db'))).toBe(false);
  });
});

async function filledFolder(name: string, records = RECORDS): Promise<string> {
  const store = await openStore(at(name));
  await store.audit.append(sampleRecords(Array.from({ length: records }, () => ({}))));
  await store[Symbol.asyncDispose]();
  return at(name);
}

function configFor(file: string): string {
  const path = `${file}.yaml`;
  writeFileSync(path, JSON.stringify({ data: `${file}.data`, store: { use: 'sqlite', path: file } }), { mode: 0o600 });
  return path;
}

function startBackup(data: string, file: string): Program {
  return startProgram(bin('towline-relay'), ['store', 'backup', file, '--data', data]);
}

/** Ends it as soon as something of it is in the folder. */
async function endInTheMiddle(program: Program, folder: string, signal: NodeJS.Signals): ReturnType<() => Program['finished']> {
  const watcher = watch(folder);
  await once(watcher, 'change');
  watcher.close();
  program.child.kill(signal);
  return program.finished;
}
