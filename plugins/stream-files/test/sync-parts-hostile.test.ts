import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { receiveSync } from '../src/sync/receive-sync.ts';
import { createExcludes } from '../src/tree/excludes.ts';
import { encodeNumber, Frame } from '../src/wire/frames.ts';
import { allIn, connectPair, makePlaces, RawPeer, startHelper } from './peer.ts';

const ABOUT = { mode: 0o755, mtime: 1_000_000_000_000 };
const folder = (id: number, parent: number, name: string, more: object = {}) => ({ id, parent, name, kind: 'folder', ...ABOUT, ...more });
const link = (id: number, parent: number, name: string) => ({ id, parent, name, kind: 'link', target: 'x', mtime: ABOUT.mtime });
const some = { some: true };
const leave = (id: number) => [Frame.leave, encodeNumber(id)] as const;
const listed = [Frame.listed] as const;
const omitted = (parent: number, name: string, code: string) =>
  [Frame.omitted, Buffer.from(JSON.stringify({ parent, name, code }))] as const;

/** What receives, with `*.secret` excluded: the program of the device, and the client in this process. Answers whether it failed. */
const RECEIVERS = {
  device: (path: string, isDeleting: boolean) => {
    const rules = { exclude: ['*.secret', 'private/'], delete: isDeleting, dry_run: false, checksum: false };
    const { peer, end } = startHelper({ operation: 'sync_write', path, ...rules });
    return Promise.resolve({ peer, end: end.then((code) => code !== 0) });
  },
  client: async (path: string, isDeleting: boolean) => {
    const [near, far] = await connectPair();
    const rules = { excludes: createExcludes(['*.secret', 'private/']), delete: isDeleting, dryRun: false, checksum: false };
    let failures = 0;
    const observer = {
      onOutcome: ({ status }: { status: string }) => void (failures += status === 'failed' ? 1 : 0),
      onOmitted: () => void (failures += 1),
    };
    const failed = receiveSync({ input: near, output: near, path, ...rules, observer }).then(
      () => failures > 0,
      () => true,
    );
    return { peer: new RawPeer(far, far), end: failed.finally(() => near.destroy()) };
  },
};

/** A target with folders in which something is, what is excluded, and a link that leads out. */
function makeTarget() {
  const { dir, inside, outside } = makePlaces();
  for (const name of ['sub', 'sub/deep', 'private']) mkdirSync(join(inside, name));
  const files = ['extra', 'sub/extra', 'sub/deep/extra', 'private/extra', 'x.secret'].map((name) => join(inside, name));
  for (const path of [...files, join(outside, 'kept')]) writeFileSync(path, 'x');
  symlinkSync(outside, join(inside, 'way-out'));
  return { dir, inside, outside, before: allIn(dir) };
}

type Frames = readonly (object | readonly [number, Buffer?])[];

async function play(peer: RawPeer, frames: Frames): Promise<void> {
  for (const frame of frames) {
    if (Array.isArray(frame)) peer.writer.send(frame[0] as number, frame[1] as Buffer);
    else peer.writer.sendJson(Frame.entry, frame);
  }
  // Whoever ends earlier makes nothing be deleted by that alone.
  if (frames.at(-1) === listed) await peer.hear(Frame.done);
  await peer.writer.end();
}

describe.each(Object.entries(RECEIVERS))('a hostile sender of parts of a tree, received by the %s', (_name, receive) => {
  it.each([
    ['names a folder and nothing in it', false, [folder(1, 0, ''), folder(2, 1, 'sub'), leave(2), leave(1), listed]],
    ['names nothing at all', false, [folder(1, 0, ''), leave(1), listed]],
    ['names parts only, with --delete', true, [folder(1, 0, '', some), folder(2, 1, 'sub', some), leave(2), leave(1), listed]],
    [
      'names parts of a folder whose folders it names whole and excluded, with --delete',
      true,
      [folder(1, 0, '', some), folder(2, 1, 'private'), leave(2), leave(1), listed],
    ],
    [
      'names a whole folder by a link, with --delete',
      true,
      [folder(1, 0, '', some), folder(2, 1, '../outside'), leave(2), leave(1), listed],
    ],
    ['names .. as a whole folder, with --delete', true, [folder(1, 0, '', some), folder(2, 1, '..'), leave(2), leave(1), listed]],
    [
      'names a whole folder by an absolute path, with --delete',
      true,
      [folder(1, 0, '', some), folder(2, 1, '/tmp'), leave(2), leave(1), listed],
    ],
    [
      'names a whole folder, and fails to read another, with --delete',
      true,
      [folder(1, 0, '', some), folder(2, 1, 'sub'), leave(2), omitted(1, 'unread', 'EACCES'), leave(1), listed],
    ],
    [
      'says of names in parts that they are gone, without --delete',
      false,
      [folder(1, 0, '', some), omitted(1, 'extra', 'gone'), omitted(1, 'sub', 'gone'), leave(1), listed],
    ],
    [
      'says that what is excluded is gone, with --delete',
      true,
      [folder(1, 0, '', some), omitted(1, 'private', 'gone'), omitted(1, 'x.secret', 'gone'), leave(1), listed],
    ],
    [
      'says of paths that they are gone, with --delete',
      true,
      [
        folder(1, 0, '', some),
        ...['', '.', '..', '../outside', '/tmp', 'sub/extra'].map((name) => omitted(1, name, 'gone')),
        leave(1),
        listed,
      ],
    ],
    [
      'says that something behind a link is gone, with --delete',
      true,
      [folder(1, 0, '', some), omitted(1, 'way-out/kept', 'gone'), leave(1), listed],
    ],
    [
      'says that a name is gone in a folder that it has left, with --delete',
      true,
      [folder(1, 0, '', some), folder(2, 1, 'sub', some), leave(2), omitted(2, 'extra', 'gone'), leave(1), listed],
    ],
    [
      'says that names are gone out of order, with --delete',
      true,
      [folder(1, 0, '', some), omitted(1, 'sub', 'gone'), omitted(1, 'extra', 'gone'), leave(1), listed],
    ],
    ['names a whole folder, and ends before the list does, with --delete', true, [folder(1, 0, '', some), folder(2, 1, 'sub'), leave(2)]],
    ['means another target, with --delete', true, [folder(1, 0, '', { onto: '1 2 3 -' }), folder(2, 1, 'sub'), leave(2), leave(1), listed]],
  ] as const)('that %s makes nothing be deleted', async (_what, isDeleting, frames) => {
    const { dir, inside, before } = makeTarget();
    const { peer, end } = await receive(inside, isDeleting);
    await play(peer, frames);
    await end;
    const after = allIn(dir);
    expect(before.filter((path) => !after.includes(path))).toEqual([]);
    expect(after.filter((path) => !before.includes(path))).toEqual([]);
  });

  it('that names a folder whole in one that it names in parts makes extras of that folder alone be deleted', async () => {
    const { dir, inside, before } = makeTarget();
    const { peer, end } = await receive(inside, true);
    await play(peer, [folder(1, 0, '', some), folder(2, 1, 'sub'), folder(3, 2, 'deep', some), leave(3), leave(2), leave(1), listed]);
    expect(await end).toBe(false);
    expect(allIn(dir)).toEqual(before.filter((path) => path !== 'inside/sub/extra'));
  });

  it('that says that one name is gone makes that alone be deleted, a link and not what it leads to', async () => {
    const { dir, inside, before } = makeTarget();
    const { peer, end } = await receive(inside, true);
    await play(peer, [folder(1, 0, '', some), omitted(1, 'extra', 'gone'), omitted(1, 'way-out', 'gone'), leave(1), listed]);
    expect(await end).toBe(false);
    expect(allIn(dir)).toEqual(before.filter((path) => path !== 'inside/extra' && path !== 'inside/way-out'));
  });

  it('replaces the link by which it names a part, and writes nothing behind it', async () => {
    const { inside, outside } = makeTarget();
    const { peer, end } = await receive(inside, true);
    await play(peer, [folder(1, 0, '', some), folder(2, 1, 'way-out', some), link(3, 2, 'planted'), leave(2), leave(1), listed]);
    await end;
    expect(allIn(outside)).toEqual(['kept']);
    expect(allIn(join(inside, 'way-out'))).toEqual(['planted']);
  });

  it('has nothing taken that is excluded, or out of order, in a folder of parts', async () => {
    const { dir, inside, before } = makeTarget();
    const first = await receive(inside, true);
    await play(first.peer, [
      folder(1, 0, '', some),
      folder(2, 1, 'private', some),
      link(3, 2, 'a'),
      leave(2),
      link(4, 1, 'y.secret'),
      leave(1),
      listed,
    ]);
    expect(await first.end).toBe(true);
    const second = await receive(inside, true);
    await play(second.peer, [folder(1, 0, '', some), folder(2, 1, 'z', some), leave(2), folder(3, 1, 'sub'), leave(3), leave(1), listed]);
    expect(await second.end).toBe(true);
    expect(allIn(dir)).toEqual([...before, 'inside/z'].sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right))));
  });
});

describe('a hostile receiver of parts of a tree', () => {
  /** Asks the program of the device for parts of a tree. */
  async function ask(only: unknown) {
    const { inside, outside } = makePlaces();
    mkdirSync(join(inside, 'sub'));
    mkdirSync(join(inside, 'private'));
    for (const path of [join(inside, 'sub/file'), join(inside, 'private/file'), join(outside, 'secret')]) writeFileSync(path, 'x');
    symlinkSync(outside, join(inside, 'way-out'));
    const { peer, end } = startHelper({ operation: 'sync_read', path: inside, exclude: ['private'] });
    peer.writer.sendJson(Frame.ready, { into: true, parts: true, only });
    await Promise.race([peer.hear(Frame.listed), end]);
    const names = peer.json(Frame.entry).map(({ name, kind }) => `${kind} ${name}`);
    await peer.writer.end();
    return { names, code: await end, faults: peer.json(Frame.fault) };
  }

  it.each(['..', '../outside', '/etc', 'sub/../../outside', 'sub//file', 'sub/', '.', 'a\0b'])('is told nothing of %j', async (path) => {
    for (const only of [
      { names: [], folders: [path], trees: [] },
      { names: [], folders: [], trees: [path] },
      { names: [path], folders: [], trees: [] },
    ]) {
      const { names, code } = await ask(only);
      expect(names).toEqual([]);
      expect(code).not.toBe(0);
    }
  });

  it.each([
    ['a link that leads out', 'way-out', ['folder ', 'link way-out']],
    ['a path through that link', 'way-out/secret', ['folder ', 'link way-out']],
    ['what is excluded', 'private', ['folder ']],
    ['what is in it', 'private/file', ['folder ']],
    ['what is not there', 'none/of/it', ['folder ']],
  ])('is told no more of %s than that it is there', async (_what, path, names) => {
    expect((await ask({ names: [path], folders: [path], trees: [path] })).names).toEqual(names);
  });

  it.each([
    ['no list', { names: [], folders: 'sub', trees: [] }],
    ['numbers', { names: [], folders: [1], trees: [] }],
    ['text that is no bytes', { names: [], folders: ['\u0100'], trees: [] }],
    ['a path without end', { names: [], folders: ['a/'.repeat(5_000)], trees: [] }],
    ['a folder too deep', { names: [], folders: ['a/'.repeat(300).concat('a')], trees: [] }],
  ])('ends its session by %s', async (_what, only) => {
    const { names, code } = await ask(only);
    expect(names).toEqual([]);
    expect(code).not.toBe(0);
  });

  it('is told what it asked for', async () => {
    expect((await ask({ names: [], folders: ['sub'], trees: [] })).names).toEqual(['folder ', 'folder sub', 'file file']);
  });
});
