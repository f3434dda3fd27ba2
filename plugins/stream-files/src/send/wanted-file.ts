import type { FileHandle } from 'node:fs/promises';
import { TowlineError } from '@towline/protocol/plain';
import { HASH_BYTES } from '../limits.ts';
import { blocksOf } from '../wire/frames.ts';
import type { OpenEntry } from './open-entries.ts';
import { isSmall, openFile } from './read-file.ts';

/** How a file is wanted. */
export interface Want {
  /** Bytes that the receiver has, to be compared. */
  readonly have: number;
  /** Whether any difference asks for all of it. */
  readonly whole: boolean;
  /** Hashes were compared, or are of no use any more. */
  readonly onCompared: () => void;
}

/** A file that the receiver wants, until it was sent or dropped. */
export class WantedFile {
  readonly entry: OpenEntry;
  readonly file: NonNullable<OpenEntry['file']>;
  /** Bytes that the receiver has, to be compared. */
  readonly have: number;
  /** Whether any difference asks for all of it. */
  readonly whole: boolean;
  /** Whether the receiver wants no more of it. */
  isDropped = false;
  /** Whether its end, or that it failed, was said: the receiver may settle it from then on. */
  isSent = false;
  #opened: Promise<FileHandle> | null = null;
  #hashes: Buffer[] = [];
  #hashesLeft: number;
  readonly #onCompared: () => void;
  #wake: (() => void) | null = null;

  /** @throws TowlineError `protocol_error` when it cannot be wanted like that. */
  constructor(entry: OpenEntry, { have, whole, onCompared }: Want) {
    if (entry.file === undefined || have > entry.file.size)
      throw new TowlineError('protocol_error', 'The peer wants something that is not in the files offered.');
    this.entry = entry;
    this.file = entry.file;
    this.have = have;
    this.whole = whole;
    this.#hashesLeft = blocksOf(have);
    this.#onCompared = onCompared;
  }

  /** Hashes that wait to be compared. */
  get waitingHashes(): number {
    return this.#hashes.length;
  }

  /** Whether it is read and sent at once: it is small, and nothing of it is there. */
  get isSentAtOnce(): boolean {
    return this.have === 0 && isSmall(this.file);
  }

  /** Opens the file, once. */
  open(): Promise<FileHandle> {
    this.#opened ??= openFile(this.file);
    // Whether it was opened is asked when it is its turn.
    this.#opened.catch(() => {});
    return this.#opened;
  }

  /** Takes hashes of blocks in, in order. @throws TowlineError `protocol_error` for more than there are blocks. */
  addHashes(hashes: Buffer): void {
    const count = hashes.length / HASH_BYTES;
    if (!Number.isInteger(count) || count > this.#hashesLeft) {
      throw new TowlineError('protocol_error', 'The peer sent hashes of blocks that it does not have.');
    }
    this.#hashesLeft -= count;
    for (let at = 0; at < hashes.length; at += HASH_BYTES) this.#hashes.push(hashes.subarray(at, at + HASH_BYTES));
    this.#wake?.();
  }

  /** The next hash to compare; null when the file was dropped meanwhile. */
  async nextHash(): Promise<Buffer | null> {
    while (this.#hashes.length === 0 && !this.isDropped) await new Promise<void>((resolve) => (this.#wake = resolve));
    const hash = this.#hashes.shift() ?? null;
    this.#onCompared();
    return hash;
  }

  /** The hashes that still come are of no use. */
  forgetHashes(): void {
    this.#hashes = [];
    this.#onCompared();
  }

  drop(): void {
    this.isDropped = true;
    this.#wake?.();
  }

  /** Closes what was opened. */
  async close(): Promise<void> {
    this.isDropped = true;
    this.#wake?.();
    const handle = await this.#opened?.catch(() => null);
    await handle?.close().catch(() => {});
  }
}
