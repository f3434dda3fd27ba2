import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';
import { createDice, describeTree, differencesOf, editTree, growTree } from './support/trees.ts';

/** Each case runs several programs, which a machine under load takes its time for. */
vi.setConfig({ testTimeout: 120_000 });

let system: TestSystem;
let relay: TestRelay;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  await system.enrolDevice(relay);
});
afterAll(() => system[Symbol.asyncDispose]());

let count = 0;
/** Two folders, the first with something in it. */
function places(): { source: string; target: string } {
  count += 1;
  const source = join(system.dir, `source-${count}`);
  mkdirSync(join(source, 'sub', 'empty'), { recursive: true });
  writeFileSync(join(source, 'one'), 'first');
  writeFileSync(join(source, 'sub', 'two'), 'second');
  symlinkSync('one', join(source, 'link'));
  return { source, target: join(system.dir, `target-${count}`) };
}

const directions = [
  ['to the device', (source: string, target: string) => [source, `pi:${target}`]],
  ['from the device', (source: string, target: string) => [`pi:${source}`, target]],
] as const;
const sync = (args: readonly string[]) => system.towline(relay, ['sync', ...args]);

/** Runs a sync whose summary is read. */
async function syncJson(args: readonly string[]) {
  const { code, stdout, stderr } = await system.towline(relay, ['--json', 'sync', ...args]);
  const events = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { code, stderr, events, summary: events.at(-1)! };
}

describe.each(directions)('towline sync, %s', (_direction, words) => {
  it('makes any tree like any other while the source is edited: kinds, modes, times, content, names in any bytes', async () => {
    const dice = createDice(_direction.length);
    const { source, target } = places();
    growTree(source, dice, 30);
    growTree(target, dice, 15);
    for (let run = 0; run < 4; run += 1) {
      const { code, stderr } = await sync([...words(source, target), '--delete']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('sent') });
      expect(differencesOf(source, target)).toEqual([]);
      for (let edit = 0; edit < 8; edit += 1) editTree(source, dice);
    }
  });

  it('sends what changed and nothing else, and says how much', async () => {
    const { source, target } = places();
    expect((await syncJson(words(source, target))).summary).toMatchObject({
      event: 'summary',
      sent: 3,
      deleted: 0,
      unchanged: 0,
      failed: 0,
      bytes: 11,
    });
    writeFileSync(join(source, 'one'), 'other');
    chmodSync(join(source, 'sub', 'two'), 0o600);
    const { summary, events } = await syncJson(words(source, target));
    expect(summary).toMatchObject({ sent: 1, changed: 1, unchanged: 1, bytes: 5 });
    expect(events).toContainEqual({ event: 'file', path: 'one', kind: 'file', bytes: 5, status: 'done', change: 'content' });
    expect(events).toContainEqual({ event: 'file', path: 'sub/two', kind: 'file', bytes: 0, status: 'done', change: 'attributes' });
    expect(differencesOf(source, target)).toEqual([]);
  });

  it('sees with --checksum what size and time hide', async () => {
    const { source, target } = places();
    await sync(words(source, target));
    const { mtime } = lstatSync(join(source, 'one'));
    writeFileSync(join(source, 'one'), 'FIRST');
    utimesSync(join(source, 'one'), mtime, lstatSync(join(target, 'one')).mtime);
    utimesSync(join(target, 'one'), mtime, lstatSync(join(source, 'one')).mtime);
    expect((await syncJson(words(source, target))).summary).toMatchObject({ sent: 0 });
    expect((await syncJson([...words(source, target), '--checksum'])).summary).toMatchObject({ sent: 1, bytes: 5 });
    expect(readFileSync(join(target, 'one'), 'utf8')).toBe('FIRST');
  });

  it('keeps what the source lacks, and deletes it with --delete, through no link', async () => {
    const { source, target } = places();
    const outside = join(system.dir, `outside-${count}`);
    mkdirSync(join(outside, 'deep'), { recursive: true });
    writeFileSync(join(outside, 'deep', 'precious'), 'mine');
    await sync(words(source, target));
    mkdirSync(join(target, 'extra', 'inside'), { recursive: true });
    symlinkSync(outside, join(target, 'extra', 'inside', 'way-out'));
    symlinkSync(outside, join(target, 'way-out'));
    writeFileSync(join(target, 'extra', 'file'), 'x');
    expect((await syncJson(words(source, target))).summary).toMatchObject({ deleted: 0 });
    expect(readdirSync(target).sort()).toEqual(['extra', 'link', 'one', 'sub', 'way-out']);
    expect((await syncJson([...words(source, target), '--delete'])).summary).toMatchObject({ deleted: 5, failed: 0 });
    expect(differencesOf(source, target)).toEqual([]);
    expect(readFileSync(join(outside, 'deep', 'precious'), 'utf8')).toBe('mine');
  });

  it('replaces a link that leads outside where the source has a folder of that name', async () => {
    const { source, target } = places();
    const outside = join(system.dir, `outside-${count}`);
    mkdirSync(outside);
    writeFileSync(join(outside, 'two'), 'mine');
    mkdirSync(target);
    symlinkSync(outside, join(target, 'sub'));
    expect((await sync([...words(source, target), '--delete'])).code).toBe(0);
    expect(differencesOf(source, target)).toEqual([]);
    expect(readdirSync(outside)).toEqual(['two']);
    expect(readFileSync(join(outside, 'two'), 'utf8')).toBe('mine');
  });

  it('lets a full folder give way to a file with --delete only', async () => {
    const { source, target } = places();
    mkdirSync(join(target, 'one'), { recursive: true });
    writeFileSync(join(target, 'one', 'kept'), 'x');
    const refused = await sync(words(source, target));
    expect({ code: refused.code, stderr: refused.stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('with --delete it is replaced'),
    });
    expect(readdirSync(join(target, 'one'))).toEqual(['kept']);
    expect(readFileSync(join(target, 'sub', 'two'), 'utf8')).toBe('second');
    expect((await sync([...words(source, target), '--delete'])).code).toBe(0);
    expect(differencesOf(source, target)).toEqual([]);
  });

  it('sends nothing that is excluded and deletes nothing that is', async () => {
    const { source, target } = places();
    const files = ['app.log', 'keep.log', 'sub/app.log', 'build/out', 'sub/build/out', 'Build'];
    for (const file of files) {
      mkdirSync(join(source, file, '..'), { recursive: true });
      writeFileSync(join(source, file), file);
    }
    mkdirSync(join(target, 'gone', 'build'), { recursive: true });
    writeFileSync(join(target, 'gone', 'build', 'cache'), 'x');
    writeFileSync(join(target, 'gone', 'other'), 'x');
    writeFileSync(join(target, 'old.log'), 'x');
    const list = join(system.dir, `patterns-${count}`);
    writeFileSync(list, '# what is made\n*.log\n\nbuild/\n');
    const { code } = await sync([
      ...words(source, target),
      '--delete',
      '--exclude-from',
      list,
      '--exclude',
      '!keep.log',
      '--exclude=/sub/two',
    ]);
    expect(code).toBe(0);
    expect(describeTree(target).map(({ line }) => line.split(' ')[2])).toEqual(
      ['Build', 'gone', 'gone/build', 'gone/build/cache', 'keep.log', 'link', 'old.log', 'one', 'sub', 'sub/empty'].map((path) =>
        path === 'link' ? '->' : path,
      ),
    );
  });

  it('prints in a dry run what it would do, and touches nothing on either side', async () => {
    const { source, target } = places();
    const nothing = await sync([...words(source, target), '--dry-run', '--delete']);
    expect({ code: nothing.code, lines: nothing.stdout.split('\n').sort() }).toEqual({
      code: 0,
      lines: ['', 'new    ./', 'new    link', 'new    one', 'new    sub/', 'new    sub/empty/', 'new    sub/two'],
    });
    expect(() => lstatSync(target)).toThrow('ENOENT');
    await sync(words(source, target));
    writeFileSync(join(source, 'one'), 'longer than before');
    chmodSync(join(source, 'sub'), 0o700);
    mkdirSync(join(target, 'extra'));
    writeFileSync(join(target, 'extra', 'file'), 'x');
    const before = [everythingOf(source), everythingOf(target)];
    const { stdout, stderr } = await sync([...words(source, target), '--dry-run', '--delete']);
    expect(stdout.split('\n').sort()).toEqual(['', 'delete extra/', 'delete extra/file', 'mode   sub/', 'update one']);
    expect(stderr).toContain('dry run, nothing was done');
    expect([everythingOf(source), everythingOf(target)]).toEqual(before);
  });

  it('says what is wrong with a source that is missing or no folder, and deletes nothing', async () => {
    const { source, target } = places();
    await sync(words(source, target));
    const before = everythingOf(target);
    const missing = await sync([...words(join(source, 'nowhere'), target), '--delete']);
    expect({ code: missing.code, stderr: missing.stderr }).toEqual({
      code: 4,
      stderr: expect.stringContaining('there is no such file or folder'),
    });
    const file = await sync([...words(join(source, 'one'), target), '--delete']);
    expect({ code: file.code, stderr: file.stderr }).toEqual({ code: 1, stderr: expect.stringContaining('it is not a folder') });
    const onto = await sync([...words(source, join(target, 'one')), '--delete']);
    expect({ code: onto.code, stderr: onto.stderr }).toEqual({ code: 1, stderr: expect.stringContaining('it is not a folder') });
    expect(everythingOf(target)).toEqual(before);
  });
});

/** A tree with every time that the system keeps of it, but for reading. */
function everythingOf(root: string): unknown {
  const { mtimeMs, ctimeMs } = lstatSync(root);
  return { mtimeMs, ctimeMs, tree: describeTree(root) };
}
