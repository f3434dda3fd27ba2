import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { SYNC_BYTES } from '../src/limits.ts';
import { receiveFiles } from '../src/receive/receive-files.ts';
import { openTarget } from '../src/receive/target.ts';
import { partialName, partialStem } from '../src/tree/names.ts';
import { encodeBegin, encodeLength, encodeNumber, Frame } from '../src/wire/frames.ts';
import { copyHere } from './copy-here.ts';
import { connectPair, makePlaces, RawPeer, startHelper } from './peer.ts';
import { syncHere } from './sync-here.ts';

/** Magic number of a file system that keeps any time: statfs(2). */
const TMPFS = 0x0102_1994;

describe('what must not be lost', () => {
  it('is a FIFO or device that is named as the target of a copy, by a file or a link', async () => {
    const { inside, outside } = makePlaces();
    mkdirSync(join(outside, 'tree'));
    writeFileSync(join(outside, 'tree/fifo'), 'x');
    symlinkSync('x', join(outside, 'tree/link'));
    mkdirSync(join(inside, 'tree'));
    for (const name of ['fifo', 'tree/fifo', 'tree/link']) execFileSync('mkfifo', [join(inside, name)]);
    expect(await copyHere(join(outside, 'tree/fifo'), join(inside, 'fifo'))).toEqual([' no_file']);
    expect((await copyHere(join(outside, 'tree'), inside)).sort()).toEqual(['fifo no_file', 'link no_file']);
    for (const name of ['fifo', 'tree/fifo', 'tree/link']) expect(lstatSync(join(inside, name)).isFIFO()).toBe(true);
    expect(readdirSync(inside).sort()).toEqual(['fifo', 'tree']);
  });

  it('is a file where a folder of its name is copied', async () => {
    const { inside, outside } = makePlaces();
    mkdirSync(join(outside, 'tree/name'), { recursive: true });
    writeFileSync(join(outside, 'tree/name/f'), 'x');
    mkdirSync(join(inside, 'tree'));
    writeFileSync(join(inside, 'tree/name'), 'mine');
    expect((await copyHere(join(outside, 'tree'), inside)).sort()).toEqual(['name not_a_folder', 'name/f no_parent']);
    expect(readFileSync(join(inside, 'tree/name'), 'utf8')).toBe('mine');
  });

  it('is nothing of files that are being put into place when the connection is cut: that is waited for, and no partial file stays', async () => {
    const { inside } = makePlaces();
    const names = Array.from({ length: 100 }, (_, at) => `f${at}`);
    mkdirSync(join(inside, 'root'));
    for (const name of names) writeFileSync(join(inside, 'root', name), 'as it was before');
    const [near, far] = await connectPair();
    const peer = new RawPeer(far, far);
    const received = receiveFiles({ input: near, output: near, target: await openTarget(inside, false), observer: {} }).catch(String);
    const about = { mtime: 1_000_000_000_000, mode: 0o755 };
    peer.writer.sendJson(Frame.entry, { id: 1, parent: 0, name: 'root', kind: 'folder', ...about });
    for (const [at, name] of names.entries())
      peer.writer.sendJson(Frame.entry, { id: at + 2, parent: 1, name, kind: 'file', size: 3, sparse: false, ...about });
    await peer.hear(Frame.want, names.length);
    const hash = createHash('sha256').update('new').digest();
    for (const { id } of peer.json(Frame.want) as { id: number }[]) {
      peer.writer.send(Frame.begin, encodeBegin(id, 0));
      peer.writer.send(Frame.data, Buffer.from('new'));
      peer.writer.send(Frame.end, Buffer.concat([encodeNumber(id), hash]));
    }
    await peer.writer.end();
    expect(await received).toContain('broke');
    expect(readdirSync(join(inside, 'root')).sort()).toEqual([...names].sort());
    const contents = names.map((name) => readFileSync(join(inside, 'root', name), 'utf8'));
    expect(contents.filter((content) => content !== 'new' && content !== 'as it was before')).toEqual([]);
  });

  it('is what a disk failed to take while more came: the file is not put into its place, though its last fsync says nothing of it', async () => {
    const { inside, outside } = makePlaces();
    writeFileSync(join(outside, 'f'), Buffer.alloc(SYNC_BYTES + 1, 'x'));
    writeFileSync(join(inside, 'f'), 'as it was before');
    const probe = await open(join(inside, 'f'));
    const handles = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    // The system tells of it once: whoever asks first hears of it, and the other may be done before.
    let hasFsynced = () => {};
    const fsynced = new Promise<void>((resolve) => (hasFsynced = resolve));
    const sync = handles.sync;
    vi.spyOn(handles, 'sync').mockImplementation(function (this: FileHandle) {
      return sync.call(this).finally(hasFsynced);
    });
    const failing = vi.spyOn(handles, 'datasync').mockImplementation(async () => {
      await Promise.race([fsynced, new Promise((resolve) => setTimeout(resolve, 1_000))]);
      throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'fdatasync' });
    });
    try {
      expect(await copyHere(join(outside, 'f'), inside)).toEqual([' EIO']);
      expect(failing).toHaveBeenCalledOnce();
    } finally {
      vi.restoreAllMocks();
    }
    expect(readFileSync(join(inside, 'f'), 'utf8')).toBe('as it was before');
  });

  it('is what has a name that only begins like that of a partial file of a sync, also with --delete', async () => {
    const { inside, outside } = makePlaces();
    mkdirSync(join(inside, '.towline-part-studio'));
    writeFileSync(join(inside, '.towline-part-studio/mine'), 'mine');
    writeFileSync(join(inside, '.towline-part-song'), 'mine');
    for (const isDeleting of [false, true]) {
      await syncHere({ source: outside, target: inside, delete: isDeleting });
      expect(readdirSync(inside)).toEqual(['.towline-part-song', '.towline-part-studio']);
      expect(readFileSync(join(inside, '.towline-part-studio/mine'), 'utf8')).toBe('mine');
    }
  });

  it('is a file that came under another name of its own, as where upper case is lower case', async () => {
    const { inside } = makePlaces();
    writeFileSync(join(inside, 'README'), 'x');
    writeFileSync(join(inside, 'extra'), 'x');
    utimesSync(join(inside, 'README'), 1_000_000_000, 1_000_000_000);
    const rules = { exclude: [], delete: true, dry_run: false, checksum: false };
    const { peer, end } = startHelper({ operation: 'sync_write', path: inside, ...rules });
    const about = { mode: 0o644, mtime: 1_000_000_000_000 };
    peer.writer.sendJson(Frame.entry, { id: 1, parent: 0, name: '', kind: 'folder', ...about });
    peer.writer.sendJson(Frame.entry, { id: 2, parent: 1, name: 'a', kind: 'link', target: 'x', mtime: about.mtime });
    await peer.hear(Frame.settled);
    // The folder has been listed: what it answers for now and did not list is such a name.
    linkSync(join(inside, 'README'), join(inside, 'readme'));
    peer.writer.sendJson(Frame.entry, { id: 3, parent: 1, name: 'readme', kind: 'file', size: 1, sparse: false, ...about });
    await peer.hear(Frame.want);
    peer.writer.send(Frame.begin, encodeBegin(3, 1));
    peer.writer.send(Frame.end, Buffer.concat([encodeNumber(3), createHash('sha256').update('x').digest()]));
    peer.writer.send(Frame.leave, encodeNumber(1));
    peer.writer.send(Frame.listed);
    await peer.hear(Frame.done);
    await peer.writer.end();
    await end;
    expect(readdirSync(inside).sort()).toEqual(['README', 'a', 'readme']);
  });

  it('is a folder that a file replaces, when the connection is cut before all of the file has come', async () => {
    const { inside } = makePlaces();
    mkdirSync(join(inside, 'x'));
    writeFileSync(join(inside, 'x/mine'), 'mine');
    const rules = { exclude: [], delete: true, dry_run: false, checksum: false };
    const { child, peer, end } = startHelper({ operation: 'sync_write', path: inside, ...rules });
    const about = { mode: 0o755, mtime: 1_000_000_000_000 };
    peer.writer.sendJson(Frame.entry, { id: 1, parent: 0, name: '', kind: 'folder', ...about });
    peer.writer.sendJson(Frame.entry, { id: 2, parent: 1, name: 'x', kind: 'file', size: 300_000, sparse: false, ...about });
    await peer.hear(Frame.want);
    // A session that is over ends its program so.
    child.kill('SIGTERM');
    await end;
    expect(readFileSync(join(inside, 'x/mine'), 'utf8')).toBe('mine');
  });

  it.each([true, false])('is a folder that was moved aside, unless it is to be deleted: with --delete %j', async (isDeleting) => {
    const { inside, outside } = makePlaces();
    const aside = partialName(partialStem(Buffer.from('x'), { size: 0, mtime: 0, origin: 'sync' })).toString();
    mkdirSync(join(inside, aside));
    writeFileSync(join(inside, aside, 'mine'), 'mine');
    await syncHere({ source: outside, target: inside, delete: isDeleting });
    expect(readdirSync(inside)).toEqual(isDeleting ? [] : [aside]);
  });
});

describe('what one file in a tree cannot spoil', () => {
  it.runIf(existsSync('/dev/shm') && statfsSync('/dev/shm').type === TMPFS)('is the copy, by a time that no Date holds', async () => {
    const { inside } = makePlaces();
    const source = mkdtempSync('/dev/shm/towline-times-');
    try {
      for (const name of ['file', 'folder/file', 'good']) {
        mkdirSync(dirname(join(source, name)), { recursive: true });
        writeFileSync(join(source, name), name);
      }
      symlinkSync('good', join(source, 'link'));
      for (const name of ['file', 'folder', 'link']) execFileSync('touch', ['-h', '-d', '@99999999999999', join(source, name)]);
      expect(await copyHere(source, join(inside, 'copy'))).toEqual([]);
      expect((await syncHere({ source, target: join(inside, 'synced') })).failures).toEqual([]);
      for (const name of ['copy', 'synced']) expect(readdirSync(join(inside, name))).toEqual(['file', 'folder', 'good', 'link']);
    } finally {
      rmSync(source, { recursive: true });
    }
  });

  it('is the end of a copy that was given up, by a hole of a petabyte', async () => {
    const { inside } = makePlaces();
    const [near, far] = await connectPair();
    const peer = new RawPeer(far, far);
    const target = await openTarget(join(inside, 'f'), false);
    let hasBegun = () => {};
    const begun = new Promise<void>((resolve) => (hasBegun = resolve));
    const received = receiveFiles({ input: near, output: near, target, observer: { onBytes: () => hasBegun() } }).then(
      () => 'done',
      () => 'failed',
    );
    const size = 2 ** 50;
    const about = { mode: 0o644, mtime: 0, sparse: true };
    peer.writer.sendJson(Frame.entry, { id: 1, parent: 0, name: 'f', kind: 'file', size, ...about });
    await peer.hear(Frame.want);
    peer.writer.send(Frame.begin, encodeBegin(1, 0));
    peer.writer.send(Frame.hole, encodeLength(size));
    await begun;
    near.destroy();
    expect(await received).toBe('failed');
  });
});
