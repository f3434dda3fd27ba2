import type { Stats } from 'node:fs';
import { readlink } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { openSource, type Source } from '../send/source.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import { toldTime } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { FrameWriter } from '../wire/frame-writer.ts';
import { Frame } from '../wire/frames.ts';

/** Lists what is in a folder, or one file that was named, in no order. @throws system errors. */
export async function sendList(path: string, output: Writable): Promise<void> {
  const writer = new FrameWriter(output);
  const source = await openSource(path, Buffer.alloc(0));
  try {
    if (source.name === null) await listFolder(source.folder, writer);
    else await listFile(source, path, writer);
    writer.send(Frame.listed);
  } finally {
    source.folder.release();
    writer.flush();
  }
}

async function listFolder(folder: Folder, writer: FrameWriter): Promise<void> {
  for await (const name of folder.names()) {
    try {
      const stats = folder.look(name);
      if (stats !== null) writer.sendJson(Frame.listing, await describe(folder, name, { stats, as: name }));
    } catch (error) {
      writer.sendJson(Frame.omitted, { parent: 0, name: name.toString('latin1'), code: faultCode(error) });
    }
    await writer.room();
  }
}

async function listFile({ folder, name }: Source, path: string, writer: FrameWriter): Promise<void> {
  const stats = folder.look(name!);
  if (stats === null) throw new FileFault('ENOENT');
  writer.sendJson(Frame.listing, await describe(folder, name!, { stats, as: Buffer.from(path) }));
}

async function describe(folder: Folder, name: Buffer, { stats, as }: { stats: Stats; as: Buffer }) {
  const { mode, mtimeMs, size, uid, gid, nlink: links } = stats;
  const target = stats.isSymbolicLink() ? { target: (await readlink(folder.at(name), { encoding: 'buffer' })).toString('latin1') } : {};
  return {
    name: as.toString('latin1'),
    kind: kindOf(stats),
    mode: mode & 0o7777,
    mtime: toldTime(mtimeMs),
    size,
    uid,
    gid,
    links,
    ...target,
  };
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'folder';
  if (stats.isSymbolicLink()) return 'link';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  if (stats.isBlockDevice()) return 'block';
  return stats.isCharacterDevice() ? 'character' : 'file';
}
