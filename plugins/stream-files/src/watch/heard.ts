/** Folders and names that are remembered. Beyond it everything is taken to have changed. */
const MAX_REMEMBERED = 10_000;

/** Where in a tree something was heard, since the last time that somebody looked. */
export class Heard {
  /** Nothing was heard anywhere. */
  static readonly nothing = new Heard(0);
  /** By folder, one character a byte: names under which something else may stand now. */
  readonly #names = new Map<string, Set<string>>();
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

  /** Something in a folder has changed; with a name, something else may stand there now. */
  add(folder: Buffer, name: Buffer | null): void {
    this.#events += 1;
    if (this.#isEverywhere) return;
    if (this.#events >= this.#mostEvents || this.#count >= MAX_REMEMBERED) return this.addEverywhere();
    const key = folder.toString('latin1');
    const names = this.#names.get(key) ?? new Set();
    const before = names.size;
    if (name !== null) names.add(name.toString('latin1'));
    this.#count += names.size - before + (this.#names.has(key) ? 0 : 1);
    this.#names.set(key, names);
  }

  /** Anything may have changed. */
  addEverywhere(): void {
    this.#isEverywhere = true;
    this.#names.clear();
  }

  /** The folders, those that hold others first. */
  folders(): Buffer[] {
    return [...this.#names.keys()].sort((left, right) => left.length - right.length).map((key) => Buffer.from(key, 'latin1'));
  }

  /** Names in a folder under which something else may stand now. */
  namesIn(folder: Buffer): Buffer[] {
    return [...(this.#names.get(folder.toString('latin1')) ?? [])].map((name) => Buffer.from(name, 'latin1'));
  }

  /** Whether something else may stand under a name. */
  has(folder: Buffer, name: string): boolean {
    return this.#names.get(folder.toString('latin1'))?.has(name) === true;
  }
}
