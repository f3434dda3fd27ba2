import { open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Sets a file aside: `path` becomes `path.1`, `path.1` becomes `path.2`, and so on up to the first free number; where there
 * is none up to `keep`, the oldest is deleted. Repeating it after a failure therefore neither moves nor deletes more.
 */
export async function rotateFiles(path: string, keep: number): Promise<void> {
  let free = 1;
  while (free < keep && (await isThere(`${path}.${free}`))) free += 1;
  await rm(`${path}.${free}`, { force: true });
  for (let number = free; number > 1; number -= 1) await rename(`${path}.${number - 1}`, `${path}.${number}`);
  await rename(path, `${path}.1`);
  await syncFolder(dirname(path));
}

/** Makes names in a folder durable: a new file is safe only when its name is. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
