import { hash, randomBytes } from 'node:crypto';
import { MAX_REMEMBERED_NAMES } from '../limits.ts';

/** The names of folders that were announced, to find those that come twice. Remembers a bounded number; nobody can make two names seem one. */
export class KnownNames {
  readonly #salt = randomBytes(16);
  #room = MAX_REMEMBERED_NAMES;

  /** The names of one folder. */
  ofFolder(): { isNew(name: Buffer): boolean; forget(): void } {
    const seen = new Set<number>();
    return {
      isNew: (name) => {
        const mark = this.#mark(name);
        if (seen.has(mark)) return false;
        if (this.#room > 0) {
          this.#room -= 1;
          seen.add(mark);
        }
        return true;
      },
      forget: () => {
        this.#room += seen.size;
        seen.clear();
      },
    };
  }

  /** 48 bits of a keyed hash. */
  #mark(name: Buffer): number {
    return hash('sha256', Buffer.concat([this.#salt, name]), 'buffer').readUIntBE(0, 6);
  }
}
