import { open, realpath, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TowlineError } from '@towline/protocol';

/**
 * Replaces a file by new content (0600): whoever reads sees all of the old or all of the new, also after a loss
 * of power. Call it under the lock of the file: the temporary file beside it has one name, so that a killed
 * process leaves no secrets lying around for long.
 * @throws TowlineError `data_unwritable`.
 */
export async function writeFileAtomically(path: string, content: string): Promise<void> {
  try {
    // Where the user keeps the file elsewhere by a link, the link stays.
    const target = await realpath(path).catch(() => path);
    const temporary = `${target}.new`;
    await rm(temporary, { force: true });
    await writeDurably(temporary, content);
    await rename(temporary, target);
    await syncFolder(dirname(target));
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    throw new TowlineError('data_unwritable', `${path} cannot be written (${cause.code ?? cause.message}).`, {
      hint: `Check the owner and mode of ${dirname(path)} and the space on its disk.`,
      cause,
    });
  }
}

async function writeDurably(path: string, content: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncFolder(dir: string): Promise<void> {
  // Windows opens no folders.
  if (process.platform === 'win32') return;
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
