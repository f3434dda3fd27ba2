import { realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { Folder } from '../tree/folder.ts';

/** What is to be sent: one name in an open folder, or the folder itself. */
export interface Source {
  readonly folder: Folder;
  /** Null: the folder itself. */
  readonly name: Buffer | null;
  /** Name under which the receiver gets it; empty: the content of the folder, without it. */
  readonly as: Buffer;
}

/** A path of a user made absolute: `~` is the home folder, and what is relative begins at `from`. */
export function absolutePath(path: string, { home, from }: { readonly home: string; readonly from: string }): string {
  if (path === '~') return home;
  if (path.startsWith('~/')) return join(home, path.slice(1));
  return isAbsolute(path) ? path : `${from}/${path}`;
}

/**
 * The name that a copy of a path gets where it goes into a folder. Empty for a path whose last part is no name of its own (`.`, `..`, `~`, none): then
 * the content of that folder is what is copied.
 */
export function copyName(path: string): Buffer {
  const last = basename(path);
  return Buffer.from(last === '.' || last === '..' || path === '~' ? '' : last);
}

/**
 * Opens what a user named, links followed: the last one too, as cp and scp do with a file. `path` is absolute, `as` the name of its copy.
 * @throws system errors.
 */
export async function openSource(path: string, as: Buffer): Promise<Source> {
  const real = await realpath(path);
  const folder = await Folder.open(real).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTDIR') throw error;
    return null;
  });
  if (folder !== null) return { folder, name: null, as };
  return { folder: await Folder.open(dirname(real)), name: Buffer.from(basename(real)), as };
}
