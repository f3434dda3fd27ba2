import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { canLimitWatches, createPlaces, directions, runsOf, says, settled, startLimited } from './support/followed-trees.ts';
import type { Program } from './support/process.ts';
import { endRelay, restartRelay, startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';
import { createDice, editTree, growTree } from './support/trees.ts';

vi.setConfig({ testTimeout: 240_000 });

let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  device = await system.enrolDevice(relay);
});
afterAll(() => system[Symbol.asyncDispose]());

const places = createPlaces(() => system.dir);
const watch = (args: readonly string[]) => system.startTowline(relay, ['--json', 'sync', '--watch', '--delete', ...args]);

const runs = (program: Program) => runsOf(program).length;

describe.each(directions)('towline sync --watch, %s', (_direction, words) => {
  it('follows edits: new folders and what is in them, renames, editors that write beside, links, what is deleted', async () => {
    const { source, target } = places();
    await using program = watch(words(source, target));
    await settled(source, target, 'the first run');
    writeFileSync(join(source, 'sub', 'one'), 'second');
    await settled(source, target, 'an edit');
    mkdirSync(join(source, 'new', 'deep', 'er'), { recursive: true });
    writeFileSync(join(source, 'new', 'deep', 'er', 'file'), 'x');
    await settled(source, target, 'new folders');
    writeFileSync(join(source, 'new', 'deep', 'er', 'later'), 'y');
    await settled(source, target, 'a file in a new folder');
    renameSync(join(source, 'new'), join(source, 'renamed'));
    await settled(source, target, 'a renamed folder');
    writeFileSync(join(source, 'renamed', 'deep', 'er', 'file'), 'longer');
    await settled(source, target, 'a file in a renamed folder');
    writeFileSync(join(source, '.one.swp'), 'third');
    renameSync(join(source, '.one.swp'), join(source, 'sub', 'one'));
    await settled(source, target, 'a file written beside and renamed');
    symlinkSync('sub/one', join(source, 'link'));
    rmSync(join(source, 'renamed'), { recursive: true });
    writeFileSync(join(source, 'renamed'), 'a file now');
    await settled(source, target, 'a folder that became a file');
    rmSync(join(source, 'sub'), { recursive: true });
    mkdirSync(join(source, 'sub'));
    writeFileSync(join(source, 'sub', 'again'), 'z');
    await settled(source, target, 'a folder that was made anew');
    writeFileSync(join(source, 'sub', 'again'), 'zz');
    await settled(source, target, 'a file in a folder that was made anew');
    program.child.kill('SIGINT');
    const { code, stdout } = await program.finished;
    expect(code).toBe(130);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ event: 'summary', failed: 0 });
  });

  it('comes to the same tree after many edits at once, and runs once for many of them', async () => {
    const { source, target } = places();
    const dice = createDice(7);
    await using program = watch(words(source, target));
    await settled(source, target, 'the first run');
    const before = runs(program);
    for (let file = 0; file < 300; file += 1) {
      writeFileSync(join(source, `file-${file}`), String(file));
      // Renamed onto each other below: two of one size and one tick of the clock would be the same.
      utimesSync(join(source, `file-${file}`), file, file);
    }
    await settled(source, target, 'many files');
    expect(runs(program) - before).toBeLessThan(100);
    growTree(source, dice, 30);
    await settled(source, target, 'random edits');
    for (let edit = 0; edit < 20; edit += 1) {
      editTree(source, dice);
      await new Promise((later) => setTimeout(later, 10));
    }
    await settled(source, target, 'random edits one after the other');
  });

  it('runs for no change of what is excluded', async () => {
    const { source, target } = places();
    mkdirSync(join(source, 'cache'));
    await using program = watch([...words(source, target), '--exclude', 'cache/', '--exclude', '*.tmp']);
    await eventually(async () => runs(program) > 0, 'the first run');
    // What was written before the watch was set is told once more, perhaps.
    writeFileSync(join(source, 'mark'), 'x');
    await eventually(async () => program.stdout.includes('"path":"mark"'), 'a change');
    const before = runs(program);
    for (let at = 0; at < 20; at += 1) {
      writeFileSync(join(source, 'cache', `file-${at}`), 'x');
      writeFileSync(join(source, `${at}.tmp`), 'x');
    }
    writeFileSync(join(source, 'last'), 'x');
    await eventually(async () => program.stdout.includes('"path":"last"'), 'the change after');
    expect(program.stdout).not.toMatch(/cache|\.tmp/);
    expect(runs(program) - before).toBeLessThan(4);
  });

  it('deletes nothing when the source is gone, says so once, and goes on when it is back', async () => {
    const { source, target } = places();
    await using program = watch(words(source, target));
    await settled(source, target, 'the first run');
    renameSync(source, `${source}-away`);
    await says(program, /no such file or folder/, 'the note');
    expect(readFileSync(join(target, 'sub', 'one'), 'utf8')).toBe('first');
    writeFileSync(join(`${source}-away`, 'fresh'), 'x');
    renameSync(`${source}-away`, source);
    await settled(source, target, 'the source that is back');
    writeFileSync(join(source, 'fresh'), 'xx');
    await settled(source, target, 'an edit of the source that is back');
    expect(program.stdout.match(/no such file or folder/g)!.length).toBeLessThan(3);
  });

  it('goes on when the device is back, with what changed meanwhile', async () => {
    const { source, target } = places();
    await using program = watch(words(source, target));
    await settled(source, target, 'the first run');
    device.program.child.kill('SIGKILL');
    await device.program.finished;
    writeFileSync(join(source, 'sub', 'one'), 'while it was away');
    device = system.startDevice(relay);
    await device.event('online');
    await settled(source, target, 'the device that is back');
    writeFileSync(join(source, 'sub', 'one'), 'and after');
    await settled(source, target, 'an edit after it');
    expect(program.child.exitCode).toBe(null);
  });
});

describe('towline sync --watch', () => {
  it('goes on over a relay that was away', async () => {
    await using own = await startRelayOn(join(system.dir, 'own-relay'));
    await using _device = await system.enrolDevice(own, { name: 'far' });
    const { source, target } = places();
    await using program = system.startTowline(own, ['--json', 'sync', '--watch', source, `far:${target}`]);
    await settled(source, target, 'the first run');
    await endRelay(own, 'SIGKILL');
    writeFileSync(join(source, 'sub', 'one'), 'while it was away');
    await using _again = await restartRelay(own);
    await settled(source, target, 'the relay that is back');
    expect(program.child.exitCode).toBe(null);
  });

  it.runIf(canLimitWatches)('looks at the tree every few seconds where the system has too few watches, and says so once', async () => {
    const { source, target } = places();
    for (let at = 0; at < 5; at += 1) mkdirSync(join(source, `folder-${at}`));
    await using program = startLimited(system, relay, [source, `pi:${target}`]);
    await settled(source, target, 'the first run');
    for (let at = 0; at < 5; at += 1) writeFileSync(join(source, `folder-${at}`, 'file'), 'x');
    await settled(source, target, 'files in folders that are not watched');
    writeFileSync(join(source, 'folder-4', 'file'), 'longer');
    await settled(source, target, 'a file in a folder that is not watched');
    expect(program.stdout.match(/Not every folder can be watched/g)).toHaveLength(1);
  });

  it('is refused at once where the device is not there', async () => {
    const { source, target } = places();
    const { code } = await system.towline(relay, ['sync', '--watch', source, `nobody:${target}`]);
    expect(code).toBe(4);
  });
});
