import type { PartialsOfFolder } from '../receive/partials-of-folder.ts';
import type { Folder } from '../tree/folder.ts';
import { checkName, isPartialName, isSyncPartialName, joinPath } from '../tree/names.ts';
import type { FolderEntry } from '../wire/schemas.ts';

/** Aliases of one folder that are remembered. Beyond it nothing in the folder is removed in this run. */
const MAX_ALIASES = 1_000;

/** What stands where a folder is announced. */
export interface FoundFolder {
  /** Null in a dry run where nothing is there. */
  readonly folder: Folder | null;
  readonly isNew: boolean;
  /** The names in it, sorted; null when they were not read: not everything in it is announced, and nothing was as yet. */
  readonly names: readonly Buffer[] | null;
  /** Partial files among them; null when nothing is in it. */
  readonly partials: PartialsOfFolder | null;
  /** Mode that it had, for what is told; null when it is new. */
  readonly mode: number | null;
}

/** A folder of the target, from its announcement until everything in it is settled. Two sorted listings are merged: what comes, and what is there. */
export class SyncFolder {
  readonly entry: FolderEntry;
  /** Path below the root. */
  readonly path: Buffer;
  /** What holds it; null: it is the root. */
  readonly parent: SyncFolder | null;
  /** Resolves when everything in it was announced and is settled. */
  readonly complete: Promise<void>;
  /** Names that are there and were not announced. */
  readonly extras: Buffer[] = [];
  /** Names that are not in the listing and lead to something all the same: where upper case is lower case, one file has several names. */
  readonly aliases: Buffer[] = [];
  /** Partial files that earlier runs have left. */
  readonly partials: Buffer[] = [];
  found: FoundFolder | null = null;
  /** Whether something in it failed. */
  hasFailed = false;
  #onComplete: () => void = () => {};
  #at = 0;
  #last: Buffer | null = null;
  #pending = 0;
  #isLeft = false;

  constructor(entry: FolderEntry, parent: SyncFolder | null) {
    this.entry = entry;
    this.parent = parent;
    this.path = parent === null ? Buffer.alloc(0) : joinPath(parent.path, entry.name);
    this.complete = new Promise((resolve) => {
      this.#onComplete = resolve;
    });
  }

  /** Whether a name comes after those that came before. */
  isInOrder(name: Buffer): boolean {
    return this.#last === null || Buffer.compare(this.#last, name) < 0;
  }

  /** A name is announced, or known to be at the sender. Answers whether something of that name was there. */
  meet(name: Buffer): boolean {
    const isPresent = this.#pass(name);
    if (!isPresent && this.aliases.length <= MAX_ALIASES && this.#leadsSomewhere(name)) this.aliases.push(name);
    return isPresent;
  }

  /** The sender has nothing of that name. Of a folder that is announced whole it says so by not naming it. */
  lack(name: Buffer): void {
    const isPresent = this.#pass(name);
    if (isPresent && this.entry.some === true && !isPartialName(name)) this.extras.push(name);
  }

  #pass(name: Buffer): boolean {
    const names = this.found?.names ?? [];
    this.#last = name;
    for (; this.#at < names.length; this.#at += 1) {
      const order = Buffer.compare(names[this.#at]!, name);
      if (order > 0) return false;
      if (order === 0) {
        this.#at += 1;
        return true;
      }
      this.#passOver(names[this.#at]!);
    }
    return false;
  }

  #leadsSomewhere(name: Buffer): boolean {
    if (this.found === null || this.found.isNew) return false;
    try {
      checkName(name);
      return this.found.folder?.look(name) != null;
    } catch {
      // What is wrong with it is told by whoever receives it.
      return false;
    }
  }

  /** An entry in it is not settled yet. */
  begin(): void {
    this.#pending += 1;
  }

  /** An entry in it is settled. */
  settle(hasFailed: boolean): void {
    this.hasFailed ||= hasFailed;
    this.#pending -= 1;
    this.#check();
  }

  /** Everything in it was announced. */
  leave(): void {
    for (const name of this.found?.names?.slice(this.#at) ?? []) this.#passOver(name);
    if (this.found !== null) this.found = { ...this.found, names: [] };
    if (this.aliases.length > MAX_ALIASES) this.extras.length = 0;
    this.#isLeft = true;
    this.#check();
  }

  /** Partial files of copies belong to those, and are left to them. Where only some is announced, the rest is of no interest. */
  #passOver(name: Buffer): void {
    if (this.entry.some === true) return;
    if (isSyncPartialName(name)) this.partials.push(name);
    else if (!isPartialName(name)) this.extras.push(name);
  }

  #check(): void {
    if (this.#isLeft && this.#pending === 0) this.#onComplete();
  }
}
