/** Folders and names that are remembered. Beyond it everything is taken to have changed. */
const MAX_REMEMBERED = 10_000;
/** Names of one folder that are told one by one. Beyond it all of the folder is taken to have changed. */
const MAX_NAMES = 100;

/** What was heard of one folder. */
interface HeardOfFolder {
  /** By name, one character a byte: whether something else may stand there now. */
  readonly names: Map<string, boolean>;
  /** Whether anything in it may have changed. */
  isWhole: boolean;
}

/** What happened under a name. */
export interface HeardName {
  readonly name: Buffer;
  /** Whether something else may stand there now; else what stands there has changed. */
  readonly isReplaced: boolean;
}

/** Where in a tree something was heard, since the last time that somebody looked. */
export class Heard {
  /** Nothing was heard anywhere. */
  static readonly nothing = new Heard(0);
  /** By path, one character a byte. */
  readonly #folders = new Map<string, HeardOfFolder>();
  readonly #mostEvents: number;
  #events = 0;
  #count = 0;
  #isEverywhere = false;

  /** After so many events some may have been lost. */
  constructor(mostEvents: number) {
    this.#mostEvents = mostEvents;
  }

  /** Whether it cannot be told where. */
  get isEverywhere(): boolean {
    return this.#isEverywhere;
  }

  /** Something in a folder has changed; null: it is not known under which name. */
  add(folder: Buffer, happened: HeardName | null): void {
    this.#events += 1;
    if (this.#isEverywhere) return;
    if (this.#events >= this.#mostEvents || this.#count >= MAX_REMEMBERED) return this.addEverywhere();
    const heard = this.#of(folder);
    if (happened === null) heard.isWhole = true;
    else this.#addName(heard, happened);
  }

  /** Anything may have changed. */
  addEverywhere(): void {
    this.#isEverywhere = true;
    this.#folders.clear();
  }

  /** The folders, those that hold others first. */
  folders(): Buffer[] {
    return [...this.#folders.keys()].sort((left, right) => left.length - right.length).map((key) => Buffer.from(key, 'latin1'));
  }

  /** Whether anything in a folder may have changed. */
  isWhole(folder: Buffer): boolean {
    return this.#folders.get(folder.toString('latin1'))?.isWhole === true;
  }

  /** What happened under names in a folder. */
  namesIn(folder: Buffer): HeardName[] {
    const names = this.#folders.get(folder.toString('latin1'))?.names ?? [];
    return [...names].map(([name, isReplaced]) => ({ name: Buffer.from(name, 'latin1'), isReplaced }));
  }

  /** Whether something else may stand under a name. */
  hasReplaced(folder: Buffer, name: string): boolean {
    return this.#folders.get(folder.toString('latin1'))?.names.get(name) === true;
  }

  #addName(heard: HeardOfFolder, { name, isReplaced }: HeardName): void {
    const key = name.toString('latin1');
    if (!heard.names.has(key)) this.#count += 1;
    heard.names.set(key, isReplaced || heard.names.get(key) === true);
    heard.isWhole ||= heard.names.size > MAX_NAMES;
  }

  #of(folder: Buffer): HeardOfFolder {
    const key = folder.toString('latin1');
    const known = this.#folders.get(key);
    if (known !== undefined) return known;
    const made = { names: new Map<string, boolean>(), isWhole: false };
    this.#folders.set(key, made);
    this.#count += 1;
    return made;
  }
}
