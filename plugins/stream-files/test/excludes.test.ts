import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createDice } from '../../../test/support/trees.ts';
import { createExcludes } from '../src/tree/excludes.ts';

const dir = mkdtempSync(join(tmpdir(), 'towline-excludes-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const env = { ...process.env, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_DIR: join(dir, '.git'), GIT_WORK_TREE: dir };
const hasGit = spawnSync('git', ['init', '-q', dir], { env: { ...env, GIT_DIR: undefined, GIT_WORK_TREE: undefined } }).status === 0;

/** Paths of a tree, folders with a slash at the end; each is there, so that git knows its kind. */
const PATHS = [
  'a',
  'A',
  'b.log',
  'B.LOG',
  'keep.log',
  'dir/',
  'dir/a',
  'dir/b.log',
  'dir/keep.log',
  'dir/sub/',
  'dir/sub/a',
  'dir/sub/b.log',
  'dir/sub/deep/',
  'dir/sub/deep/a',
  'sub/',
  'sub/a',
  'sub/dir/',
  'sub/dir/a',
  'build/',
  'build/out',
  'x/',
  'x/build/',
  'x/build/out',
  'x/foo/',
  'x/foo/bar',
  'foo/',
  'foo/bar/',
  'foo/bar/baz',
  'with space',
  'trailing ',
  '#hash',
  '!bang',
  'back\\slash',
  'star*',
  'starfish',
  '[x]',
  'q?',
  'qa',
  'abc',
  'a-c',
  'ünï',
  'à',
  '日本',
  '.hidden',
  '.config/',
  '.config/a',
  'line.',
  'plus+',
  'dollar$',
  'caret^',
  'brace{a,b}',
  'paren(1)',
  'pipe|',
];
for (const path of PATHS) {
  if (path.endsWith('/')) mkdirSync(join(dir, path), { recursive: true });
  else {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), '');
  }
}

/** What a walk of the tree leaves out: what holds a path is asked about first, and nothing below what is left out is. */
function leftOut(patterns: readonly string[]): string[] {
  const excludes = createExcludes(patterns);
  const out = new Set<string>();
  for (const path of PATHS) {
    const isFolder = path.endsWith('/');
    const parents = path
      .split('/')
      .slice(0, isFolder ? -2 : -1)
      .map((_, at, all) => `${all.slice(0, at + 1).join('/')}/`);
    const isBelow = parents.some((parent) => out.has(parent));
    if (isBelow || excludes.isExcluded(Buffer.from(path.replace(/\/$/, '')), isFolder)) out.add(path);
  }
  return [...out];
}

/** The same from git. */
function ignoredByGit(patterns: readonly string[]): string[] {
  writeFileSync(join(dir, '.git', 'info', 'exclude'), `${patterns.join('\n')}\n`);
  const asked = PATHS.map((path) => path.replace(/\/$/, '')).join('\0');
  const { stdout } = spawnSync('git', ['check-ignore', '-z', '--stdin', '--no-index'], { cwd: dir, env, input: asked, encoding: 'utf8' });
  const found = new Set(stdout.split('\0').filter((path) => path !== ''));
  return PATHS.filter((path) => found.has(path.replace(/\/$/, '')));
}

const TABLE: readonly (readonly string[])[] = [
  ['a'],
  ['/a'],
  ['a/'],
  ['dir'],
  ['dir/'],
  ['/dir/'],
  ['dir/a'],
  ['dir/*'],
  ['dir/**'],
  ['dir/**/a'],
  ['**/a'],
  ['**/dir/a'],
  ['**/dir/'],
  ['/**'],
  ['**'],
  ['*'],
  ['/*'],
  ['*/'],
  ['/*/'],
  ['*/a'],
  ['*/*/a'],
  ['*.log'],
  ['*.log', '!keep.log'],
  ['!keep.log', '*.log'],
  ['*.log', '!dir/keep.log'],
  ['dir/', '!dir/keep.log'],
  ['dir/*', '!dir/keep.log'],
  ['/*', '!/dir', '/dir/*', '!/dir/sub'],
  ['*', '!*/', '!*.log'],
  ['build'],
  ['build/'],
  ['/build'],
  ['x/build'],
  ['/x/**/out'],
  ['foo/**/baz'],
  ['foo/*/baz'],
  ['foo/bar/**/'],
  ['**/foo/**'],
  ['with space'],
  ['with\\ space'],
  ['trailing '],
  ['trailing\\ '],
  ['a  '],
  ['#hash'],
  ['\\#hash'],
  ['!bang'],
  ['\\!bang'],
  ['back\\slash'],
  ['back\\\\slash'],
  ['star\\*'],
  ['star*'],
  ['[x]'],
  ['\\[x\\]'],
  ['q?'],
  ['q\\?'],
  ['a[b-]c'],
  ['a[!b]c'],
  ['a[^b]c'],
  ['a[bB]c'],
  ['[a-c]'],
  ['[[:alpha:]]'],
  ['[[:upper:]]'],
  ['[]x]'],
  ['[x'],
  ['B.log'],
  ['b.LOG'],
  ['ü*'],
  ['à'],
  ['?'],
  ['??'],
  ['日?'],
  ['日???'],
  ['日*'],
  ['.*'],
  ['.hidden'],
  ['.config/*'],
  ['line.'],
  ['plus+'],
  ['dollar$'],
  ['caret^'],
  ['brace{a,b}'],
  ['paren(1)'],
  ['pipe|'],
  [''],
  ['/'],
  ['#'],
  ['!'],
  ['***'],
  ['a***'],
  ['d**r'],
  ['**r/'],
  ['dir/sub/'],
  ['sub/dir'],
  ['sub/dir/'],
  ['./a'],
  ['dir//a'],
  ['*a*'],
  ['dir/*/'],
  ['\\a'],
  ['a\\'],
];

describe.skipIf(!hasGit)('rules of what is left out', () => {
  it.each(TABLE.map((patterns) => [JSON.stringify(patterns), patterns] as const))('%s leave out what git ignores', (_shown, patterns) => {
    expect(leftOut(patterns)).toEqual(ignoredByGit(patterns));
  });

  it('leave out what git ignores, for 400 random lists of patterns', () => {
    expect(ignoredByGit(['a', '!/sub/a'])).toEqual(['a', 'dir/a', 'dir/sub/a', 'dir/sub/deep/a', 'sub/dir/a', '.config/a']);
    const dice = createDice(7);
    const pieces = ['a', 'b', 'dir', 'sub', 'build', 'foo', '*', '**', '/', '/', '?', '.log', '[a-c]', 'à', '.', 'x', 'bar', 'keep'];
    const pattern = () => `${dice() < 0.25 ? '!' : ''}${Array.from({ length: 1 + dice.below(5) }, () => dice.pick(pieces)).join('')}`;
    for (let list = 0; list < 400; list += 1) {
      const patterns = Array.from({ length: 1 + dice.below(3) }, pattern);
      expect({ patterns, out: leftOut(patterns) }).toEqual({ patterns, out: ignoredByGit(patterns) });
    }
  });
});

describe('rules of what is left out', () => {
  it('compare bytes: names that are no UTF-8 are matched by wildcards and by nothing else', () => {
    const name = Buffer.from([0xff, 0xc3, 0x61]);
    expect(createExcludes(['*a']).isExcluded(name, false)).toBe(true);
    expect(createExcludes(['??a']).isExcluded(name, false)).toBe(true);
    expect(createExcludes(['ÿÃa', 'a', '�']).isExcluded(name, false)).toBe(false);
  });

  it('answer the same after many thousand paths, holding little', () => {
    const excludes = createExcludes(['*.log', '/build/']);
    for (let at = 0; at < 20_000; at += 1) expect(excludes.isExcluded(Buffer.from(`dir${at}/file${at}.log`), false)).toBe(true);
    expect(excludes.isExcluded(Buffer.from('build'), true)).toBe(true);
    expect(excludes.isExcluded(Buffer.from('build'), false)).toBe(false);
  });
});
