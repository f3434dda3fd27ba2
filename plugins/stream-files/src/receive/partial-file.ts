import { constants } from 'node:fs';
import { type FileHandle, rename, unlink } from 'node:fs/promises';
import { SMALL_FILE_BYTES } from '../limits.ts';
import { timeOf } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { partialName } from '../tree/names.ts';
import type { FileEntry } from '../wire/schemas.ts';

const { O_CREAT, O_EXCL, O_RDWR } = constants;

/** The file beside the target that becomes it. Only its owner can read and write it. */
export interface PartialFile {
  readonly handle: FileHandle;
  readonly name: Buffer;
  /** Bytes that an earlier copy left in it. */
  readonly bytes: number;
}

/** Opens what an earlier copy of the same source left, or an empty file. What is not safely ours is removed. @throws system errors. */
export async function openPartial(folder: Folder, entry: FileEntry): Promise<PartialFile> {
  const name = partialName(entry.name, entry);
  for (let attempt = 0; ; attempt += 1) {
    try {
      return { handle: await folder.openFile(name, O_RDWR | O_CREAT | O_EXCL, 0o600), name, bytes: 0 };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 2) throw error;
    }
    const found = await openFound(folder, name, entry.size);
    if (found !== null) return found;
    await unlink(folder.at(name)).catch(ignoreMissing);
  }
}

/** What an earlier copy left, when it can only have been written by this user. */
async function openFound(folder: Folder, name: Buffer, size: number): Promise<PartialFile | null> {
  const handle = await folder.openFile(name, O_RDWR).catch(() => null);
  if (handle === null) return null;
  const stats = await handle.stat();
  const isOurs = stats.isFile() && stats.uid === process.geteuid?.() && stats.nlink === 1 && (stats.mode & 0o777) === 0o600;
  if (isOurs) return { handle, name, bytes: Math.min(stats.size, size) };
  await handle.close();
  return null;
}

/** Puts a complete file into its place: mode, times, on the disk, then under its name at once. Closes it. @throws system errors. */
export async function placeFile(folder: Folder, { handle, name }: Pick<PartialFile, 'handle' | 'name'>, entry: FileEntry): Promise<void> {
  try {
    await finishFile(handle, entry);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await rename(folder.at(name), folder.at(entry.name));
  } catch (error) {
    await unlink(folder.at(name)).catch(() => {});
    throw error;
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

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
