import { MAX_DEPTH } from '../limits.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import type { Folder } from '../tree/folder.ts';
import { checkName, joinPath } from '../tree/names.ts';
import type { FolderEntry } from '../wire/schemas.ts';
import type { KnownNames } from './known-names.ts';
import { PartialsOfFolder } from './partials-of-folder.ts';

/** An open folder, and whether it was made just now. */
export interface OpenedFolder {
  readonly folder: Folder;
  /** What earlier copies left in it; null when it was made just now, and nothing is in it. */
  readonly partials: PartialsOfFolder | null;
}

async function openTop(folder: Folder): Promise<OpenedFolder> {
  return { folder, partials: await PartialsOfFolder.read(folder) };
}

/** A folder of the copy, from its entry until everything in it is settled. */
export class ReceivedFolder {
  /** Path below the root of the copy. */
  readonly path: Buffer;
  /** Rejects with why it could not be made. */
  readonly opened: Promise<OpenedFolder>;
  /** Resolves when everything in it was announced and is settled. */
  readonly complete: Promise<void>;
  /** The same, once it is known that it could be opened. */
  ready: OpenedFolder | null = null;
  /** Whether something in it is on the disk, so that its name there must be too. */
  isDurable = false;
  readonly #depth: number;
  readonly #names: ReturnType<KnownNames['ofFolder']>;
  readonly #known: KnownNames;
  #onComplete: () => void = () => {};
  #pending = 0;
  #isLeft = false;

  private constructor(of: { path: Buffer; opened: Promise<OpenedFolder>; depth: number; known: KnownNames }) {
    this.path = of.path;
    this.opened = of.opened;
    this.opened.then(
      (opened) => {
        this.ready = opened;
      },
      () => {},
    );
    this.#depth = of.depth;
    this.#known = of.known;
    this.#names = of.known.ofFolder();
    this.complete = new Promise((resolve) => {
      this.#onComplete = resolve;
    });
  }

  /** What holds the root of the copy: the target. */
  static top(folder: Folder, known: KnownNames): ReceivedFolder {
    return new ReceivedFolder({ path: Buffer.alloc(0), opened: openTop(folder), depth: 0, known });
  }

  /** The folder of an entry in this one; with `isSelf` it is this one under its own name. A `fault` of its name is why it is not made. */
  child(entry: FolderEntry, { isSelf, fault }: { isSelf: boolean; fault: string | null }): ReceivedFolder {
    const open = async () => {
      const { folder } = await this.opened.catch(() => Promise.reject(new FileFault('no_parent')));
      if (isSelf) return { folder: folder.retain(), partials: (await this.opened).partials };
      if (fault !== null) throw new FileFault(fault);
      const { folder: child, isNew } = await folder.childOrNew(entry.name);
      return { folder: child, partials: isNew ? null : await PartialsOfFolder.read(child) };
    };
    return new ReceivedFolder({ path: this.pathOf(entry.name), opened: open(), depth: this.#depth + 1, known: this.#known });
  }

  /** Whether something more may be announced in it. */
  get isOpen(): boolean {
    return !this.#isLeft && this.#depth <= MAX_DEPTH;
  }

  /** Path of a name in it, below the root of the copy: the root has none. */
  pathOf(name: Buffer): Buffer {
    return this.#depth === 0 ? this.path : joinPath(this.path, name);
  }

  /** What is wrong with a name that is announced in it; null when it may be used. */
  faultOf(name: Buffer): string | null {
    try {
      checkName(name);
      return this.#names.isNew(name) ? null : 'duplicate';
    } catch (error) {
      return faultCode(error);
    }
  }

  /** An entry in it is not settled yet. */
  begin(): void {
    this.#pending += 1;
  }

  /** An entry in it is settled. */
  settle(): void {
    this.#pending -= 1;
    this.#check();
  }

  /** Everything in it was announced. */
  leave(): void {
    this.#isLeft = true;
    this.#check();
  }

  /** Closes it. */
  async close(): Promise<void> {
    this.#names.forget();
    (await this.opened.catch(() => null))?.folder.release();
  }

  #check(): void {
    if (this.#isLeft && this.#pending === 0) this.#onComplete();
  }
}
