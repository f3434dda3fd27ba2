import { describe, expect, it } from 'vitest';
import { MAX_COVERED_FOLDERS } from '../src/limits.ts';
import { Coverage, coveredIn } from '../src/tree/coverage.ts';

const bytes = (path: string) => Buffer.from(path, 'latin1');
function coverageOf(folders: readonly string[], trees: readonly string[] = [], names: readonly string[] = []): Coverage {
  return Coverage.of({ names: names.map(bytes), folders: folders.map(bytes), trees: trees.map(bytes) });
}

describe('parts of a tree', () => {
  it('are folders with their names, and trees with all that is below', () => {
    const coverage = coverageOf(['a', ''], ['b/c']);
    expect(['', 'a', 'b/c', 'b/c/d/e'].map((path) => coverage.has(bytes(path)))).toEqual([true, true, true, true]);
    expect(['b', 'a/x', 'c', 'b/cc'].map((path) => coverage.has(bytes(path)))).toEqual([false, false, false, false]);
    expect(coveredIn(coverage.root, bytes('a'))).toMatchObject({ isWhole: true, isTree: false });
    expect(coveredIn(coverage.root, bytes('x'))).toMatchObject({ isWhole: false, isTree: false });
  });

  it('are told and read again as they were, names in any bytes', () => {
    const coverage = coverageOf(['a\xff/\x01'], ['ü']);
    expect(coverage.toText()).toEqual({ names: [], folders: ['a\xff/\x01'], trees: ['ü'] });
    expect(coverageOf(['a/b', 'a'], ['a'], ['a', 'a/c']).toText()).toEqual({ names: [], folders: [], trees: ['a'] });
    expect(coverageOf(['a'], [], ['a/b', 'b', 'b/c']).toText()).toEqual({ names: ['a/b', 'b', 'b/c'], folders: ['a'], trees: [] });
  });

  it('are none, some or all', () => {
    expect(new Coverage().isEmpty).toBe(true);
    expect(coverageOf(['x']).isEmpty).toBe(false);
    expect(Coverage.whole().isWhole).toBe(true);
    expect(Coverage.whole().toText()).toBeNull();
    const both = coverageOf(['x']);
    both.add(coverageOf(['y']));
    expect(both.toText()).toEqual({ names: [], folders: ['x', 'y'], trees: [] });
    both.add(Coverage.whole());
    expect(both.isWhole).toBe(true);
  });

  it('become the whole tree when they are too many to be held, and are not told when they are too long for a frame', () => {
    const coverage = new Coverage();
    for (let at = 0; at < MAX_COVERED_FOLDERS; at += 1) coverage.addFolder(bytes(`folder-${at}`));
    for (let again = 0; again < 10; again += 1) coverage.addFolder(bytes('folder-1'));
    expect(coverage.isWhole).toBe(false);
    expect(coverage.toText()).toBeNull();
    coverage.addFolder(bytes('one-more'));
    expect(coverage.isWhole).toBe(true);
  });

  it('are told as folders where single names are too long for a frame', () => {
    const coverage = new Coverage();
    for (let at = 0; at < 1_000; at += 1) coverage.addName(bytes(`folder/a-name-that-is-rather-long-${at}`));
    expect(coverage.toText()).toEqual({ names: [], folders: ['folder'], trees: [] });
  });

  it('are not told by paths that a peer refuses: a tree may be deeper than a path is long', () => {
    const deep = Array.from({ length: 17 }, () => 'x'.repeat(250)).join('/');
    const [folders, names] = [new Coverage(), new Coverage()];
    folders.addFolder(bytes(deep));
    expect(folders.toText()).toBeNull();
    names.addName(bytes(`${deep.slice(0, 4_000)}/${'y'.repeat(200)}`));
    expect(names.toText()).toEqual({ names: [], folders: [deep.slice(0, 4_000)], trees: [] });
  });

  it('become the whole tree by folders on the way, too: what a peer names takes a bounded amount of memory', () => {
    const coverage = new Coverage();
    for (let at = 0; at < MAX_COVERED_FOLDERS / 100; at += 1) coverage.add(coverageOf([`${at}/${'x/'.repeat(150)}x`]));
    expect(coverage.isWhole).toBe(true);
  });

  const BAD = ['..', '.', 'a/..', '../a', '/etc', 'a//b', 'a/', 'a\0', 'x'.repeat(256), 'a/'.repeat(300).concat('a'), '.towline-part-s00'];
  it.each(BAD)('of a peer cannot be %j', (path) => {
    expect(() => coverageOf([path])).toThrow(/cannot be one of the tree/);
    expect(() => coverageOf([], [path])).toThrow(/cannot be one of the tree/);
    expect(() => coverageOf([], [], [path])).toThrow(/cannot be one of the tree/);
  });

  it.each(BAD)('are the whole tree when somebody finds %j in them', (path) => {
    const [folders, trees] = [new Coverage(), new Coverage()];
    folders.addFolder(bytes(path));
    trees.addTree(bytes(path));
    expect([folders.isWhole, trees.isWhole]).toEqual([true, true]);
  });
});
