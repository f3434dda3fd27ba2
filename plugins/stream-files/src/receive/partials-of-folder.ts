import type { Folder } from '../tree/folder.ts';
import { isPartialName, stemOf } from '../tree/names.ts';

/** Partial files of one folder that are remembered: more are what nobody cleans up. */
const MAX_PARTIALS = 10_000;

/** The partial files in a folder that earlier copies left, by the stems of their names. The folder is read once. */
export class PartialsOfFolder {
  readonly #byStem = new Map<string, Buffer[]>();

  /** Reads the folder. One that cannot be read has none. */
  static async read(folder: Folder): Promise<PartialsOfFolder> {
    const partials = new PartialsOfFolder();
    try {
      let count = 0;
      for await (const name of folder.names()) {
        if (!isPartialName(name) || (count += 1) > MAX_PARTIALS) continue;
        const stem = stemOf(name);
        partials.#byStem.set(stem, [...(partials.#byStem.get(stem) ?? []), name]);
      }
    } catch {
      // A folder that may be entered and not read.
    }
    return partials;
  }

  /** Takes the names of one stem out. */
  take(stem: string): readonly Buffer[] {
    const names = this.#byStem.get(stem) ?? [];
    this.#byStem.delete(stem);
    return names;
  }
}
