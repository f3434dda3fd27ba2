import type { Stats } from 'node:fs';
import { readlink } from 'node:fs/promises';
import { MAX_DEPTH, MAX_FILE_BYTES, MAX_NAME_BYTES } from '../limits.ts';
import { type CoveredFolder, coveredIn } from '../tree/coverage.ts';
import type { Excludes } from '../tree/excludes.ts';
import { FileFault, faultCode, GONE } from '../tree/file-fault.ts';
import { toldTime } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { isPartialName, joinPath } from '../tree/names.ts';
import { rootOf } from '../tree/root-identity.ts';
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
  /** How much of the source. */
  readonly covered: CoveredFolder;
  /** Of a sync: which folder the target must be; empty: any. */
  readonly onto?: string | undefined;
  /** Something is left out. */
  readonly onOmitted: (path: Buffer, code: string) => void;
}

interface Place {
  readonly folder: Folder;
  readonly parent: number;
  readonly path: Buffer;
  readonly depth: number;
  /** How much of what is in it is announced. */
  readonly covered: CoveredFolder;
}

/** Announces the source and all below it, as fast as the receiver settles what was announced before. */
export async function announceTree(parts: AnnounceParts, { folder, name, as }: Source): Promise<void> {
  const root: Place = { folder, parent: 0, path: Buffer.alloc(0), depth: 0, covered: parts.covered };
  if (name === null) await announceFolder(parts, root, { name: as, stats: await folder.stat() });
  else await announce(parts, root, { name, as });
  parts.writer.send(Frame.listed);
}

/** Announces one name of a folder as soon as there is room, and what is below it. What cannot be is left out, by name. */
async function announce(parts: AnnounceParts, place: Place, named: Named): Promise<void> {
  await parts.open.room();
  await parts.writer.room();
  await announceNow(parts, place, named);
}

/** The same when there is room: a file in this turn. */
function announceNow(parts: AnnounceParts, place: Place, { name, as = name }: Named): Promise<void> | undefined {
  const failed = (error: unknown) => omit(parts, place, { name: as, code: faultCode(error) });
  try {
    const stats = lookAt(parts, place, { name, as });
    if (stats === null) return undefined;
    const found = { name, as, stats };
    if (stats.isFile()) return announceFile(parts, place, found);
    return (stats.isDirectory() ? announceChild(parts, place, found) : announceLink(parts, place, found)).catch(failed);
  } catch (error) {
    failed(error);
    return undefined;
  }
}

interface Named {
  readonly name: Buffer;
  /** The name for the receiver, when it is another one. */
  readonly as?: Buffer;
}

/** What stands under a name; null when nothing more is said of it. @throws FileFault, system errors. */
function lookAt(parts: AnnounceParts, place: Place, { name, as }: Required<Named>): Stats | null {
  if (isPartialName(name)) throw new FileFault('partial');
  // A file system of characters has names of more bytes.
  if (as.length > MAX_NAME_BYTES) throw new FileFault('ENAMETOOLONG');
  const stats = place.folder.look(name);
  // Gone since the folder was read: it is as if it had never been there.
  if (stats === null && place.parent !== 0) return announceGone(parts, place, name);
  if (stats === null) throw new FileFault('ENOENT');
  if (place.parent !== 0 && parts.excludes?.isExcluded(pathOf(place, as), stats.isDirectory())) return announceGone(parts, place, name);
  if (!stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink()) throw new FileFault('special');
  return stats;
}

/**
 * Who asks for one name is told when nothing stands there, or what is excluded: of a folder that is announced whole, what is not named says so.
 * The receiver keeps what is excluded there; a name may be that of a file there and of an excluded folder here.
 */
function announceGone({ writer }: AnnounceParts, place: Place, name: Buffer): null {
  if (!place.covered.isWhole && coveredIn(place.covered, name).isNamed)
    writer.sendJson(Frame.omitted, { parent: place.parent, name: name.toString('latin1'), code: GONE });
  return null;
}

interface Found {
  readonly name: Buffer;
  readonly as: Buffer;
  readonly stats: Stats;
}

function announceFile({ writer, open }: AnnounceParts, place: Place, { name, as, stats }: Found): undefined {
  const { size, mtimeMs, mode } = stats;
  if (size > MAX_FILE_BYTES) throw new FileFault('too_large');
  // Blocks are counted in 512 bytes, whatever the file system's own are: stat(2).
  const sparse = stats.blocks * 512 < size;
  const file = { folder: place.folder, name, size, mtimeMs, sparse };
  const { id } = open.add({ kind: 'file', path: pathOf(place, as), file });
  writer.sendJson(Frame.entry, { ...placed(place, id, as), kind: 'file', mode: mode & 0o7777, mtime: toldTime(mtimeMs), size, sparse });
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
}

async function announceChild(parts: AnnounceParts, place: Place, { name, as, stats }: Found): Promise<void> {
  if (place.depth >= MAX_DEPTH) throw new FileFault('too_deep');
  const covered = coveredIn(place.covered, as);
  // That it is there is all that is said of it: it is not read.
  if (!covered.isWhole && covered.inner.size === 0) return announceFolder(parts, { ...place, covered }, { name: as, stats });
  const folder = await place.folder.child(name);
  try {
    await announceFolder(parts, { ...place, folder, covered }, { name: as, stats });
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
  const more = { ...(place.covered.isWhole ? {} : { some: true }), ...rootOfSync(parts, place, stats) };
  writer.sendJson(Frame.entry, { ...placed(place, id, name), kind: 'folder', mode: mode & 0o7777, mtime: toldTime(mtimeMs), ...more });
  try {
    const inside: Place = { ...place, parent: id, path, depth: place.depth + 1 };
    const batches = parts.excludes === undefined ? place.folder.namesTogether() : [await namesToTell(place)];
    for await (const names of batches) {
      for (const each of names) {
        const announced =
          open.hasRoom && writer.hasRoom ? announceNow(parts, inside, { name: each }) : announce(parts, inside, { name: each });
        if (announced !== undefined) await announced;
      }
    }
  } catch (error) {
    omit(parts, place, { name, code: faultCode(error) });
  }
  writer.send(Frame.leave, encodeNumber(id));
}

/** In order. What is told of a folder without being all of it is what is in folders in it. */
function namesToTell({ folder, covered }: Place): Promise<Buffer[]> | Buffer[] {
  if (covered.isWhole) return sortedNames(folder);
  return [...covered.inner.keys()].map((name) => Buffer.from(name, 'latin1')).sort(Buffer.compare);
}

function rootOfSync({ excludes, onto }: AnnounceParts, { parent }: Place, stats: Stats): object {
  if (excludes === undefined || parent !== 0) return {};
  return { root: rootOf(stats), ...(onto === undefined ? {} : { onto }) };
}

function omit({ writer, onOmitted }: AnnounceParts, place: Place, { name, code }: { name: Buffer; code: string }): void {
  onOmitted(pathOf(place, name), code);
  writer.sendJson(Frame.omitted, { parent: place.parent, name: name.subarray(0, MAX_NAME_BYTES).toString('latin1'), code });
}

function placed({ parent }: Place, id: number, name: Buffer) {
  return { id, parent, name: name.toString('latin1') };
}

/** The root has no name of its own here: it may have another one at the receiver. */
function pathOf(place: Place, name: Buffer): Buffer {
  return place.parent === 0 ? place.path : joinPath(place.path, name);
}
