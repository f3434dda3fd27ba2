import { access, link, mkdtemp, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isTowlineError, TowlineError } from '@towline/protocol';
import type { DatabaseThread } from './database-thread.ts';
import { untilAborted } from './until-aborted.ts';

/** Copies the database into an empty file by a thread of its own, which is ended with it. */
export async function copyBeside(thread: DatabaseThread, file: string, signal: AbortSignal): Promise<void> {
  try {
    await untilAborted(thread.call('copy.all', [file]), signal);
    await thread.close();
  } finally {
    await thread.terminate();
  }
}

/**
 * Makes a file for its owner only: whole in its place and on the disk, or not at all. Until then it lies beside its place, in
 * a folder of its own that also takes what the database makes beside a file.
 * @throws TowlineError `conflict` when the place is taken; `data_unwritable`; whatever `fill` throws.
 */
export async function placeBackup(path: string, signal: AbortSignal, fill: (file: string) => Promise<void>): Promise<void> {
  signal.throwIfAborted();
  if (await exists(path)) throw taken(path);
  const folder = await naming(path, () => mkdtemp(`${path}.new-`));
  try {
    const file = join(folder, 'backup.db');
    await naming(path, async () => (await open(file, 'wx', 0o600)).close());
    await fill(file);
    await naming(path, () => sync(file));
    signal.throwIfAborted();
    await naming(path, () => place(file, path));
    await naming(path, () => sync(dirname(path)));
  } finally {
    // Where it could not be written it may not be removable either; the reason is told already.
    await rm(folder, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** By a second name, which unlike a new name replaces nothing that came meanwhile. */
async function place(file: string, path: string): Promise<void> {
  try {
    await link(file, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken(path);
    // A file system without second names.
    if (await exists(path)) throw error;
    await rename(file, path);
  }
}

async function sync(path: string): Promise<void> {
  const opened = await open(path, 'r');
  try {
    await opened.sync();
  } finally {
    await opened.close();
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function naming<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (isTowlineError(cause)) throw cause;
    throw new TowlineError('data_unwritable', `The backup ${path} cannot be written (${codeOf(cause)}).`, {
      hint: 'Choose a folder that is there and can be written, or make room.',
      cause,
    });
  }
}

function taken(path: string): TowlineError {
  return new TowlineError('conflict', `${path} exists, and is not overwritten.`, { hint: 'Choose another name for the backup.' });
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | null)?.code ?? error);
}
