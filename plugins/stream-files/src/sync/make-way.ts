import { rename } from 'node:fs/promises';
import type { Excludes } from '../tree/excludes.ts';
import { FileFault } from '../tree/file-fault.ts';
import { partialName, partialStem } from '../tree/names.ts';
import { sortedNames } from '../tree/sorted-names.ts';
import { holdsExcluded, type Named, type RemovalRules, removeEntry } from './remove-entry.ts';

/** Under which rules a folder may give way to a file. */
export interface WayRules extends Pick<RemovalRules, 'dryRun' | 'onRemoved'> {
  readonly excludes: Excludes;
  readonly delete: boolean;
}

/** A folder that stands aside until what takes its place is there. */
export interface Aside {
  /** Puts it back. */
  putBack(): Promise<void>;
  /** Removes it: its place is taken. */
  remove(): Promise<void>;
}

/**
 * Lets a folder give way to something that is none: an empty one always, another with `delete` only, and never one that holds what is
 * excluded. It is moved aside, so that nothing is lost when what comes does not come. @throws FileFault `not_empty`, `kept`, system errors.
 */
export async function makeWay(named: Named, rules: WayRules): Promise<Aside> {
  const { folder, name, path } = named;
  if (rules.excludes.isExcluded(path, true) || (await holdsExcluded(named, rules.excludes))) throw new FileFault('kept');
  if (!rules.delete && !(await isEmpty(named))) throw new FileFault('not_empty');
  const removal = { excludes: null, dryRun: rules.dryRun, onRemoved: rules.onRemoved };
  if (rules.dryRun) return { putBack: async () => {}, remove: async () => void (await removeEntry(named, removal)) };
  const aside = partialName(partialStem(name, { size: 0, mtime: 0, origin: 'sync' }));
  await rename(folder.at(name), folder.at(aside));
  return {
    putBack: async () => {
      await rename(folder.at(aside), folder.at(name));
    },
    remove: async () => void (await removeEntry({ folder, name: aside, path }, removal)),
  };
}

async function isEmpty({ folder, name }: Named): Promise<boolean> {
  const inside = await folder.child(name);
  return (await sortedNames(inside).finally(() => inside.release())).length === 0;
}
