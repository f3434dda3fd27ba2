import { closeSync, constants, fchmodSync, fsync, futimesSync, openSync, renameSync, type Stats, unlinkSync, writeSync } from 'node:fs';
import { type FileHandle, rename, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { SMALL_FILE_BYTES } from '../limits.ts';
import { FileFault } from '../tree/file-fault.ts';
import { timeOf } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { type PartialOf, partialName, partialStem } from '../tree/names.ts';
import type { FileEntry } from '../wire/schemas.ts';
import type { PartialsOfFolder } from './partials-of-folder.ts';
import { type Replacing, takePlace } from './replaceable.ts';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR, O_WRONLY } = constants;
/** Rights of a partial file: its owner's alone. */
const PARTIAL_MODE = 0o600;
const toDisk = promisify(fsync);

/** A file, and who receives it. */
export type PartialEntry = FileEntry & Pick<PartialOf, 'origin'> & Replacing;

/** The file beside the target that becomes it. Only its owner can read and write it. */
export interface PartialFile {
  readonly handle: FileHandle;
  readonly name: Buffer;
  /** Bytes that an earlier copy left in it. */
  readonly bytes: number;
}

/** Opens what an earlier copy of the same source left, or an empty file. What is not safely ours is removed. @throws system errors. */
export async function openPartial(folder: Folder, entry: PartialEntry, partials: PartialsOfFolder | null): Promise<PartialFile> {
  const stem = partialStem(entry.name, entry);
  for (const left of partials?.take(stem) ?? []) {
    const found = await claim(folder, left, { name: partialName(stem), size: entry.size });
    if (found !== null) return found;
  }
  const name = partialName(stem);
  return { handle: await folder.openFile(name, O_RDWR | O_CREAT | O_EXCL, PARTIAL_MODE), name, bytes: 0 };
}

/**
 * Takes over what an earlier copy left, when only this user can have written it. It gets another name first: should that copy still go on, it
 * cannot put the file into place any more.
 */
async function claim(
  folder: Folder,
  left: Buffer,
  { name, size }: { readonly name: Buffer; readonly size: number },
): Promise<PartialFile | null> {
  try {
    await rename(folder.at(left), folder.at(name));
  } catch {
    return null;
  }
  const handle = await folder.openFile(name, O_RDWR).catch(() => null);
  const stats = await handle?.stat();
  if (handle && stats && isOurs(stats)) return { handle, name, bytes: Math.min(stats.size, size) };
  await handle?.close();
  await unlink(folder.at(name)).catch(() => {});
  return null;
}

/** Whether only this user can have written a file: not one that was planted, nor a link to another file. */
function isOurs(stats: Stats): boolean {
  return stats.isFile() && stats.uid === process.geteuid?.() && stats.nlink === 1 && (stats.mode & 0o777) === PARTIAL_MODE;
}

/** Puts a complete file into its place: mode, times, on the disk, then under its name at once. Closes it. @throws FileFault, system errors. */
export async function placeFile(
  folder: Folder,
  { handle, name }: Pick<PartialFile, 'handle' | 'name'>,
  entry: PartialEntry,
): Promise<void> {
  try {
    await finishFile(handle, entry);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await takePlace(entry, () => renameSync(folder.at(name), folder.at(entry.name)));
  } catch (error) {
    failPlacing(folder, name, error);
  }
}

/**
 * Writes a small file and puts it into the place of something else in the same way: on the disk before what stood there is gone.
 * @throws FileFault, system errors.
 */
export async function placeSmallFile(folder: Folder, entry: PartialEntry, content: readonly Buffer[]): Promise<void> {
  const { name, descriptor } = writeSmall(folder, entry, content);
  try {
    await toDisk(descriptor);
    await takePlace(entry, () => renameSync(folder.at(name), folder.at(entry.name)));
  } catch (error) {
    failPlacing(folder, name, error);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Writes a small file where nothing is, in this turn: to hand each step to a thread takes several times as long. The system writes it to the disk
 * when it likes to: a write for each of many small files takes longer than all else, and nothing is lost of which the source is not there.
 * @throws FileFault, system errors.
 */
export function placeSmallNew(folder: Folder, entry: PartialEntry, content: readonly Buffer[]): void {
  const { name, descriptor } = writeSmall(folder, entry, content);
  closeSync(descriptor);
  try {
    renameSync(folder.at(name), folder.at(entry.name));
  } catch (error) {
    failPlacing(folder, name, error);
  }
}

function writeSmall(
  folder: Folder,
  entry: PartialEntry,
  content: readonly Buffer[],
): { readonly name: Buffer; readonly descriptor: number } {
  const name = partialName(partialStem(entry.name, entry));
  const path = folder.at(name);
  const descriptor = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PARTIAL_MODE);
  try {
    for (const piece of content) writeAllSync(descriptor, piece);
    fchmodSync(descriptor, entry.mode & 0o777);
    futimesSync(descriptor, timeOf(entry.mtime), timeOf(entry.mtime));
    return { name, descriptor };
  } catch (error) {
    closeSync(descriptor);
    failPlacing(folder, name, error);
  }
}

function writeAllSync(descriptor: number, piece: Buffer): void {
  for (let done = 0; done < piece.length; ) done += writeSync(descriptor, piece, done);
}

/** Removes small files of the same source that a killed copy left. */
export function removeLeft(folder: Folder, entry: PartialEntry, partials: PartialsOfFolder): void {
  for (const name of partials.take(partialStem(entry.name, entry))) removeSync(folder, name);
}

function failPlacing(folder: Folder, name: Buffer, error: unknown): never {
  const isGone = removeSync(folder, name) === 'ENOENT' && (error as NodeJS.ErrnoException).syscall === 'rename';
  throw isGone ? new FileFault('taken_over') : error;
}

function removeSync(folder: Folder, name: Buffer): string | undefined {
  try {
    unlinkSync(folder.at(name));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** Gives a file its mode and time. No right of another user comes with a copy: setuid, setgid and the sticky bit stay behind. @throws system errors. */
export async function finishFile(handle: FileHandle, { mode, mtime }: FileEntry): Promise<void> {
  await handle.chmod(mode & 0o777);
  await handle.utimes(timeOf(mtime), timeOf(mtime));
}

/** Removes what a failed copy left, unless it is worth going on with. Closes it. */
export async function abandonPartial(folder: Folder, { handle, name }: Pick<PartialFile, 'handle' | 'name'>, bytes: number): Promise<void> {
  await handle.close().catch(() => {});
  if (bytes <= SMALL_FILE_BYTES) await unlink(folder.at(name)).catch(() => {});
}
