import { access, type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isTowlineError, TowlineError } from '@towline/contract';

/**
 * Writes a file for its owner only: whole in its place, or not at all. Another one there is replaced only with `force`.
 * @throws TowlineError `conflict` when one is there; `data_unwritable`; whatever the content throws.
 */
export async function placeFile(path: string, content: AsyncIterable<Buffer>, { force }: { readonly force: boolean }): Promise<void> {
  if (!force && (await exists(path))) throw fileExists(path);
  const temporary = `${path}.${process.pid}.new`;
  try {
    const file = await naming(path, () => open(temporary, 'wx', 0o600));
    try {
      for await (const chunk of content) await naming(path, () => writeWhole(file, chunk));
      await naming(path, () => file.sync());
    } finally {
      await file.close();
    }
    await naming(path, () => (force ? rename(temporary, path) : placeWhereNoneIs(temporary, path)));
    await naming(path, () => syncFolder(dirname(path)));
  } finally {
    // Where it could not be made it cannot be removed either.
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

async function writeWhole(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let written = 0; written < chunk.length; ) written += (await file.write(chunk, written)).bytesWritten;
}

/** By a second name, which unlike a new name replaces nothing that came meanwhile. */
async function placeWhereNoneIs(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw fileExists(path);
    // A file system without second names.
    if (await exists(path)) throw error;
    await rename(temporary, path);
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function exists(path: string): Promise<boolean> {
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
    throw new TowlineError('data_unwritable', `${path} cannot be written (${codeOf(cause)}).`, {
      hint: 'Choose another place, or make room; what was there before is unchanged.',
      cause,
    });
  }
}

function fileExists(path: string): TowlineError {
  return new TowlineError('conflict', `${path} exists, and is not overwritten.`, { hint: 'Choose another name, or give --force.' });
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException | null)?.code ?? error);
}
