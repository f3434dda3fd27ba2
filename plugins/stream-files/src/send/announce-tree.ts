import type { Stats } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { MAX_DEPTH, MAX_FILE_BYTES, MAX_NAME_BYTES } from '../limits.ts';
import type { Excludes } from '../tree/excludes.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import { toldTime } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { isPartialName, joinPath } from '../tree/names.ts';
import { sortedNames } from '../tree/sorted-names.ts';
import type { FrameWriter } from '../wire/frame-writer.ts';
import { encodeNumber, Frame } from '../wire/frames.ts';
import type { OpenEntries } from './open-entries.ts';
import type { Source } from './source.ts';

/** What announcing works with. */
export interface AnnounceParts {
  readonly writer: FrameWriter;
  readonly open: OpenEntries;
  /** Of a sync: what is left out without a word. All names come sorted then. */
  readonly excludes?: Excludes | undefined;
  /** Something is left out. */
  readonly onOmitted: (path: Buffer, code: string) => void;
}

interface Place {
  readonly folder: Folder;
  readonly parent: number;
  readonly path: Buffer;
  readonly depth: number;
}

/** Announces the source and all below it, as fast as the receiver settles what was announced before. */
export async function announceTree(parts: AnnounceParts, { folder, name, as }: Source): Promise<void> {
  const root: Place = { folder, parent: 0, path: Buffer.alloc(0), depth: 0 };
  if (name === null) await announceFolder(parts, root, { name: as, stats: await folder.stat() });
  else await announce(parts, root, { name, as });
  parts.writer.send(Frame.listed);
}

/** Announces one name of a folder. What cannot be is left out, by name. */
async function announce(parts: AnnounceParts, place: Place, { name, as = name }: { name: Buffer; as?: Buffer }): Promise<void> {
  try {
    if (isPartialName(name)) throw new FileFault('partial');
    // A file system of characters has names of more bytes.
    if (as.length > MAX_NAME_BYTES) throw new FileFault('ENAMETOOLONG');
    const stats = place.folder.look(name);
    // Gone since the folder was read: it is as if it had never been there.
    if (stats === null && place.parent !== 0) return;
    if (stats === null) throw new FileFault('ENOENT');
    if (place.parent !== 0 && parts.excludes?.isExcluded(pathOf(place, as), stats.isDirectory())) return;
    if (stats.isDirectory()) await announceChild(parts, place, { name, as, stats });
    else if (stats.isFile()) await announceFile(parts, place, { name, as, stats });
    else if (stats.isSymbolicLink()) await announceLink(parts, place, { name, as, stats });
    else throw new FileFault('special');
  } catch (error) {
    await omit(parts, place, { name: as, code: faultCode(error) });
  }
}

interface Found {
  readonly name: Buffer;
  readonly as: Buffer;
  readonly stats: Stats;
}

async function announceFile({ writer, open }: AnnounceParts, place: Place, { name, as, stats }: Found): Promise<void> {
  const { size, mtimeMs, mode } = stats;
  if (size > MAX_FILE_BYTES) throw new FileFault('too_large');
  // Blocks are counted in 512 bytes, whatever the file system's own are: stat(2).
  const sparse = stats.blocks * 512 < size;
  await open.room();
  const file = { folder: place.folder, name, size, mtimeMs, sparse };
  const { id } = open.add({ kind: 'file', path: pathOf(place, as), file });
  writer.sendJson(Frame.entry, { ...placed(place, id, as), kind: 'file', mode: mode & 0o7777, mtime: toldTime(mtimeMs), size, sparse });
  await writer.room();
}

async function announceLink({ writer, open }: AnnounceParts, place: Place, { name, as, stats }: Found): Promise<void> {
  const target = await readlink(place.folder.at(name), { encoding: 'buffer' });
  await open.room();
  const { id } = open.add({ kind: 'link', path: pathOf(place, as) });
  writer.sendJson(Frame.entry, {
    ...placed(place, id, as),
    kind: 'link',
    mtime: toldTime(stats.mtimeMs),
    target: target.toString('latin1'),
  });
  await writer.room();
}

async function announceChild(parts: AnnounceParts, place: Place, { name, as, stats }: Found): Promise<void> {
  if (place.depth >= MAX_DEPTH) throw new FileFault('too_deep');
  const folder = await place.folder.child(name);
  try {
    await announceFolder(parts, { ...place, folder }, { name: as, stats });
  } finally {
    folder.release();
  }
}

/** Announces `place.folder` itself, under a name, and then what is in it. */
async function announceFolder(parts: AnnounceParts, place: Place, { name, stats }: { name: Buffer; stats: Stats }): Promise<void> {
  const { writer, open } = parts;
  const path = pathOf(place, name);
  await open.room();
  const { id } = open.add({ kind: 'folder', path });
  const { mode, mtimeMs } = stats;
  writer.sendJson(Frame.entry, { ...placed(place, id, name), kind: 'folder', mode: mode & 0o7777, mtime: toldTime(mtimeMs) });
  try {
    const inside: Place = { folder: place.folder, parent: id, path, depth: place.depth + 1 };
    const names = parts.excludes === undefined ? place.folder.names() : await sortedNames(place.folder);
    for await (const each of names) await announce(parts, inside, { name: each });
  } catch (error) {
    await omit(parts, place, { name, code: faultCode(error) });
  }
  writer.send(Frame.leave, encodeNumber(id));
}

async function omit({ writer, onOmitted }: AnnounceParts, place: Place, { name, code }: { name: Buffer; code: string }): Promise<void> {
  onOmitted(pathOf(place, name), code);
  writer.sendJson(Frame.omitted, { parent: place.parent, name: name.subarray(0, MAX_NAME_BYTES).toString('latin1'), code });
  await writer.room();
}

function placed({ parent }: Place, id: number, name: Buffer) {
  return { id, parent, name: name.toString('latin1') };
}

/** The root has no name of its own here: it may have another one at the receiver. */
function pathOf(place: Place, name: Buffer): Buffer {
  return place.parent === 0 ? place.path : joinPath(place.path, name);
}
