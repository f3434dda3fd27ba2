import type { Folder } from '../tree/folder.ts';
import { isPartialName, stemOf } from '../tree/names.ts';

/** Partial files of one folder that are remembered: more are what nobody cleans up. */
const MAX_PARTIALS = 10_000;

/** The partial files in a folder that earlier copies left, by the stems of their names. The folder is read once. */
export class PartialsOfFolder {
  readonly #byStem = new Map<string, Buffer[]>();
  #count = 0;

  /** Reads the folder. One that cannot be read has none. */
  static async read(folder: Folder): Promise<PartialsOfFolder> {
    const partials = new PartialsOfFolder();
    try {
      for await (const name of folder.names()) partials.#add(name);
    } catch {
      // A folder that may be entered and not read.
    }
    return partials;
  }

  /** Of the names of a folder that was read. */
  static of(names: readonly Buffer[]): PartialsOfFolder {
    const partials = new PartialsOfFolder();
    for (const name of names) partials.#add(name);
    return partials;
  }

  /** Takes the names of one stem out. */
  take(stem: string): readonly Buffer[] {
    const names = this.#byStem.get(stem) ?? [];
    this.#byStem.delete(stem);
    return names;
  }

  #add(name: Buffer): void {
    if (!isPartialName(name) || this.#count >= MAX_PARTIALS) return;
    this.#count += 1;
    const stem = stemOf(name);
    this.#byStem.set(stem, [...(this.#byStem.get(stem) ?? []), name]);
  }
}
