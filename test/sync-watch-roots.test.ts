import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createPlaces, directions, PATIENCE_MS, says, settled } from './support/followed-trees.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

vi.setConfig({ testTimeout: 240_000 });

const OTHER = /not the folder that the watch began with: that one was unmounted, replaced or removed. Nothing was deleted/;

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

/** Whether this process may mount something. */
function mount(folder: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder]).status === 0;
}
const unmount = (folder: string) => spawnSync('umount', ['-l', folder]).status === 0;
const canMount = (() => {
  const dir = mkdtempSync(join(tmpdir(), 'towline-mount-'));
  const isMounted = mount(dir) && unmount(dir);
  rmSync(dir, { recursive: true, force: true });
  return isMounted;
})();

describe.each(directions)('towline sync --watch --delete, %s', (_direction, words) => {
  it('deletes nothing when another folder stands where the source was, and goes on when that is back', async () => {
    const { source, target } = places();
    await using program = watch(['--delete', ...words(source, target)]);
    await settled(source, target, 'the first run');
    renameSync(source, `${source}-away`);
    mkdirSync(source);
    writeFileSync(join(source, 'foreign'), 'x');
    await says(program, OTHER, 'the error');
    expect(program.stdout).toContain(words(source, target)[0]);
    expect(readFileSync(join(target, 'sub', 'one'), 'utf8')).toBe('first');
    expect(existsSync(join(target, 'foreign'))).toBe(false);
    rmSync(source, { recursive: true });
    renameSync(`${source}-away`, source);
    writeFileSync(join(source, 'sub', 'one'), 'second');
    await settled(source, target, 'the source that is back');
    expect(program.child.exitCode).toBe(null);
  });

  it('deletes nothing in another folder that stands where the target was, and writes nothing there', async () => {
    const { source, target } = places();
    await using program = watch(['--delete', ...words(source, target)]);
    await settled(source, target, 'the first run');
    renameSync(target, `${target}-away`);
    mkdirSync(target);
    writeFileSync(join(target, 'foreign'), 'x');
    writeFileSync(join(source, 'sub', 'one'), 'second');
    await says(program, OTHER, 'the error');
    expect(program.stdout).toContain(words(source, target)[1]);
    expect(readFileSync(join(target, 'foreign'), 'utf8')).toBe('x');
    expect(existsSync(join(target, 'sub'))).toBe(false);
    rmSync(target, { recursive: true });
    renameSync(`${target}-away`, target);
    await settled(source, target, 'the target that is back');
  });

  it.runIf(canMount)('deletes nothing when the disk of the source is unmounted, and goes on when it is mounted again', async () => {
    const { source, target } = places();
    const place = join(source, 'mounted');
    mkdirSync(place);
    expect(mount(place)).toBe(true);
    // Held elsewhere, so that the same disk comes back.
    const held = `${source}-held`;
    mkdirSync(held);
    expect(spawnSync('mount', ['--bind', place, held]).status).toBe(0);
    try {
      writeFileSync(join(place, 'file'), 'x');
      await using program = watch(['--delete', ...words(place, target)]);
      await settled(place, target, 'the first run');
      expect(unmount(place)).toBe(true);
      // The same disk, by its other place: a change that is heard of.
      writeFileSync(join(held, 'file'), 'x2');
      await says(program, OTHER, 'the error');
      expect(readFileSync(join(target, 'file'), 'utf8')).toBe('x');
      expect(spawnSync('mount', ['--bind', held, place]).status).toBe(0);
      writeFileSync(join(place, 'file'), 'x34');
      await settled(place, target, 'the disk that is mounted again');
    } finally {
      unmount(place);
      unmount(held);
    }
  });
});

describe.each(directions)('towline sync --watch --delete, %s, whose source is made anew', (_direction, words) => {
  it('deletes nothing, though the new folder may have the number of the old one', async () => {
    const { source, target } = places();
    await using program = watch(['--delete', ...words(source, target)]);
    await settled(source, target, 'the first run');
    program.child.kill('SIGSTOP');
    rmSync(source, { recursive: true });
    mkdirSync(source);
    program.child.kill('SIGCONT');
    await says(program, OTHER, 'the error');
    expect(readFileSync(join(target, 'sub', 'one'), 'utf8')).toBe('first');
  });
});

describe.each(directions)('towline sync --watch --delete, %s, whose target is removed', (_direction, words) => {
  it('does not make it anew, and goes on when it is back', async () => {
    const { source, target } = places();
    await using program = watch(['--delete', ...words(source, target)]);
    await settled(source, target, 'the first run');
    renameSync(target, `${target}-away`);
    writeFileSync(join(source, 'sub', 'one'), 'second');
    await says(program, OTHER, 'the error');
    expect(existsSync(target)).toBe(false);
    renameSync(`${target}-away`, target);
    await settled(source, target, 'the target that is back');
  });
});

describe.each(directions)('towline sync --watch without --delete, %s', (_direction, words) => {
  it('takes another folder that stands where the source was', async () => {
    const { source, target } = places();
    await using program = watch(words(source, target));
    await settled(source, target, 'the first run');
    renameSync(source, `${source}-away`);
    mkdirSync(source);
    writeFileSync(join(source, 'foreign'), 'x');
    await eventually(async () => existsSync(join(target, 'foreign')), 'a file of the other folder', PATIENCE_MS);
    expect(readFileSync(join(target, 'sub', 'one'), 'utf8')).toBe('first');
    expect(program.stdout).not.toMatch(OTHER);
  });

  it('fills the target anew, all of it, when that was removed', async () => {
    const { source, target } = places();
    await using program = watch(words(source, target));
    await settled(source, target, 'the first run');
    rmSync(target, { recursive: true });
    mkdirSync(join(source, 'other'));
    writeFileSync(join(source, 'other', 'file'), 'x');
    await settled(source, target, 'the target that was removed');
    expect(program.stdout).not.toMatch(OTHER);
  });
});
