import { mkdir, rename, rmdir } from 'node:fs/promises';
import type { Aside } from '../receive/replaceable.ts';
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

/**
 * Lets a folder give way to something that is none: an empty one always, another with `delete` only, and never one that holds what is
 * excluded. Answers what moves it aside, which is called when everything of the file has come: whoever is interrupted before has lost
 * nothing. @throws FileFault `not_empty`, `kept`, system errors.
 */
export async function makeWay(named: Named, rules: WayRules): Promise<() => Promise<Aside>> {
  await requireWay(named, rules);
  return async () => {
    if (rules.dryRun) return { putBack: async () => {}, remove: async () => void (await removeEntry(named, removalOf(rules))) };
    await requireWay(named, rules);
    return rules.delete ? moveAside(named, rules) : removeEmpty(named, rules);
  };
}

async function requireWay(named: Named, rules: WayRules): Promise<void> {
  if (rules.excludes.isExcluded(named.path, true) || (await holdsExcluded(named, rules.excludes))) throw new FileFault('kept');
  if (!rules.delete && !(await isEmpty(named))) throw new FileFault('not_empty');
}

async function moveAside({ folder, name, path }: Named, rules: WayRules): Promise<Aside> {
  const aside = partialName(partialStem(name, { size: 0, mtime: 0, origin: 'sync' }));
  await rename(folder.at(name), folder.at(aside));
  return {
    putBack: () => rename(folder.at(aside), folder.at(name)),
    remove: async () => void (await removeEntry({ folder, name: aside, path }, removalOf(rules))),
  };
}

/** Removed at once, which fails when something was put into it meanwhile. */
async function removeEmpty({ folder, name, path }: Named, { onRemoved }: WayRules): Promise<Aside> {
  const mode = folder.look(name)?.mode ?? 0o700;
  await rmdir(folder.at(name));
  return { putBack: () => mkdir(folder.at(name), mode & 0o777), remove: () => onRemoved({ path, kind: 'folder' }) };
}

function removalOf({ dryRun, onRemoved }: WayRules): RemovalRules {
  return { excludes: null, dryRun, onRemoved };
}

async function isEmpty({ folder, name }: Named): Promise<boolean> {
  const inside = await folder.child(name);
  return (await sortedNames(inside).finally(() => inside.release())).length === 0;
}
