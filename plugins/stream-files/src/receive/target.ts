import { mkdir } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { FileFault } from '../tree/file-fault.ts';
import { Folder, kindOf } from '../tree/folder.ts';

/** Where a copy goes: into an open folder, under the name that the source has or under another. */
export interface Target {
  readonly folder: Folder;
  /** Whether that is the folder that was named, and not the one that holds what was named. */
  readonly into: boolean;
  /** Name of the copy in it, empty: the folder itself. Null: whatever the sender calls it, which only the user's own program may decide. */
  readonly name: Buffer | null;
  /** Path of that folder, as it was named. */
  readonly path: string;
}

/**
 * Opens where a copy goes. A path that is a folder, or ends in a slash, `.` or `..`, is what the copy goes into; a missing one that ends in a slash is
 * made. Anything else is what the copy becomes. With `exact` it is that in any case. @throws FileFault `no_target`, system errors.
 */
export async function openTarget(path: string, exact: boolean): Promise<Target> {
  const isInto = /(^|\/)\.{0,2}$/.test(path);
  if (!exact && (isInto || (await kindOf(path)) === 'folder')) return { folder: await openInto(path), into: true, name: null, path };
  const real = path.replace(/\/+$/, '') || '/';
  const name = basename(real);
  if (name === '' || name === '.' || name === '..') throw new FileFault('EISDIR');
  return { folder: await openParent(dirname(real)), into: false, name: Buffer.from(name), path: dirname(real) };
}

async function openInto(path: string): Promise<Folder> {
  if ((await kindOf(path)) === null) {
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') throw new FileFault('no_target');
      if (error.code !== 'EEXIST') throw error;
    });
  }
  return Folder.open(path);
}

async function openParent(path: string): Promise<Folder> {
  try {
    return await Folder.open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new FileFault('no_target');
    throw error;
  }
}
