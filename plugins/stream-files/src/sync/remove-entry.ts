import { rmdir, unlink } from 'node:fs/promises';
import { MAX_DEPTH } from '../limits.ts';
import type { Removal } from '../observer.ts';
import type { Excludes } from '../tree/excludes.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import type { Folder } from '../tree/folder.ts';
import { joinPath } from '../tree/names.ts';
import { sortedNames } from '../tree/sorted-names.ts';

/** How things are removed. */
export interface RemovalRules {
  /** What is kept; null: nothing is. */
  readonly excludes: Excludes | null;
  /** Whether nothing is done, only told. */
  readonly dryRun: boolean;
  /** Something was removed, or could not be. Resolves when more may be told. */
  readonly onRemoved: (removal: Removal) => Promise<void>;
}

/** One name in a folder, and its path for rules and people. */
export interface Named {
  readonly folder: Folder;
  readonly name: Buffer;
  readonly path: Buffer;
}

/** Removes a file, a link or a tree; links are removed and never followed. Answers whether nothing is left of it. Failures are told, not thrown. */
export async function removeEntry(named: Named, rules: RemovalRules, depth = 0): Promise<boolean> {
  let kind: Removal['kind'] = 'file';
  try {
    const stats = named.folder.look(named.name);
    if (stats === null) return true;
    if (rules.excludes?.isExcluded(named.path, stats.isDirectory())) return false;
    kind = stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'file';
    if (kind === 'folder') return await removeFolder(named, rules, depth);
    if (!rules.dryRun) await unlink(named.folder.at(named.name));
  } catch (error) {
    await rules.onRemoved({ path: named.path, kind, code: faultCode(error) });
    return false;
  }
  await rules.onRemoved({ path: named.path, kind });
  return true;
}

/** @throws FileFault, system errors. */
async function removeFolder({ folder, name, path }: Named, rules: RemovalRules, depth: number): Promise<boolean> {
  if (depth > MAX_DEPTH) throw new FileFault('too_deep');
  const inside = await folder.child(name);
  let isEmpty = true;
  try {
    await requireSameSystem(folder, inside);
    if (!rules.dryRun) await makeWritable(inside);
    for (const each of await sortedNames(inside)) {
      const isGone = await removeEntry({ folder: inside, name: each, path: joinPath(path, each) }, rules, depth + 1);
      isEmpty &&= isGone;
    }
  } finally {
    inside.release();
  }
  if (!isEmpty) return false;
  if (!rules.dryRun) await rmdir(folder.at(name));
  await rules.onRemoved({ path, kind: 'folder' });
  return true;
}

/** What is mounted in a tree is no part of it. @throws FileFault `EXDEV`. */
async function requireSameSystem(outer: Folder, inner: Folder): Promise<void> {
  const [left, right] = await Promise.all([outer.stat(), inner.stat()]);
  if (left.dev !== right.dev) throw new FileFault('EXDEV');
}

/** Makes a folder of ours one that can be worked in. Somebody else's stays as it is. @throws system errors. */
export async function makeWritable(folder: Folder): Promise<void> {
  const { mode, uid, mtimeMs: mtime } = await folder.stat();
  if ((mode & 0o700) !== 0o700 && uid === process.geteuid?.()) await folder.finish({ mode: mode | 0o700, mtime });
}

/** Whether something in a tree is kept by the rules. @throws FileFault, system errors. */
export async function holdsExcluded({ folder, name, path }: Named, excludes: Excludes, depth = 0): Promise<boolean> {
  if (depth > MAX_DEPTH) throw new FileFault('too_deep');
  const inside = await folder.child(name);
  try {
    await requireSameSystem(folder, inside);
    for await (const each of inside.names()) {
      const below = { folder: inside, name: each, path: joinPath(path, each) };
      const isFolder = inside.look(each)?.isDirectory() === true;
      if (excludes.isExcluded(below.path, isFolder) || (isFolder && (await holdsExcluded(below, excludes, depth + 1)))) return true;
    }
    return false;
  } finally {
    inside.release();
  }
}
