import { type FSWatcher, watch } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { MAX_DEPTH, MAX_WATCHED_FOLDERS } from '../limits.ts';
import type { Excludes } from '../tree/excludes.ts';
import { Folder } from '../tree/folder.ts';
import { isPartialName, joinPath } from '../tree/names.ts';

/** Paths that are remembered to have been replaced. Beyond it all are taken to be. */
const MAX_STALE = 10_000;
const DOT = Buffer.from('.');

/** How one folder is watched. */
interface Watched {
  readonly watcher: FSWatcher;
  /** Which folder it is: a path may become that of another one. */
  readonly identity: string;
  round: number;
}

/**
 * Watches a tree: each folder for itself, as the system does it, so that names in any bytes and excluded folders are as elsewhere here. Which folders
 * there are is found out by {@link TreeWatch.refresh}, before each use of the tree; what happens in a new one before it is watched is seen
 * by whoever reads the tree afterwards.
 */
export class TreeWatch {
  readonly #path: string;
  readonly #excludes: Excludes;
  readonly #onChange: () => void;
  readonly #watched = new Map<string, Watched>();
  /** Paths under which something else may stand now. */
  #stale = new Set<string>();
  /** The same, while the tree is gone through. */
  #due: ReadonlySet<string> = new Set();
  #isAllStale = false;
  #round = 0;
  #isComplete = true;

  constructor({ path, excludes, onChange }: { readonly path: string; readonly excludes: Excludes; readonly onChange: () => void }) {
    this.#path = path;
    this.#excludes = excludes;
    this.#onChange = onChange;
  }

  /**
   * Watches what is there now, and nothing else. With `anew` every watch is set again, which heals what the system has lost. False when not
   * everything can be watched: the root is gone, or the system has no more watches.
   */
  async refresh(anew: boolean): Promise<boolean> {
    this.#round += 1;
    this.#isComplete = true;
    const isAllDue = anew || this.#isAllStale;
    this.#due = this.#stale;
    this.#stale = new Set();
    this.#isAllStale = false;
    const root = await realpath(this.#path)
      .then((real) => Folder.open(real))
      .catch(() => null);
    if (root === null) this.#isComplete = false;
    else await this.#watchBelow(root, { path: Buffer.alloc(0), depth: 0, anew: isAllDue }).finally(() => root.release());
    for (const [key, { round }] of this.#watched) if (round !== this.#round) this.#forget(key);
    return this.#isComplete;
  }

  close(): void {
    for (const key of [...this.#watched.keys()]) this.#forget(key);
  }

  async #watchBelow(folder: Folder, at: { readonly path: Buffer; readonly depth: number; readonly anew: boolean }): Promise<void> {
    const { path, depth } = at;
    const anew = await this.#watch(folder, path, at.anew);
    try {
      for await (const name of folder.folderNames()) await this.#visit(folder, name, { path: joinPath(path, name), depth, anew });
    } catch {
      // What cannot be read is told by whoever reads the tree.
    }
  }

  async #visit(
    folder: Folder,
    name: Buffer,
    { path, depth, anew }: { readonly path: Buffer; readonly depth: number; readonly anew: boolean },
  ): Promise<void> {
    const child = await folder.child(name).catch(() => null);
    if (child === null) return;
    try {
      if (depth < MAX_DEPTH && !this.#excludes.isExcluded(path, true)) await this.#watchBelow(child, { path, depth: depth + 1, anew });
    } finally {
      child.release();
    }
  }

  /** Watches one folder, before it is read. Answers whether the watch is new: those below are set anew then too. */
  async #watch(folder: Folder, path: Buffer, anew: boolean): Promise<boolean> {
    const key = path.toString('latin1');
    const { dev, ino, birthtimeMs } = await folder.stat();
    const identity = `${dev}:${ino}:${birthtimeMs}`;
    const known = this.#watched.get(key);
    if (known !== undefined && known.identity === identity && !anew && !this.#due.has(key)) {
      known.round = this.#round;
      return false;
    }
    this.#forget(key);
    if (this.#watched.size >= MAX_WATCHED_FOLDERS) this.#isComplete = false;
    else this.#set(folder, { key, path, identity });
    return true;
  }

  #set(folder: Folder, { key, path, identity }: { readonly key: string; readonly path: Buffer; readonly identity: string }): void {
    try {
      const watcher = watch(folder.at(DOT), { encoding: 'buffer' }, (event, name) => this.#happened(path, event, name));
      watcher.on('error', () => {
        this.#replaced(key);
        this.#onChange();
      });
      this.#watched.set(key, { watcher, identity, round: this.#round });
    } catch {
      // No more watches, or gone.
      this.#isComplete = false;
    }
  }

  #happened(folder: Buffer, event: string, name: Buffer | null): void {
    const isSelf = name === null || name.equals(DOT);
    const path = isSelf ? folder : joinPath(folder, name);
    if (event === 'rename') this.#replaced(path.toString('latin1'));
    if (isSelf) return this.#onChange();
    if (isPartialName(name) || (this.#excludes.isExcluded(path, false) && this.#excludes.isExcluded(path, true))) return;
    this.#onChange();
  }

  #replaced(key: string): void {
    if (this.#stale.size < MAX_STALE) this.#stale.add(key);
    else this.#isAllStale = true;
  }

  #forget(key: string): void {
    this.#watched.get(key)?.watcher.close();
    this.#watched.delete(key);
  }
}
