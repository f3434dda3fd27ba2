import { MAX_REMEMBERED_EXTRAS } from '../limits.ts';
import { faultCode } from '../tree/file-fault.ts';
import type { Folder } from '../tree/folder.ts';
import { joinPath } from '../tree/names.ts';
import { openWay } from '../tree/open-way.ts';
import { makeWritable, type RemovalRules, removeEntry } from './remove-entry.ts';
import type { SyncFolder } from './sync-folder.ts';

/** What is in one folder and not at the sender. */
interface ExtrasOfFolder {
  /** Names from the root down. */
  readonly way: readonly Buffer[];
  readonly path: Buffer;
  readonly mode: number;
  readonly mtime: number;
  readonly names: readonly Buffer[];
  /** Names that were announced and may be those of files in `names`. */
  readonly aliases: readonly Buffer[];
}

/** Remembers what the sender lacks until everything else is done: a bounded amount. */
export class Extras {
  readonly #folders: ExtrasOfFolder[] = [];
  #bytes = 0;
  #forgotten = 0;

  /** Whether more was found than is remembered. */
  get isIncomplete(): boolean {
    return this.#forgotten > 0;
  }

  /** Takes what is left over in a folder of which everything was announced. */
  add(folder: SyncFolder): void {
    if (folder.extras.length === 0) return;
    const bytes = folder.extras.reduce((sum, name) => sum + name.length + 100, folder.path.length + 500);
    if (this.#bytes + bytes > MAX_REMEMBERED_EXTRAS) {
      this.#forgotten += folder.extras.length;
      return;
    }
    this.#bytes += bytes;
    const { mode, mtime } = folder.entry;
    this.#folders.push({ way: wayOf(folder), path: folder.path, mode, mtime, names: folder.extras, aliases: folder.aliases });
  }

  /** Removes everything, in folders as they were left. What cannot be removed is told. */
  async remove(root: Folder, rules: RemovalRules): Promise<void> {
    for (const each of this.#folders) {
      try {
        const folder = await openWay(root, each.way);
        await removeFrom(folder, each, rules).finally(() => folder.release());
      } catch (error) {
        await rules.onRemoved({ path: each.path, kind: 'folder', code: faultCode(error) });
      }
    }
  }
}

async function removeFrom(folder: Folder, { names, aliases, way, path, mode, mtime }: ExtrasOfFolder, rules: RemovalRules): Promise<void> {
  let hasRemoved = false;
  const onRemoved: RemovalRules['onRemoved'] = (removal) => {
    hasRemoved ||= removal.code === undefined;
    return rules.onRemoved(removal);
  };
  const isRoot = way.length === 0;
  if (!isRoot && !rules.dryRun) await makeWritable(folder);
  const kept = new Set(aliases.map((name) => identityOf(folder, name)));
  for (const name of names)
    if (kept.size === 0 || !kept.has(identityOf(folder, name)))
      await removeEntry({ folder, name, path: joinPath(path, name) }, { ...rules, onRemoved });
  if (rules.dryRun) return;
  // The folder that the user named stays as it is.
  if (!isRoot) await folder.finish({ mode, mtime });
  else if (hasRemoved) await folder.sync();
}

/** Which file a name leads to; the same for several names of one. */
function identityOf(folder: Folder, name: Buffer): string {
  const stats = folder.look(name);
  return stats === null ? '' : `${stats.dev}:${stats.ino}`;
}

function wayOf(folder: SyncFolder): readonly Buffer[] {
  return folder.parent === null ? [] : [...wayOf(folder.parent), folder.entry.name];
}
