import { TowlineError } from '@towline/protocol/plain';
import { MAX_OPEN_ENTRIES } from '../limits.ts';
import type { Folder } from '../tree/folder.ts';

/** An entry that was announced and not settled. */
export interface OpenEntry {
  readonly id: number;
  readonly kind: 'file' | 'folder' | 'link';
  readonly path: Buffer;
  /** Of a file: where it stands, and as what it was announced. */
  readonly file?: {
    readonly folder: Folder;
    readonly name: Buffer;
    readonly size: number;
    readonly mtimeMs: number;
    readonly sparse: boolean;
  };
}

/** The entries that wait to be settled: no more than the receiver takes. */
export class OpenEntries {
  readonly #entries = new Map<number, OpenEntry>();
  readonly #wanted = new WeakSet<OpenEntry>();
  #last = 0;
  #waiting: (() => void) | null = null;

  /** Whether every entry is settled. */
  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** Whether another may be announced now. */
  get hasRoom(): boolean {
    return this.#entries.size < MAX_OPEN_ENTRIES;
  }

  /** Waits until another may be announced. One waits at a time. */
  async room(): Promise<void> {
    while (!this.hasRoom) await new Promise<void>((resolve) => (this.#waiting = resolve));
  }

  /** Adds an entry and numbers it. */
  add(entry: Omit<OpenEntry, 'id'>): OpenEntry {
    this.#last += 1;
    const added = { ...entry, id: this.#last };
    entry.file?.folder.retain();
    this.#entries.set(added.id, added);
    return added;
  }

  /** The entry of a number. @throws TowlineError `protocol_error` when there is none. */
  get(id: number): OpenEntry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new TowlineError('protocol_error', 'The peer spoke of a file that was not offered, or is settled.');
    return entry;
  }

  /** The entry of a number that the receiver wants, which it may once: nobody has a file read for ever. @throws TowlineError `protocol_error`. */
  want(id: number): OpenEntry {
    const entry = this.get(id);
    if (this.#wanted.has(entry)) throw new TowlineError('protocol_error', 'The peer wants a file twice.');
    this.#wanted.add(entry);
    return entry;
  }

  /** Takes an entry out. */
  settle(id: number): OpenEntry {
    const entry = this.get(id);
    this.#entries.delete(id);
    entry.file?.folder.release();
    this.#waiting?.();
    this.#waiting = null;
    return entry;
  }

  /** Forgets all. */
  clear(): void {
    for (const id of [...this.#entries.keys()]) this.settle(id);
  }
}
