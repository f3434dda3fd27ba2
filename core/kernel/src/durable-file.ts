import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Puts a whole file in place or leaves the old one: temporary file, fsync, rename, fsync of the folder. One writer at a time. */
export async function writeAtomically(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  try {
    await writeSynced(temporary, content, mode);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes a file with that content, on the disk when it resolves. @throws EEXIST where there is one. */
export async function writeSynced(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Puts the names in a folder on the disk: without it a power cut may undo that a file was made or renamed. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
