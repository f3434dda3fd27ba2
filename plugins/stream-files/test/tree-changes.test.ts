import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Coverage } from '../src/tree/coverage.ts';
import { createExcludes } from '../src/tree/excludes.ts';
import { markOf } from '../src/watch/tree-mark.ts';
import { TreeWatch } from '../src/watch/watch-tree.ts';
import { makePlaces } from './peer.ts';

const NOTHING = createExcludes([]);
/** A machine under load takes its time. */
const PATIENCE_MS = 20_000;

describe('the mark of a tree', () => {
  it('is the same while nothing changes, and another one after each kind of change', async () => {
    const { inside } = makePlaces();
    mkdirSync(join(inside, 'sub/deep'), { recursive: true });
    const marks = [await markOf(inside, { excludes: NOTHING })];
    const edits = [
      () => writeFileSync(join(inside, 'sub/deep/file'), 'x'),
      () => writeFileSync(join(inside, 'sub/deep/file'), 'xy'),
      () => chmodSync(join(inside, 'sub/deep/file'), 0o600),
      () => renameSync(join(inside, 'sub/deep/file'), join(inside, 'sub/file')),
      () => rmSync(join(inside, 'sub/deep'), { recursive: true }),
      () => rmSync(inside, { recursive: true }),
    ];
    for (const edit of edits) {
      edit();
      const mark = await markOf(inside, { excludes: NOTHING });
      expect(marks).not.toContain(mark);
      expect(await markOf(inside, { excludes: NOTHING })).toBe(mark);
      marks.push(mark);
    }
  });

  it('has nothing of what is excluded', async () => {
    const { inside } = makePlaces();
    mkdirSync(join(inside, 'cache'));
    const excludes = createExcludes(['cache/*', '*.tmp']);
    writeFileSync(join(inside, 'cache/a'), 'x');
    const before = await markOf(join(inside, 'cache'), { excludes: createExcludes(['a', 'b']) });
    writeFileSync(join(inside, 'cache/b'), 'x');
    expect(await markOf(join(inside, 'cache'), { excludes: createExcludes(['a', 'b']) })).toBe(before);
    const whole = await markOf(inside, { excludes });
    writeFileSync(join(inside, 'x.tmp'), 'x');
    expect(await markOf(inside, { excludes })).toBe(whole);
  });
});

const toldOf = (coverage: Coverage) => [...coverage.parts()].map(({ path }) => path);

describe('the watch of a tree', () => {
  async function watchTree(path: string, patterns: readonly string[] = []) {
    const heard = { count: 0, wake: () => {} };
    const watch = new TreeWatch({
      path,
      excludes: createExcludes(patterns),
      onChange: () => {
        heard.count += 1;
        heard.wake();
      },
    });
    return { watch, change: () => new Promise<void>((resolve) => (heard.wake = resolve)) };
  }

  it('hears of files in a folder that was made anew under the number and the name of one that is gone', async () => {
    const { inside } = makePlaces();
    const { watch, change } = await watchTree(inside);
    for (let round = 0; round < 20; round += 1) {
      mkdirSync(join(inside, 'sub/deep'), { recursive: true });
      await watch.refresh(round === 0);
      expect(watch.isComplete).toBe(true);
      const heard = change();
      writeFileSync(join(inside, 'sub/deep/file'), String(round));
      await heard;
      rmSync(join(inside, 'sub'), { recursive: true });
    }
    watch.close();
  });

  it('says that it is not complete while the root is gone, and hears again when it is back', async () => {
    const { inside } = makePlaces();
    const { watch, change } = await watchTree(inside);
    await watch.refresh(true);
    expect(watch.isComplete).toBe(true);
    rmSync(inside, { recursive: true });
    await watch.refresh(false);
    expect(watch.isComplete).toBe(false);
    mkdirSync(inside);
    await watch.refresh(false);
    expect(watch.isComplete).toBe(true);
    const heard = change();
    writeFileSync(join(inside, 'file'), 'x');
    await heard;
    watch.close();
  });

  it('hears of everything that happens while its watches are set anew', async () => {
    const { inside } = makePlaces();
    const folders = Array.from({ length: 150 }, (_, at) => `${at % 5}/${at}`);
    for (const path of folders) mkdirSync(join(inside, path), { recursive: true });
    const { watch } = await watchTree(inside);
    await watch.refresh(true);
    let isOver = false;
    const refreshing = watch.refresh(true).then(() => (isOver = true));
    const edited = new Set<string>();
    for (let edit = 0; !isOver; edit += 1) {
      const path = folders[(edit * 7) % folders.length]!;
      edited.add(path);
      writeFileSync(join(inside, path, 'file'), String(edit));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await refreshing;
    const heard = new Coverage();
    const until = performance.now() + PATIENCE_MS;
    const unheard = () => [...edited].filter((path) => !toldOf(heard).includes(`${path}/file`));
    for (; unheard().length > 0 && performance.now() < until; await pause(5)) heard.add(await watch.follow());
    expect(unheard()).toEqual([]);
    expect(heard.isWhole).toBe(false);
    watch.close();
  });

  it('tells where something happened: folders with new files, trees that are new or replaced, and nothing that is excluded', async () => {
    const { inside } = makePlaces();
    for (const path of ['a/b', 'cache', 'gone/x', 'swap', 'other']) mkdirSync(join(inside, path), { recursive: true });
    const { watch } = await watchTree(inside, ['cache/', '*.tmp']);
    await watch.refresh(true);
    const heard = new Coverage();
    const follow = async (path: string) => {
      const until = performance.now() + PATIENCE_MS;
      for (; !toldOf(heard).includes(path) && performance.now() < until; await pause(5)) heard.add(await watch.follow());
    };
    writeFileSync(join(inside, 'cache/file'), 'x');
    writeFileSync(join(inside, 'other/x.tmp'), 'x');
    rmSync(join(inside, 'gone'), { recursive: true });
    renameSync(join(inside, 'swap'), join(inside, 'away'));
    mkdirSync(join(inside, 'swap/new/deep'), { recursive: true });
    writeFileSync(join(inside, 'a/b/file'), 'x');
    await follow('a/b/file');
    writeFileSync(join(inside, 'swap/new/deep/file'), 'x');
    await pause(0);
    await follow('swap');
    expect(heard.toText()).toEqual({
      names: expect.arrayContaining(['a/b/file', 'gone']),
      folders: [],
      trees: expect.arrayContaining(['away', 'swap']),
    });
    expect(toldOf(heard).filter((path) => /cache|tmp/.test(path))).toEqual([]);
    watch.close();
  });
});
