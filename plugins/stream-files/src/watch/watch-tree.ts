import { type FSWatcher, readFileSync, type Stats, watch } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { MAX_DEPTH, MAX_WATCHED_FOLDERS } from '../limits.ts';
import { Coverage } from '../tree/coverage.ts';
import type { Excludes } from '../tree/excludes.ts';
import { faultCode } from '../tree/file-fault.ts';
import { Folder } from '../tree/folder.ts';
import { isPartialName, joinPath } from '../tree/names.ts';
import { openWay } from '../tree/open-way.ts';
import { Heard } from './heard.ts';

const DOT = Buffer.from('.');
const ROOT = Buffer.alloc(0);
/** What a folder says that is not there any more. */
const GONE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);

/** How one folder is watched. */
interface Watched {
  /** Null: it cannot be watched. */
  readonly watcher: FSWatcher | null;
  /** Which folder it is: a path may become that of another one. */
  readonly identity: string;
  /** Folders in it, by their names, one character a byte. */
  readonly inner: Map<string, Watched>;
}

/** Where in the tree something is done. */
interface Place {
  readonly path: Buffer;
  readonly depth: number;
  /** Whether watches that are there are set anew. */
  readonly anew: boolean;
  /** Names under which something else may stand now. */
  readonly heard: Heard;
}

/** What was heard, and where it is noted what that means. */
interface Following {
  readonly heard: Heard;
  readonly coverage: Coverage;
}

/** A folder in which names are followed. */
interface FollowedPlace {
  readonly path: Buffer;
  readonly depth: number;
  readonly coverage: Coverage;
}

/** What is watched, and who hears of it. */
export interface TreeWatchParts {
  readonly path: string;
  readonly excludes: Excludes;
  readonly onChange: () => void;
}

/**
 * Watches a tree: each folder for itself, as the system does it, so that names in any bytes and excluded folders are as elsewhere here. Which folders
 * there are is found out by {@link TreeWatch.refresh} and {@link TreeWatch.follow}, before each use of the tree; what happens in a new one
 * before it is watched is seen by whoever reads it afterwards.
 */
export class TreeWatch {
  readonly #path: string;
  readonly #excludes: Excludes;
  readonly #onChange: () => void;
  readonly #mostEvents = mostEvents();
  #root: Watched | null = null;
  #count = 0;
  #heard: Heard;
  #isComplete = true;

  constructor({ path, excludes, onChange }: TreeWatchParts) {
    this.#path = path;
    this.#excludes = excludes;
    this.#onChange = onChange;
    this.#heard = new Heard(this.#mostEvents);
  }

  /** False when not everything can be watched: the root is gone, or the system has no more watches. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Watches what is there now, and nothing else. With `anew` every watch is set again, which heals what the system has lost. */
  async refresh(anew: boolean): Promise<void> {
    this.#isComplete = true;
    const root = await this.#openRoot();
    if (root === null) {
      this.close();
      this.#isComplete = false;
      return;
    }
    // What was heard stays heard: it is followed when somebody asks.
    const place = { path: ROOT, depth: 0, anew, heard: this.#heard };
    this.#root = await this.#watchBelow(root, this.#root, place).finally(() => root.release());
  }

  /** Watches what is new where something was heard since the last time. Answers where that was: everywhere, when it cannot be told. */
  async follow(): Promise<Coverage> {
    const heard = this.#heard;
    this.#heard = new Heard(this.#mostEvents);
    const coverage = heard.isEverywhere || this.#root === null ? null : await this.#followRoot(this.#root, heard);
    if (coverage === null) await this.refresh(true);
    return coverage ?? Coverage.whole();
  }

  close(): void {
    this.#forget(this.#root);
    this.#root = null;
  }

  #openRoot(): Promise<Folder | null> {
    return realpath(this.#path)
      .then((real) => Folder.open(real))
      .catch(() => null);
  }

  /** Null when a folder is gone of which nobody said so, or another one. */
  async #followRoot(known: Watched, heard: Heard): Promise<Coverage | null> {
    const root = await this.#openRoot();
    if (root === null) return null;
    try {
      if (identityOf(await root.stat()) !== known.identity) return null;
      const coverage = new Coverage();
      // What holds others comes first: those that were replaced are watched anew then.
      for (const path of heard.folders()) if (!(await this.#followFolder(root, path, { heard, coverage }))) return null;
      return coverage;
    } finally {
      root.release();
    }
  }

  /** False when another folder stands there than the one that was watched. */
  async #followFolder(root: Folder, path: Buffer, { heard, coverage }: Following): Promise<boolean> {
    const way = path.length === 0 ? [] : path.toString('latin1').split('/');
    const known = this.#find(way);
    // One that is not watched any more is gone or new: what holds it said so before.
    if (known === null) return true;
    const names = way.map((name) => Buffer.from(name, 'latin1'));
    const folder = await openWay(root, names).catch((error: unknown) => faultCode(error));
    if (typeof folder === 'string') {
      // What cannot be read is told by whoever reads the tree.
      if (!GONE.has(folder)) coverage.addFolder(path);
      return true;
    }
    try {
      if (identityOf(await folder.stat()) !== known.identity) return false;
      if (heard.isWhole(path)) coverage.addFolder(path);
      const place = { path, depth: way.length, coverage };
      for (const { name, isReplaced } of heard.namesIn(path)) {
        if (!coverage.has(path)) coverage.addName(joinPath(path, name));
        if (isReplaced) await this.#followName(folder, known, { name, place });
      }
      return true;
    } finally {
      folder.release();
    }
  }

  /** Something else may stand under a name now. */
  async #followName(
    folder: Folder,
    known: Watched,
    { name, place }: { readonly name: Buffer; readonly place: FollowedPlace },
  ): Promise<void> {
    const key = name.toString('latin1');
    const path = joinPath(place.path, name);
    this.#forget(known.inner.get(key) ?? null);
    known.inner.delete(key);
    try {
      if (!folder.look(name)?.isDirectory() || !this.#isWatched(path, name, place.depth)) return;
      place.coverage.addTree(path);
      const child = await folder.child(name);
      const inside = { path, depth: place.depth + 1, anew: true, heard: Heard.nothing };
      known.inner.set(key, await this.#watchBelow(child, null, inside).finally(() => child.release()));
    } catch (error) {
      // It was replaced again, which is heard of next; or it cannot be entered, which is told by whoever reads the tree.
      if (!GONE.has(faultCode(error))) this.#isComplete = false;
    }
  }

  #find(way: readonly string[]): Watched | null {
    let watched = this.#root;
    for (const name of way) watched = watched?.inner.get(name) ?? null;
    return watched;
  }

  /** Watches a folder, before it is read, and those in it. A new watch sets those below anew too. */
  async #watchBelow(folder: Folder, known: Watched | null, place: Place): Promise<Watched> {
    const identity = identityOf(await folder.stat());
    const isKept = known !== null && known.watcher !== null && known.identity === identity && !place.anew;
    const watched = isKept
      ? known
      : { watcher: this.#set(folder, place.path), identity, inner: known?.inner ?? new Map<string, Watched>() };
    // Afterwards: of one and the same folder nothing is missed between. Those in it are set anew when it is their turn, for the same reason.
    if (!isKept && known !== null) this.#unset(known);
    const inside = { ...place, anew: place.anew || !isKept };
    const seen = new Set<string>();
    try {
      for await (const name of folder.folderNames())
        if (await this.#visit(folder, watched, { name, place: inside })) seen.add(name.toString('latin1'));
    } catch {
      // What cannot be read is told by whoever reads the tree.
    }
    for (const [key, inner] of watched.inner) {
      if (seen.has(key)) continue;
      this.#forget(inner);
      watched.inner.delete(key);
    }
    return watched;
  }

  /** Answers whether there is a folder of that name to be watched. */
  async #visit(folder: Folder, watched: Watched, { name, place }: { readonly name: Buffer; readonly place: Place }): Promise<boolean> {
    const path = joinPath(place.path, name);
    if (!this.#isWatched(path, name, place.depth)) return false;
    const child = await folder.child(name).catch(() => null);
    if (child === null) return false;
    const key = name.toString('latin1');
    const anew = place.anew || place.heard.hasReplaced(place.path, key);
    const inside = { path, depth: place.depth + 1, anew, heard: place.heard };
    const inner = await this.#watchBelow(child, watched.inner.get(key) ?? null, inside).finally(() => child.release());
    watched.inner.set(key, inner);
    return true;
  }

  #isWatched(path: Buffer, name: Buffer, depth: number): boolean {
    return depth < MAX_DEPTH && !isPartialName(name) && !this.#excludes.isExcluded(path, true);
  }

  #set(folder: Folder, path: Buffer): FSWatcher | null {
    try {
      if (this.#count >= MAX_WATCHED_FOLDERS) throw new Error('too many');
      const watcher = watch(folder.at(DOT), { encoding: 'buffer' }, (event, name) => this.#happened(path, event, name));
      watcher.on('error', () => this.#replaced(path));
      this.#count += 1;
      return watcher;
    } catch {
      // No more watches, or gone.
      this.#isComplete = false;
      return null;
    }
  }

  #happened(folder: Buffer, event: string, name: Buffer | null): void {
    const isSelf = name === null || name.equals(DOT);
    if (isSelf && event === 'rename') return this.#replaced(folder);
    const path = isSelf ? folder : joinPath(folder, name);
    if (!isSelf && (isPartialName(name) || (this.#excludes.isExcluded(path, false) && this.#excludes.isExcluded(path, true)))) return;
    this.#heard.add(folder, isSelf ? null : { name, isReplaced: event === 'rename' });
    this.#onChange();
  }

  /** A folder is not what it was: so says what holds it. Of the root nobody does. */
  #replaced(path: Buffer): void {
    const slash = path.lastIndexOf('/');
    if (path.length === 0) this.#heard.addEverywhere();
    else this.#heard.add(path.subarray(0, Math.max(0, slash)), { name: path.subarray(slash + 1), isReplaced: true });
    this.#onChange();
  }

  #forget(watched: Watched | null): void {
    if (watched === null) return;
    this.#unset(watched);
    for (const inner of watched.inner.values()) this.#forget(inner);
    watched.inner.clear();
  }

  #unset({ watcher }: Watched): void {
    if (watcher === null) return;
    this.#count -= 1;
    watcher.close();
  }
}

function identityOf({ dev, ino, birthtimeMs }: Stats): string {
  return `${dev}:${ino}:${birthtimeMs}`;
}

/** Events of Linux that may wait to be read, unless its file of settings says otherwise: inotify(7). */
const USUAL_QUEUE = 16_384;

/**
 * Events after which some may have been lost: half of what the system holds for those who do not read. Node does not tell of an overflow, but
 * whoever has lost events reads as many at once.
 */
function mostEvents(): number {
  try {
    return Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'latin1')) / 2;
  } catch {
    return USUAL_QUEUE / 2;
  }
}
