import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { canLimitWatches, createPlaces, directions, PATIENCE_MS, runsOf, says, settled, startLimited } from './support/followed-trees.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

vi.setConfig({ testTimeout: 240_000 });

/** Folders of a tree, and files in each. */
const FOLDERS = 30;
const FILES = 10;

let system: TestSystem;
let relay: TestRelay;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  await system.enrolDevice(relay);
});
afterAll(() => system[Symbol.asyncDispose]());

const places = createPlaces(() => system.dir);
const watch = (args: readonly string[]) => system.startTowline(relay, ['--json', 'sync', '--watch', ...args]);

/** A tree in which a run over all of it is told from one over some folders. */
function grow(source: string): void {
  for (let at = 0; at < FOLDERS; at += 1) {
    mkdirSync(join(source, `folder-${at}`, 'inner'), { recursive: true });
    for (let file = 0; file < FILES; file += 1) writeFileSync(join(source, `folder-${at}`, 'inner', `file-${file}`), 'x');
  }
}

describe.each(directions)('a run of towline sync --watch, %s', (_direction, words) => {
  it('is about what was heard of', async () => {
    const { source, target } = places();
    grow(source);
    await using program = watch(['--delete', ...words(source, target)]);
    await settled(source, target, 'the first run');
    // Whatever the first run has not seen is told once more.
    const isSmall = () => runsOf(program).some(({ sent, unchanged }) => sent === 1 && unchanged <= 2 * FILES);
    for (let edit = 0; !isSmall() && edit < 20; edit += 1) {
      const before = runsOf(program).length;
      writeFileSync(join(source, 'folder-7', 'inner', 'file-3'), `edit ${edit}`);
      await settled(source, target, 'an edit');
      await eventually(async () => runsOf(program).length > before, 'the end of a run', PATIENCE_MS);
    }
    expect(isSmall()).toBe(true);
  });

  it('brings a folder back that the target has lost, when something in it is edited', async () => {
    const { source, target } = places();
    grow(source);
    await using program = watch(words(source, target));
    await settled(source, target, 'the first run');
    rmSync(join(target, 'folder-3'), { recursive: true });
    writeFileSync(join(source, 'folder-3', 'inner', 'file-3'), 'edited');
    await settled(source, target, 'the folder that was lost');
    expect(program.child.exitCode).toBe(null);
  });

  it('tries again what failed in an earlier one, though nothing was heard of it since', async () => {
    const { source, target } = places();
    grow(source);
    mkdirSync(join(target, 'folder-1', 'inner', 'file-1'), { recursive: true });
    writeFileSync(join(target, 'folder-1', 'inner', 'file-1', 'in-the-way'), 'x');
    await using program = watch(words(source, target));
    await says(program, /in-the-way|is in the way/, 'the failure');
    await eventually(async () => runsOf(program).length > 0, 'the first run');
    rmSync(join(target, 'folder-1', 'inner', 'file-1'), { recursive: true });
    writeFileSync(join(source, 'folder-9', 'inner', 'other'), 'x');
    await settled(source, target, 'what failed before');
  });

  it('deletes what it kept because something failed, when that is mended', async () => {
    const { source, target } = places();
    grow(source);
    const inTheWay = join(target, 'folder-1', 'inner', 'file-1');
    mkdirSync(inTheWay, { recursive: true });
    writeFileSync(join(inTheWay, 'x.kept'), 'x');
    mkdirSync(join(target, 'folder-2'));
    writeFileSync(join(target, 'folder-2', 'extra'), 'x');
    await using program = watch(['--delete', '--exclude', '*.kept', ...words(source, target)]);
    await says(program, /was not deleted: not everything could be read and written/, 'the note');
    renameSync(join(source, 'folder-4', 'inner', 'file-4'), join(source, 'folder-5', 'inner', 'moved'));
    await eventually(async () => existsSync(join(target, 'folder-5', 'inner', 'moved')), 'a file that was moved', PATIENCE_MS);
    await eventually(async () => runsOf(program).at(-1)!.failed > 0 && runsOf(program).length > 1, 'a run after it', PATIENCE_MS);
    expect(existsSync(join(target, 'folder-4', 'inner', 'file-4'))).toBe(true);
    expect(existsSync(join(target, 'folder-2', 'extra'))).toBe(true);
    rmSync(inTheWay, { recursive: true });
    writeFileSync(join(source, 'folder-9', 'inner', 'other'), 'x');
    await settled(source, target, 'everything');
  });
});

describe('towline sync --watch', () => {
  it('finds what it did not hear of, because more happened at once than the system remembers', async () => {
    const { source, target } = places();
    grow(source);
    await using program = watch(['--delete', source, `pi:${target}`]);
    await settled(source, target, 'the first run');
    const remembered = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'));
    program.child.kill('SIGSTOP');
    // Equal events one after the other are one.
    for (let event = 0; event <= remembered; event += 1) chmodSync(join(source, 'folder-0', 'inner', `file-${event % 2}`), 0o600);
    writeFileSync(join(source, 'folder-8', 'inner', 'unheard'), 'x');
    rmSync(join(source, 'folder-9'), { recursive: true });
    program.child.kill('SIGCONT');
    await settled(source, target, 'what was not heard of');
  });

  it.runIf(canLimitWatches)(
    'comes to the same tree where much is found by looks while other changes are heard of all the while',
    async () => {
      const { source, target } = places();
      grow(source);
      await using program = startLimited(system, relay, ['--delete', source, `pi:${target}`]);
      await settled(source, target, 'the first run');
      for (let edit = 0; edit < 60; edit += 1) {
        // The root is watched, and hardly any other folder.
        writeFileSync(join(source, 'heard'), String(edit));
        for (let file = 0; file < FOLDERS; file += 1) writeFileSync(join(source, `folder-${file}`, 'inner', `found-${edit}`), 'x');
        if (edit % 5 === 0) rmSync(join(source, `folder-${edit % FOLDERS}`, 'inner', `found-${edit}`));
        await new Promise((later) => setTimeout(later, 50));
      }
      await settled(source, target, 'everything');
      expect(runsOf(program).length).toBeGreaterThan(1);
    },
  );
});
