import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sendFiles } from '../src/send/send-files.ts';
import { receiveSync } from '../src/sync/receive-sync.ts';
import { openSyncSource } from '../src/sync/sync-source.ts';
import { createExcludes } from '../src/tree/excludes.ts';
import { encodeBegin, encodeNumber, Frame } from '../src/wire/frames.ts';
import { allIn, connectPair, makePlaces, RawPeer, startHelper } from './peer.ts';

const TIME = { mtime: 1_000_000_000_000 };
const folder = (id: number, parent: number, name: string) => ({ id, parent, name, kind: 'folder', mode: 0o755, ...TIME });
const link = (id: number, parent: number, name: string, target: string) => ({ id, parent, name, kind: 'link', target, ...TIME });
const file = (id: number, parent: number, name: string) => ({
  id,
  parent,
  name,
  kind: 'file',
  mode: 0o644,
  size: 0,
  sparse: false,
  ...TIME,
});
const root = folder(1, 0, '');

/** What receives with --delete, and with `*.secret` excluded: the program of the device, and the client in this process. */
const RECEIVERS = {
  device: async (path: string) => {
    const { peer, end } = startHelper({
      operation: 'sync_write',
      path,
      exclude: ['*.secret'],
      delete: true,
      dry_run: false,
      checksum: false,
    });
    return { peer, end: end.then((code) => code !== 0) };
  },
  client: async (path: string) => {
    const [near, far] = await connectPair();
    const rules = { excludes: createExcludes(['*.secret']), delete: true, dryRun: false, checksum: false };
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

/** A target with something that is to be deleted, and links that lead out. */
function makeTarget() {
  const { dir, inside, outside } = makePlaces();
  mkdirSync(join(inside, 'sub'));
  for (const path of [join(inside, 'extra'), join(inside, 'sub/extra'), join(outside, 'extra'), join(outside, 'kept')])
    writeFileSync(path, 'x');
  symlinkSync(outside, join(inside, 'way-out'));
  return { dir, inside, outside, before: allIn(dir) };
}

describe.each(Object.entries(RECEIVERS))('a hostile sender of a sync, received by the %s', (_name, receive) => {
  async function play(peer: RawPeer, frames: readonly (object | readonly [number, Buffer?])[]): Promise<void> {
    for (const frame of frames) {
      if (Array.isArray(frame)) peer.writer.send(frame[0] as number, frame[1] as Buffer);
      else peer.writer.sendJson(Frame.entry, frame);
    }
    await peer.writer.end();
  }

  const leave = (id: number) => [Frame.leave, encodeNumber(id)] as const;
  const listed = [Frame.listed] as const;
  const omitted = (parent: number, name: string, code: string) =>
    [Frame.omitted, Buffer.from(JSON.stringify({ parent, name, code }))] as const;

  it.each([
    ['names a file ..', [root, file(2, 1, '..'), leave(1), listed]],
    ['names a file with a slash', [root, file(2, 1, '../outside/kept'), leave(1), listed]],
    ['names a file as a partial file of a sync', [root, file(2, 1, '.towline-part-s00'), leave(1), listed]],
    ['names the root', [folder(1, 0, 'x'), leave(1), listed]],
    ['sends a file as the root', [file(1, 0, ''), listed]],
    ['sends a link as the root', [link(1, 0, '', '/'), listed]],
    ['sends nothing', [listed]],
    ['ends before the list does', [root, leave(1)]],
    ['ends the list before its folder', [root, listed]],
    ['sends names that are not in order', [root, file(2, 1, 'b'), file(3, 1, 'a'), leave(1), listed]],
    ['sends a name twice', [root, link(2, 1, 'a', 'x'), link(3, 1, 'a', 'y'), leave(1), listed]],
    ['goes back into a folder', [root, folder(2, 1, 'a'), leave(2), link(3, 2, 'b', 'x'), leave(1), listed]],
    ['leaves a folder that is not the innermost', [root, folder(2, 1, 'a'), leave(1), leave(2), listed]],
    ['could not read something', [root, omitted(1, 'unread', 'EACCES'), leave(1), listed]],
    ['sends what is excluded', [root, link(2, 1, 'x.secret', 'y'), leave(1), listed]],
    ['skips a number', [root, link(3, 1, 'a', 'x'), leave(1), listed]],
    ['nests folders without end', [root, ...Array.from({ length: 300 }, (_, at) => folder(at + 2, at + 1, 'd'))]],
  ] as const)('that %s makes nothing be deleted, and writes nothing outside', async (_what, frames) => {
    const { dir, inside, outside, before } = makeTarget();
    const { peer, end } = await receive(inside);
    await play(peer, frames as unknown as readonly object[]);
    expect(await end).toBe(true);
    const after = allIn(dir);
    expect(before.filter((path) => !after.includes(path))).toEqual([]);
    expect(allIn(outside)).toEqual(['extra', 'kept']);
    expect(after.filter((path) => path.endsWith('.secret'))).toEqual([]);
  });

  it('deletes through no link, neither one that was there nor one that a folder was swapped for in the middle', async () => {
    const { inside, outside, dir } = makeTarget();
    mkdirSync(join(inside, 'swapped'));
    writeFileSync(join(inside, 'swapped/extra'), 'x');
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, root);
    peer.writer.sendJson(Frame.entry, folder(2, 1, 'sub'));
    peer.writer.send(Frame.leave, encodeNumber(2));
    peer.writer.sendJson(Frame.entry, folder(3, 1, 'swapped'));
    peer.writer.send(Frame.leave, encodeNumber(3));
    await peer.hear(Frame.settled, 2);
    renameSync(join(inside, 'swapped'), join(dir, 'moved'));
    symlinkSync(outside, join(inside, 'swapped'));
    peer.writer.send(Frame.leave, encodeNumber(1));
    peer.writer.send(Frame.listed);
    await peer.hear(Frame.done);
    await peer.writer.end();
    await end;
    // What could not be deleted is told with a code.
    expect(peer.json(Frame.removed)).toContainEqual({ path: 'swapped', kind: 'folder', code: expect.stringMatching(/ELOOP|ENOTDIR/) });
    expect(allIn(dir)).toEqual([
      'inside',
      'inside/sub',
      'inside/swapped',
      'moved',
      'moved/extra',
      'outside',
      'outside/extra',
      'outside/kept',
    ]);
  });

  it('cannot have more than 512 files asked for at a time', async () => {
    const { inside } = makeTarget();
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, root);
    for (let id = 2; id < 600; id += 1) peer.writer.sendJson(Frame.entry, file(id, 1, `f${String(id).padStart(5, '0')}`));
    expect(await end).toBe(true);
    expect(peer.json(Frame.want).length).toBeLessThan(512);
  });

  it('cannot send content that was not asked for', async () => {
    const { inside, before, dir } = makeTarget();
    const { peer, end } = await receive(inside);
    peer.writer.sendJson(Frame.entry, root);
    peer.writer.sendJson(Frame.entry, link(2, 1, 'a', 'x'));
    peer.writer.send(Frame.begin, encodeBegin(2, 0));
    expect(await end).toBe(true);
    expect(before.filter((path) => !allIn(dir).includes(path))).toEqual([]);
  });
});

describe('a hostile receiver', () => {
  async function sendTo(excludes: readonly string[] | null) {
    const { inside } = makePlaces();
    writeFileSync(join(inside, 'a'), 'x');
    const [near, far] = await connectPair();
    const source = await openSyncSource(inside);
    const removed: string[] = [];
    const rules = excludes === null ? {} : { excludes: createExcludes(excludes) };
    const observer = { onRemoved: ({ path }: { path: Buffer }) => void removed.push(path.toString()) };
    const ended = sendFiles({ input: near, output: near, source, count: false, ...rules, observer }).then(
      () => 'done',
      (error: Error) => error.message,
    );
    const peer = new RawPeer(far, far);
    peer.writer.sendJson(Frame.ready, { into: true });
    return { peer, ended: ended.finally(() => near.destroy()), removed };
  }

  it('of a copy cannot speak of things that it deleted', async () => {
    const { peer, ended } = await sendTo(null);
    peer.writer.sendJson(Frame.removed, { path: 'a', kind: 'file' });
    expect(await ended).toContain('frame of type 38');
  });

  it.each([
    ['a file that was not announced', Frame.want, { id: 99, have: 0, whole: false }],
    ['a folder', Frame.want, { id: 1, have: 0, whole: false }],
    ['more of a file than it has', Frame.want, { id: 2, have: 5, whole: false }],
  ])('of a sync cannot ask for %s', async (_what, type, message) => {
    const { peer, ended } = await sendTo([]);
    await peer.hear(Frame.listed);
    peer.writer.sendJson(type, message);
    expect(await ended).toMatch(/peer/);
  });

  it('of a sync cannot ask for what is excluded: it is never announced', async () => {
    const { peer, ended } = await sendTo(['a']);
    await peer.hear(Frame.listed);
    expect(peer.json(Frame.entry).map(({ name }) => name)).toEqual(['']);
    peer.writer.sendJson(Frame.want, { id: 2, have: 0, whole: false });
    expect(await ended).toMatch(/not offered/);
  });
});
