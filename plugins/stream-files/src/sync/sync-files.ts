import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { lutimes, readlink, unlink } from 'node:fs/promises';
import type { EntryOutcome } from '../observer.ts';
import type { ContentQueue } from '../receive/content-queue.ts';
import { PartialsOfFolder } from '../receive/partials-of-folder.ts';
import { placeLink } from '../receive/place-link.ts';
import type { Replacing } from '../receive/replaceable.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import { isTime, timeOf } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { joinPath } from '../tree/names.ts';
import { sortedNames } from '../tree/sorted-names.ts';
import type { FileEntry, FolderEntry, LinkEntry } from '../wire/schemas.ts';
import { makeWay, type WayRules } from './make-way.ts';
import { makeWritable, removeEntry } from './remove-entry.ts';
import type { FoundFolder, SyncFolder } from './sync-folder.ts';

/** How the target is made like the source. */
export interface SyncRules extends WayRules {
  readonly checksum: boolean;
}

/** What became of an entry. */
export type Outcome = Pick<EntryOutcome, 'status' | 'change'>;

const SAME: Outcome = { status: 'same' };
const NEW: Outcome = { status: 'done', change: 'new' };
const CONTENT: Outcome = { status: 'done', change: 'content' };
const ATTRIBUTES: Outcome = { status: 'done', change: 'attributes' };

/** What receiving one entry works with. */
export interface SyncFileParts {
  readonly content: ContentQueue;
  readonly rules: SyncRules;
  readonly parent: SyncFolder;
  /** Whether the listing of the folder has something of that name. */
  readonly isPresent: boolean;
}

/** Makes one name like the file or link that was announced. @throws FileFault, system errors. */
export async function syncEntry(entry: FileEntry | LinkEntry, parts: SyncFileParts): Promise<Outcome> {
  const { parent, rules } = parts;
  if (parent.found === null) throw new FileFault('no_parent');
  const { folder } = parent.found;
  if (folder === null) return NEW;
  const there = parts.isPresent ? folder.look(entry.name) : null;
  if (there?.isDirectory()) return replaceFolder(entry, parts, folder);
  if (entry.kind === 'link') return syncLink(entry, folder, { there, rules });
  if (there !== null && isSame(there, entry) && !rules.checksum) {
    const outcome = await syncAttributes(entry, folder, { there, rules });
    if (outcome !== null) return outcome;
  }
  return receive(entry, parts, { folder, there });
}

function isSame(there: Stats, entry: FileEntry): boolean {
  return there.isFile() && there.size === entry.size && isTime(there.mtimeMs, entry.mtime);
}

async function replaceFolder(entry: FileEntry | LinkEntry, parts: SyncFileParts, folder: Folder): Promise<Outcome> {
  const { rules, parent } = parts;
  const giveWay = await makeWay({ folder, name: entry.name, path: joinPath(parent.path, entry.name) }, rules);
  if (rules.dryRun) await (await giveWay()).remove();
  else await receive({ ...entry, giveWay }, parts, { folder, there: null });
  return CONTENT;
}

async function receive(
  entry: (FileEntry | LinkEntry) & Replacing,
  { content, rules, parent }: SyncFileParts,
  { folder, there }: { folder: Folder; there: Stats | null },
): Promise<Outcome> {
  const change = there === null ? NEW : CONTENT;
  if (rules.dryRun) return change;
  if (entry.kind === 'link') {
    await placeLink(folder, { ...entry, origin: 'sync' });
    return change;
  }
  const placed = await content.receive({ ...entry, origin: 'sync', anyTime: rules.checksum }, folder, parent.found?.partials ?? null);
  if (placed === 'done') return change;
  return there !== null && isSame(there, entry) && isMode(there, entry) ? SAME : ATTRIBUTES;
}

function isMode(there: Stats, { mode }: FileEntry | FolderEntry): boolean {
  return (there.mode & 0o777) === (mode & 0o777);
}

interface There {
  readonly there: Stats;
  readonly rules: SyncRules;
}

/** Gives a file that is the same its mode; null when it cannot be opened: it is received anew then. @throws system errors. */
async function syncAttributes(entry: FileEntry, folder: Folder, { there, rules }: There): Promise<Outcome | null> {
  if (isMode(there, entry)) return SAME;
  if (rules.dryRun) return ATTRIBUTES;
  const handle = await folder.openFile(entry.name, constants.O_RDONLY).catch(() => null);
  if (handle === null) return null;
  try {
    const stats = await handle.stat();
    if (!isSame(stats, entry)) return null;
    await handle.chmod(entry.mode & 0o777);
    return ATTRIBUTES;
  } finally {
    await handle.close();
  }
}

/** @throws FileFault, system errors. */
async function syncLink(entry: LinkEntry, folder: Folder, { there, rules }: { there: Stats | null; rules: SyncRules }): Promise<Outcome> {
  const isLink = there?.isSymbolicLink() === true;
  if (isLink && (await readlink(folder.at(entry.name), { encoding: 'buffer' })).equals(entry.target)) {
    if (!rules.dryRun && !isTime(there.mtimeMs, entry.mtime))
      await lutimes(folder.at(entry.name), timeOf(entry.mtime), timeOf(entry.mtime)).catch(() => {});
    return SAME;
  }
  if (!rules.dryRun) await placeLink(folder, { ...entry, origin: 'sync' });
  return there === null ? NEW : CONTENT;
}

/** Opens or makes a folder of the target, with the names in it. Something else of that name gives way. @throws FileFault, system errors. */
export async function syncFolder(entry: FolderEntry, { parent, rules, isPresent }: SyncFileParts): Promise<FoundFolder> {
  if (parent.found === null) throw new FileFault('no_parent');
  const outer = parent.found.folder;
  if (outer === null) return NOTHING;
  const there = isPresent ? outer.look(entry.name) : null;
  if (there !== null && !there.isDirectory()) {
    const path = joinPath(parent.path, entry.name);
    // What stands there is of another kind, and the rules may be about that kind.
    if (rules.excludes.isExcluded(path, false)) throw new FileFault('kept');
    await removeEntry({ folder: outer, name: entry.name, path }, { ...rules, excludes: null });
  }
  if (rules.dryRun && there?.isDirectory() !== true) return NOTHING;
  const { folder, isNew } = rules.dryRun ? { folder: await outer.child(entry.name), isNew: false } : await outer.childOrNew(entry.name);
  return findIn(folder, { isNew, dryRun: rules.dryRun, isListed: entry.some !== true });
}

/** Where nothing is, in a dry run. */
export const NOTHING: FoundFolder = { folder: null, isNew: true, names: [], partials: null, mode: null };

/** How an open folder is looked into. */
export interface Finding {
  readonly isNew: boolean;
  readonly dryRun: boolean;
  /** Whether its names are read. */
  readonly isListed: boolean;
}

/** What is in an open folder, which is released when that cannot be told. @throws FileFault, system errors. */
export async function findIn(folder: Folder, { isNew, dryRun, isListed }: Finding): Promise<FoundFolder> {
  try {
    if (isNew) return { ...NOTHING, folder };
    const { mode } = await folder.stat();
    if (!dryRun) await makeWritable(folder);
    const names = isListed ? await sortedNames(folder) : null;
    return { folder, isNew, names, partials: PartialsOfFolder.of(names ?? []), mode };
  } catch (error) {
    folder.release();
    throw error;
  }
}

/** Reads the names in a folder of which only some is announced, before the first of them is. Answers why it cannot; null: it could. */
export async function listFound(parent: SyncFolder): Promise<string | null> {
  const { found } = parent;
  if (found?.folder == null || found.names !== null) return null;
  try {
    const names = await sortedNames(found.folder);
    parent.found = { ...found, names, partials: PartialsOfFolder.of(names) };
    return null;
  } catch (error) {
    return faultCode(error);
  }
}

/** Ends the work on a folder in which everything is settled: what earlier runs left is removed, mode and time are given. @throws system errors. */
export async function finishFolder({ entry, found, parent, partials, hasFailed, path }: SyncFolder, rules: SyncRules): Promise<Outcome> {
  if (found === null) throw new FileFault('no_parent');
  const { folder, isNew, mode } = found;
  const isRoot = parent === null;
  const isChanged = !isRoot && mode !== null && (mode & 0o777) !== (entry.mode & 0o777);
  const outcome = isNew ? NEW : isChanged ? ATTRIBUTES : SAME;
  if (folder === null || rules.dryRun) return outcome;
  if (!hasFailed) await removePartials(folder, partials, { path, rules });
  const now = await folder.stat();
  // The folder that the user named stays as it is.
  if (isRoot) await folder.sync();
  else if (!isTime(now.mtimeMs, entry.mtime) || (now.mode & 0o777) !== (entry.mode & 0o777)) await folder.finish(entry);
  return outcome;
}

/** What stood aside or came in part when an earlier run was interrupted. Those that this run went on with are files now. */
async function removePartials(
  folder: Folder,
  partials: readonly Buffer[],
  { path, rules }: { path: Buffer; rules: SyncRules },
): Promise<void> {
  for (const name of partials) {
    if (folder.look(name)?.isDirectory()) {
      // What a run with --delete moved aside is not removed by one without.
      if (rules.delete) await removeEntry({ folder, name, path: joinPath(path, name) }, { ...rules, excludes: null });
    } else await unlink(folder.at(name)).catch(() => {});
  }
}
