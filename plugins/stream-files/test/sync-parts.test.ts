import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { createDice, differencesOf, editTree, growTree } from '../../../test/support/trees.ts';
import { sendFiles } from '../src/send/send-files.ts';
import { openSyncSource } from '../src/sync/sync-source.ts';
import { noteUnsettled } from '../src/sync/unsettled.ts';
import { Coverage } from '../src/tree/coverage.ts';
import { createExcludes } from '../src/tree/excludes.ts';
import { TreeWatch } from '../src/watch/watch-tree.ts';
import { Frame } from '../src/wire/frames.ts';
import { allIn, connectPair, makePlaces, RawPeer } from './peer.ts';
import { syncHere } from './sync-here.ts';

const dir = mkdtempSync(join(tmpdir(), 'towline-parts-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A machine under load takes its time. */
const PATIENCE_MS = 20_000;

function coverageOf(folders: readonly string[], trees: readonly string[] = [], names: readonly string[] = []): Coverage {
  const bytes = (paths: readonly string[]) => paths.map((path) => Buffer.from(path));
  return Coverage.of({ names: bytes(names), folders: bytes(folders), trees: bytes(trees) });
}

function write(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

/** The parts are known to the sender, or the receiver asks for them. */
const SIDES = [
  ['as the sender knows them', (coverage: Coverage) => ({ sendersCoverage: coverage })],
  ['as the receiver asks for them', (coverage: Coverage) => ({ coverage })],
] as const;

describe.each(SIDES)('a sync of parts of a tree, %s', (_side, only) => {
  it('sends and deletes in the folders that are meant, and nowhere else', async () => {
    const { inside, outside } = makePlaces();
    write(inside, { 'a/new': '1', 'a/sub/new': '2', 'b/new': '3', 'c/d/new': '4', 'new': '5' });
    write(outside, { 'a/extra': 'x', 'a/sub/extra': 'x', 'b/extra': 'x', 'c/extra': 'x', 'c/d/extra': 'x', extra: 'x' });
    const did = await syncHere({ source: inside, target: outside, delete: true, ...only(coverageOf(['a'], ['c/d'])) });
    expect(did.failures).toEqual([]);
    expect(did.removed.sort()).toEqual(['a/extra', 'c/d/extra']);
    expect(allIn(outside)).toEqual(['a', 'a/new', 'a/sub', 'a/sub/extra', 'b', 'b/extra', 'c', 'c/d', 'c/d/new', 'c/extra', 'extra']);
  });

  it('deletes nothing without --delete', async () => {
    const { inside, outside } = makePlaces();
    write(inside, { 'a/new': '1' });
    write(outside, { 'a/extra': 'x' });
    expect((await syncHere({ source: inside, target: outside, ...only(coverageOf(['', 'a'])) })).removed).toEqual([]);
    expect(allIn(outside)).toEqual(['a', 'a/extra', 'a/new']);
  });

  it('sends single names, deletes those that are gone, and nothing beside them', async () => {
    const { inside, outside } = makePlaces();
    write(inside, { 'a/changed': 'new', 'a/beside': 'new', 'a/sub/file': 'new', 'a/link/x': 'x' });
    write(outside, { 'a/changed': 'old', 'a/beside': 'old', 'a/gone': 'x', 'a/tree/x': 'x', 'a/extra': 'x', 'a/sub/file': 'old' });
    const names = ['a/changed', 'a/gone', 'a/never', 'a/sub', 'a/tree', 'none/of/it'];
    const did = await syncHere({ source: inside, target: outside, delete: true, ...only(coverageOf([], [], names)) });
    expect(did.failures).toEqual([]);
    expect(did.removed.sort()).toEqual(['a/gone', 'a/tree', 'a/tree/x']);
    expect(['a/changed', 'a/beside', 'a/sub/file'].map((path) => readFileSync(join(outside, path), 'utf8'))).toEqual(['new', 'old', 'old']);
    const again = await syncHere({ source: inside, target: outside, ...only(coverageOf([], [], ['a/extra'])) });
    expect(again.removed).toEqual([]);
  });

  it('deletes a folder that is gone with all that was in it', async () => {
    const { inside, outside } = makePlaces();
    write(inside, { 'a/file': '1' });
    write(outside, { 'a/file': '1', 'a/gone/deep/file': 'x' });
    await syncHere({ source: inside, target: outside, delete: true, ...only(coverageOf(['a', 'a/gone', 'a/gone/deep'])) });
    expect(allIn(outside)).toEqual(['a', 'a/file']);
  });

  it('sends what became of folders: files, links, nothing; and leaves out what is excluded', async () => {
    const { inside, outside } = makePlaces();
    write(inside, { file: '1', 'cache/file': 'x' });
    write(outside, { 'file/old': 'x', 'cache/kept': 'x', 'none/kept': 'x' });
    const parts = only(coverageOf(['file', 'none', 'cache'], ['file']));
    const did = await syncHere({ source: inside, target: outside, delete: true, exclude: ['cache/'], ...parts });
    expect(did.failures).toEqual([]);
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('1');
    expect(allIn(outside)).toEqual(['cache', 'cache/kept', 'file', 'none', 'none/kept']);
  });

  it('deletes what stands under a name that is excluded only as what it is now, as a whole run does', async () => {
    const { inside, outside } = makePlaces();
    write(inside, { 'a/cache/file': 'x', 'a/out/file': 'x' });
    write(outside, { 'a/cache': 'a file', 'a/out/kept': 'x' });
    const parts = only(coverageOf([], [], ['a/cache', 'a/out']));
    const did = await syncHere({ source: inside, target: outside, delete: true, exclude: ['cache/', 'out/'], ...parts });
    expect(did).toMatchObject({ failures: [], removed: ['a/cache'] });
    expect(allIn(outside)).toEqual(['a', 'a/out', 'a/out/kept']);
  });

  it.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'comes to the same tree by what the watch has heard alone, times of folders too (seed %i)',
    async (seed) => {
      const dice = createDice(1_000 + seed);
      const [source, target] = [join(dir, `s${seed}-${_side}`), join(dir, `t${seed}-${_side}`)];
      growTree(source, dice, 40);
      const watch = new TreeWatch({ path: source, excludes: createExcludes([]), onChange: () => {} });
      await watch.refresh(true);
      await syncHere({ source, target, delete: true });
      const until = performance.now() + PATIENCE_MS;
      for (let round = 0; round < 4; round += 1) {
        for (let edit = 0; edit < 6; edit += 1) editTree(source, dice);
        do {
          await pause(5);
          const coverage = await watch.follow();
          expect(coverage.isWhole).toBe(false);
          if (!coverage.isEmpty) await syncHere({ source, target, delete: true, ...only(coverage) });
        } while (differencesOf(source, target).length > 0 && performance.now() < until);
        expect(differencesOf(source, target)).toEqual([]);
      }
      watch.close();
    },
  );
});

describe('a sender that knows which parts changed', () => {
  async function entriesFor(ready: object) {
    const { inside } = makePlaces();
    write(inside, { 'a/one': '1', 'b/two': '2' });
    const [near, far] = await connectPair();
    const peer = new RawPeer(far, far);
    peer.writer.sendJson(Frame.ready, ready);
    const source = await openSyncSource(inside);
    const parts = { source, count: true, excludes: createExcludes([]), coverage: coverageOf(['a']), observer: {} };
    const ended = sendFiles({ input: near, output: near, ...parts }).catch(() => {});
    await peer.hear(Frame.listed);
    near.destroy();
    await ended;
    return peer.json(Frame.entry).map(({ name, some }) => [name, some === true]);
  }

  it('announces them to a receiver that knows how to take them', async () => {
    expect(await entriesFor({ into: true, parts: true })).toEqual([
      ['', true],
      ['a', false],
      ['one', false],
    ]);
  });

  it('announces all to an older receiver, which would take what is missing for gone', async () => {
    expect(await entriesFor({ into: true })).toEqual([
      ['', false],
      ['a', false],
      ['one', false],
      ['b', false],
      ['two', false],
    ]);
  });
});

describe('what a run leaves', () => {
  it('is where something failed, and folders that were empty at the receiver', () => {
    const { observer, unsettled } = noteUnsettled({}, coverageOf(['a']));
    const file = { kind: 'file', size: 0 } as const;
    observer.onOutcome?.({ ...file, path: Buffer.from('a/fine'), status: 'done', change: 'new' });
    observer.onOmitted?.(Buffer.from('a/fifo'), 'special');
    expect([unsettled.failed.isEmpty, unsettled.missing.isEmpty]).toEqual([true, true]);
    observer.onOutcome?.({ ...file, path: Buffer.from('a/sub/file'), status: 'failed', code: 'ENOSPC' });
    observer.onOutcome?.({ kind: 'folder', size: 0, path: Buffer.from('a/lost'), status: 'done', change: 'new' });
    observer.onOmitted?.(Buffer.from('b/unread'), 'EACCES');
    observer.onRemoved?.({ path: Buffer.from('c/kept'), kind: 'file', code: 'EPERM' });
    expect(unsettled.failed.toText()).toEqual({ names: ['c'], folders: ['a/sub', 'b', 'c'], trees: ['b/unread'] });
    expect(unsettled.missing.toText()).toEqual({ names: [], folders: [], trees: ['a/lost'] });
  });

  it('is what could not be removed, from the name on that is gone: that is what is asked for again', async () => {
    const { inside, outside } = makePlaces();
    write(outside, { 'extra/deep/file': 'x' });
    const { observer, unsettled } = noteUnsettled({}, coverageOf([], [], ['extra']));
    for (const path of ['extra/deep/file', 'there/unread'])
      observer.onRemoved?.({ path: Buffer.from(path), kind: path === 'there/unread' ? 'folder' : 'file', code: 'EPERM' });
    write(inside, { 'there/unread/file': 'x' });
    write(outside, { 'there/unread/extra': 'x' });
    await syncHere({ source: inside, target: outside, delete: true, coverage: unsettled.failed });
    expect(allIn(outside)).toEqual(['there', 'there/unread', 'there/unread/file']);
  });

  it('is everything, where there was more to be removed than is remembered', () => {
    const { observer, unsettled } = noteUnsettled({}, coverageOf(['a']));
    observer.onRemoved?.({ path: Buffer.alloc(0), kind: 'folder', code: 'too_many' });
    expect(unsettled.failed.isWhole).toBe(true);
  });

  it('is everything, where a peer names what is no path', () => {
    const { observer, unsettled } = noteUnsettled({}, coverageOf(['a']));
    observer.onRemoved?.({ path: Buffer.from('../x/y'), kind: 'file', code: 'EPERM' });
    expect(unsettled.failed.isWhole).toBe(true);
  });
});
