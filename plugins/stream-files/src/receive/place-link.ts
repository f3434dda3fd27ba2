import { renameSync } from 'node:fs';
import { lutimes, readlink, symlink, unlink } from 'node:fs/promises';
import { FileFault } from '../tree/file-fault.ts';
import { timeOf } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { type PartialOf, partialName, partialStem } from '../tree/names.ts';
import type { LinkEntry } from '../wire/schemas.ts';
import { type Replacing, requireReplaceable, takePlace } from './replaceable.ts';

/** Makes a symbolic link, in place of whatever is no folder, at once. It is never followed here, wherever it leads. @throws FileFault, system errors. */
export async function placeLink(folder: Folder, entry: LinkEntry & Pick<PartialOf, 'origin'> & Replacing): Promise<'done' | 'same'> {
  const { name, target, mtime } = entry;
  if (target.length === 0 || target.includes(0)) throw new FileFault('bad_name');
  const there = folder.look(name);
  if (entry.giveWay === undefined) requireReplaceable(there, entry.origin);
  if (there?.isSymbolicLink() && (await readlink(folder.at(name), { encoding: 'buffer' })).equals(target)) {
    await lutimes(folder.at(name), timeOf(mtime), timeOf(mtime)).catch(() => {});
    return 'same';
  }
  const partial = partialName(partialStem(name, { ...entry, size: target.length }));
  await symlink(target, folder.at(partial));
  await lutimes(folder.at(partial), timeOf(mtime), timeOf(mtime));
  await takePlace(entry, () => renameSync(folder.at(partial), folder.at(name))).catch(async (error: unknown) => {
    await unlink(folder.at(partial)).catch(() => {});
    throw error;
  });
  return 'done';
}
