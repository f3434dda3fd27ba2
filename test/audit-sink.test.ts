import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { AuditRecord } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyChain } from '../core/kernel/src/audit/chain.ts';
import { mountSmallDisk, type SmallDisk } from './support/full-disk.ts';
import { runRelay, startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

const system: TestSystem = createSystem();
/** Holds the sink without which nothing may happen. */
const required: SmallDisk | null = await mountSmallDisk(join(system.dir, 'required'));
/** Holds one that may fail. */
const optional: SmallDisk | null = await mountSmallDisk(join(system.dir, 'optional'));
const mayMount = required !== null && optional !== null;
let relay: TestRelay;
beforeAll(async () => {
  if (!mayMount) return;
  const config = join(system.dir, 'towline.yaml');
  const sinks = '[{ use: file, path: required/audit.jsonl }, { use: file, path: optional/audit.jsonl, required: false }]';
  writeFileSync(config, `audit: { sinks: ${sinks} }\n`);
  relay = await startRelayOn(join(system.dir, 'relay'), { config });
  await system.enrolDevice(relay);
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await required?.[Symbol.asyncDispose]();
  await optional?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const recordsIn = ({ dir }: SmallDisk) =>
  readFileSync(join(dir, 'audit.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as AuditRecord);
const marker = (name: string) => join(system.dir, name);
const touch = (name: string) => system.towline(relay, ['pi', 'exec', '--json', '--', 'touch', marker(name)]);

/** The sink's records once they are those of the store; the journal of the device may bring one more at any moment. */
function sameTrail(disk: SmallDisk): ReturnType<typeof recordsIn> | null {
  const records = recordsIn(disk);
  return isDeepStrictEqual(records, storedTrail(relay.dir)) ? records : null;
}

/** The last page of a file has room for a few records after its disk is full. */
const firstRefused = (name: string) => eventually(async () => (await touch(name)).code !== 0, 'sessions are refused');

async function expectRefused(name: string): Promise<void> {
  const { code, stdout, stderr } = await touch(name);
  expect({ code, stdout }).toEqual({ code: 255, stdout: '' });
  expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'unavailable', hint: expect.stringContaining('without a record') } });
  expect(existsSync(marker(name))).toBe(false);
}

async function expectDone(name: string): Promise<void> {
  expect(await touch(name)).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(marker(name))).toBe(true);
}

describe.skipIf(!mayMount)('a required sink whose disk is full', () => {
  it('lets no session begin, says so to the user and in the log, and leaves no session open in the books', async () => {
    const live = system.startTowline(relay, ['pi', 'exec', '-i', '--', 'sh', '-c', 'echo begun; cat'], { stdin: 'pipe' });
    await live.saw(/begun/);
    required!.fill();
    await firstRefused('last');
    await expectRefused('refused');
    expect(relay.program.stderr).toMatch(/"level":50.*Required audit sink \\"file\\" fails/);
    expect(relay.program.stderr).toContain('ENOSPC');
    // What lives goes on, and its end is not lost.
    live.child.stdin!.end('still here\n');
    expect(await live.finished).toMatchObject({ code: 0, stdout: 'begun\nstill here\n' });
    const { stdout } = await system.towline(relay, ['pi', 'sessions', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ items: [] });
    const undelivered = storedTrail(relay.dir).filter(({ action }) => action === 'audit.undelivered');
    expect(undelivered[0]).toMatchObject({
      outcome: 'failed',
      reason: 'unavailable',
      detail: { sink: 'file', error: expect.stringContaining('ENOSPC') },
    });
  });

  it('lets other work go on: reading, and what happens anyway', async () => {
    expect((await system.towline(relay, ['devices', 'list'])).code).toBe(0);
    expect((await system.rescue(relay, ['keys', 'create', '--email', 'meanwhile@example.com'])).code).toBe(0);
  });

  it('serves again when there is room, and then has everything that it missed', async () => {
    required!.clear();
    await expectDone('after');
    const records = await eventually(async () => sameTrail(required!), 'the sink has what the store has');
    expect(await verifyChain(records)).toMatchObject({ ok: true });
    expect(relay.program.stderr).toContain('works again and has what it missed');
    expect(records.map(({ detail }) => JSON.stringify(detail)).join()).toContain(marker('refused'));
  });

  it('does the same when its disk cannot be written', async () => {
    required!.fill();
    await firstRefused('last before read-only');
    // The sink has let go of its file.
    required!.clear();
    await required!.writable(false);
    await expectRefused('read-only');
    const undelivered = storedTrail(relay.dir).filter(({ action }) => action === 'audit.undelivered');
    expect(undelivered.at(-1)!.detail).toMatchObject({ sink: 'file', error: expect.stringContaining('EROFS') });
    await required!.writable(true);
    await expectDone('writable');
    await eventually(async () => recordsIn(required!).length === storedTrail(relay.dir).length, 'the sink has what the store has');
    expect(await verifyChain(recordsIn(required!))).toMatchObject({ ok: true });
  });
});

describe.skipIf(!mayMount)('a sink that is not required and whose disk is full', () => {
  it('holds nothing up, and has everything that it missed when there is room', async () => {
    optional!.fill();
    for (let turn = 0; turn < 6; turn += 1) await expectDone(`without the optional one ${turn}`);
    expect(recordsIn(optional!).length).toBeLessThan(storedTrail(relay.dir).length);
    optional!.clear();
    await eventually(async () => recordsIn(optional!).length === storedTrail(relay.dir).length, 'the sink has what the store has');
    expect(await verifyChain(recordsIn(optional!))).toMatchObject({ ok: true });
  });
});

describe('a required sink that cannot be opened', () => {
  it('keeps the relay from starting, which names the file', async () => {
    const dir = join(system.dir, 'unopened');
    mkdirSync(join(dir, 'audit.jsonl'), { recursive: true });
    writeFileSync(join(dir, 'towline.yaml'), 'audit:\n  sinks:\n    - { use: file, path: audit.jsonl }\n');
    const { code, stdout, stderr } = await runRelay([
      'start',
      '--config',
      join(dir, 'towline.yaml'),
      '--data',
      join(dir, 'data'),
      '--port',
      '0',
    ]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${join(dir, 'towline.yaml')}:3: The audit plugin "file"`);
    expect(stderr).toContain(`The audit file ${join(dir, 'audit.jsonl')} cannot be opened: it is not a plain file.`);
  });
});
