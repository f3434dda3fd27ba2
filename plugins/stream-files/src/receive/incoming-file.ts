import { createHash, type Hash, hash as hashOf } from 'node:crypto';
import { constants } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { TowlineError } from '@towline/protocol/plain';
import { BLOCK_BYTES, SMALL_FILE_BYTES, SYNC_BYTES, WRITE_BYTES } from '../limits.ts';
import { readBlock } from '../send/read-file.ts';
import { FileFault, faultCode } from '../tree/file-fault.ts';
import { isTime } from '../tree/file-time.ts';
import type { Folder } from '../tree/folder.ts';
import { blocksOf } from '../wire/frames.ts';
import type { FileEntry } from '../wire/schemas.ts';
import {
  abandonPartial,
  finishFile,
  openPartial,
  type PartialFile,
  placeFile,
  placeSmallFile,
  placeSmallNew,
  removeLeft,
} from './partial-file.ts';
import type { PartialsOfFolder } from './partials-of-folder.ts';
import { type Replacing, requireReplaceable } from './replaceable.ts';

/** Zeros that a hash takes in for a hole. */
const ZEROS = Buffer.alloc(1_048_576);

/** A file as it was announced, and how it is received. */
export type IncomingEntry = FileEntry &
  Replacing & {
    /** Who receives it, for the name of its partial file. */
    readonly origin?: 'sync';
    /** Whether a file of the same size is compared with it whatever its time. */
    readonly anyTime?: boolean;
  };

/** A file of the copy, from its entry until it stands in its place. */
export class IncomingFile {
  readonly entry: IncomingEntry;
  readonly folder: Folder;
  #partial: PartialFile | null = null;
  /** The target as it is, when it seems to be the file already. */
  #present: FileHandle | null = null;
  #have = 0;
  /** Made when there is something to hash: of a small file that comes whole it is made at its end. */
  #hash: Hash | null = null;
  /** Whether nothing stood in its place when it was announced. */
  #isNew = false;
  /** Blocks of what is there that the hash has taken in. */
  #hashedBlocks = 0;
  #position = 0;
  #isBegun = false;
  #gathered: Buffer[] = [];
  #gatheredBytes = 0;
  #writing: Promise<void> = Promise.resolve();
  /** Bytes that were written and not sent to the disk; null while some are. */
  #unsynced: number | null = 0;
  #syncing: Promise<void> = Promise.resolve();
  #fault: unknown = null;

  private constructor(entry: IncomingEntry, folder: Folder) {
    this.entry = entry;
    this.folder = folder;
  }

  /**
   * Looks at what is there: the same file perhaps, or what an earlier copy left. Without `partials` the folder was made just now, and nothing is.
   * @throws FileFault, system errors.
   */
  static async plan(entry: IncomingEntry, folder: Folder, partials: PartialsOfFolder | null): Promise<IncomingFile> {
    const file = new IncomingFile(entry, folder);
    const seemsSame = file.#look(partials);
    if (seemsSame) file.#present = await folder.openFile(entry.name, constants.O_RDONLY).catch(() => null);
    if (file.#present !== null) file.#have = entry.size;
    else if (!file.isSmall) file.#have = (file.#partial = await openPartial(folder, entry, partials)).bytes;
    else if (partials !== null) removeLeft(folder, entry, partials);
    return file;
  }

  /** The same in this turn, for a small file that comes whole; null for any other. @throws FileFault, system errors. */
  static planSmall(entry: IncomingEntry, folder: Folder, partials: PartialsOfFolder | null): IncomingFile | null {
    const file = new IncomingFile(entry, folder);
    if (!file.isSmall || file.#look(partials)) return null;
    if (partials !== null) removeLeft(folder, entry, partials);
    return file;
  }

  /** Looks at what stands in its place; answers whether that seems to be the file already. */
  #look(partials: PartialsOfFolder | null): boolean {
    const { entry, folder } = this;
    const there = partials === null ? null : folder.look(entry.name);
    this.#isNew = there === null && entry.giveWay === undefined;
    if (entry.giveWay === undefined) requireReplaceable(there, entry.origin);
    const isSameTime = entry.anyTime === true || (there !== null && isTime(there.mtimeMs, entry.mtime));
    return there?.isFile() === true && there.size === entry.size && isSameTime;
  }

  /** Whether it is held in memory until it is complete. */
  get isSmall(): boolean {
    return this.entry.size <= SMALL_FILE_BYTES;
  }

  /** Whether it holds a descriptor. */
  get isOpen(): boolean {
    return this.#present !== null || this.#partial !== null;
  }

  /** How it is wanted. */
  get want(): { readonly have: number; readonly whole: boolean } {
    return { have: this.#have, whole: this.#present !== null };
  }

  /** Whether the sender has begun it. */
  get isBegun(): boolean {
    return this.#isBegun;
  }

  /** Blocks of which the sender is told the hash. */
  get blocks(): number {
    return blocksOf(this.#have);
  }

  /** Bytes of what is there that were hashed so far. */
  get hashedBytes(): number {
    return Math.min(this.#hashedBlocks * BLOCK_BYTES, this.#have);
  }

  /** The hash of the next block of what is there. @throws FileFault, system errors. */
  async nextBlockHash(): Promise<Buffer> {
    const { bytes, hash } = await readBlock(this.#source(), this.#hashedBlocks, this.#have);
    this.#hashedBlocks += 1;
    this.#takeHash().update(bytes);
    return hash;
  }

  /** The sender begins at this position. @throws TowlineError `protocol_error` for one that was not asked for. */
  begin(from: number): Promise<void> | undefined {
    const isKnown = from === this.#have || (from < this.#have && from % BLOCK_BYTES === 0 && (from === 0 || this.#present === null));
    if (this.#isBegun || !isKnown) throw new TowlineError('protocol_error', 'The peer begins a file where it was not asked to.');
    this.#isBegun = true;
    this.#position = from;
    return this.isOpen ? this.#prepare(from).catch((error: unknown) => this.#fail(error)) : undefined;
  }

  /** Takes content in. Resolves when more may come. @throws TowlineError `protocol_error` for more than the file has. */
  write(bytes: Buffer): Promise<void> | undefined {
    this.#advance(bytes.length);
    if (this.#fault !== null) return undefined;
    if (!this.isSmall) this.#takeHash().update(bytes);
    this.#gathered.push(bytes);
    this.#gatheredBytes += bytes.length;
    return this.isSmall || this.#gatheredBytes < WRITE_BYTES ? undefined : this.#flush();
  }

  /**
   * Takes a hole in: nothing is written there. Ends early when `isOver` says so: a long one takes hours to be hashed.
   * @throws TowlineError `protocol_error` for more than the file has.
   */
  async skip(length: number, isOver: () => boolean): Promise<void> {
    if (this.isSmall && length <= ZEROS.length) return this.write(ZEROS.subarray(0, length));
    await this.#flush();
    this.#advance(length);
    for (let done = 0; done < length && this.#fault === null; done += ZEROS.length) {
      this.#takeHash().update(length - done >= ZEROS.length ? ZEROS : ZEROS.subarray(0, length - done));
      // Whoever announces an endless hole does not stop anything else.
      if (done % (64 * ZEROS.length) === 0) await new Promise((resolve) => setImmediate(resolve));
      if (isOver()) return this.#fail(new FileFault('interrupted'));
    }
  }

  /** What cannot be done with it; null when all is well. */
  get fault(): string | null {
    return this.#fault === null ? null : faultCode(this.#fault);
  }

  /** Why it cannot be received: what still comes of it is dropped. */
  fail(code: string): void {
    this.#fail(new FileFault(code));
  }

  /** Whether it can be put into its place in one turn. */
  get isPlacedAtOnce(): boolean {
    return this.isSmall && this.#isNew && !this.isOpen;
  }

  /** Everything has come of a file that {@link isPlacedAtOnce}. @throws FileFault, system errors. */
  placeAtOnce(hash: Buffer): void {
    this.#requireWhole(hash);
    placeSmallNew(this.folder, this.entry, this.#gathered);
  }

  /** Everything has come. Puts the file into its place; `same` when it stood there already. @throws FileFault, system errors. */
  async place(hash: Buffer): Promise<'done' | 'same'> {
    await this.#flush();
    await this.#writing;
    await this.#syncing;
    this.#requireWhole(hash);
    if (this.#present !== null) {
      await finishFile(this.#present, this.entry).catch(ignoreForeign);
      return 'same';
    }
    if (this.isSmall) {
      await placeSmallFile(this.folder, this.entry, this.#gathered);
      return 'done';
    }
    const partial = this.#partial!;
    // Holes at the end, and what an earlier copy left beyond it.
    await partial.handle.truncate(this.entry.size);
    this.#partial = null;
    await placeFile(this.folder, partial, this.entry);
    return 'done';
  }

  /** Closes what is open. A partial file stays when it is worth going on with, unless its content is wrong. */
  async close(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#present?.close().catch(() => {});
    const partial = this.#partial;
    this.#present = null;
    this.#partial = null;
    if (partial === null) return;
    const isWrong = this.#fault instanceof FileFault && (this.#fault.code === 'hash_mismatch' || this.#fault.code === 'changed');
    await abandonPartial(this.folder, partial, isWrong ? 0 : Math.max(this.#position, this.#have));
  }

  /** The hash was compared with that of the source. @throws FileFault, what failed before. */
  #requireWhole(hash: Buffer): void {
    if (this.#fault !== null) throw this.#fault;
    if (this.#position !== this.entry.size || !this.#digest().equals(hash)) throw new FileFault('hash_mismatch');
  }

  #digest(): Buffer {
    // Of a file that is held in memory nothing was hashed but what stood there.
    const [first, ...others] = this.isSmall ? this.#gathered : [];
    if (this.#hash === null && others.length === 0) return hashOf('sha256', first ?? '', 'buffer');
    const hash = this.#takeHash();
    for (const piece of this.isSmall ? this.#gathered : []) hash.update(piece);
    return hash.digest();
  }

  #takeHash(): Hash {
    return (this.#hash ??= createHash('sha256'));
  }

  #source(): FileHandle {
    return (this.#present ?? this.#partial?.handle)!;
  }

  /** Makes the hash that of the first `from` bytes, and the file one that can be written from there on. */
  async #prepare(from: number): Promise<void> {
    if (this.#hashedBlocks !== blocksOf(from)) {
      this.#hash = createHash('sha256');
      for (let block = 0; block < blocksOf(from); block += 1) this.#hash.update((await readBlock(this.#source(), block, from)).bytes);
    }
    if (this.#present !== null && from < this.#have) {
      await this.#present.close();
      this.#present = null;
      if (!this.isSmall) this.#partial = await openPartial(this.folder, this.entry, null);
      this.#have = 0;
    }
    if (this.#partial !== null) await this.#partial.handle.truncate(from);
  }

  #advance(length: number): void {
    if (!this.#isBegun || this.#position + length > this.entry.size)
      throw new TowlineError('protocol_error', 'The peer sends more of a file than it has.');
    this.#position += length;
  }

  /** Writes what was gathered, while more is received; waits for the write before. */
  async #flush(): Promise<void> {
    if (this.isSmall || this.#gatheredBytes === 0 || this.#partial === null) return;
    const [pieces, position] = [this.#gathered, this.#position - this.#gatheredBytes];
    this.#gathered = [];
    this.#gatheredBytes = 0;
    await this.#writing;
    if (this.#fault !== null) return;
    const { handle } = this.#partial;
    this.#writing = writeAll(handle, pieces, position).catch((error: unknown) => this.#fail(error));
    this.#startSync(handle, this.#position - position);
  }

  /** Has what was written sent to the disk beside what comes, when it is much. Whoever places or closes the file waits for it. */
  #startSync(handle: FileHandle, more: number): void {
    if (this.#unsynced === null || (this.#unsynced += more) < SYNC_BYTES) return;
    this.#unsynced = null;
    const synced = () => {
      this.#unsynced = 0;
    };
    // The system tells that the disk failed once only: the last fsync may not hear of it.
    this.#syncing = handle.datasync().then(synced, (error: unknown) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#fault ??= error;
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }
}

/** The content is right; mode and time of somebody else's file are theirs. */
function ignoreForeign(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPERM') throw error;
}

async function writeAll(handle: FileHandle, pieces: Buffer[], position: number): Promise<void> {
  let left = pieces;
  let at = position;
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = withoutFirst(left, bytesWritten);
  }
}

/** The pieces without so many of their first bytes: a disk may take less than it was given. */
function withoutFirst(pieces: Buffer[], count: number): Buffer[] {
  let skip = count;
  return pieces.flatMap((piece) => {
    const taken = Math.min(skip, piece.length);
    skip -= taken;
    return taken === piece.length ? [] : [piece.subarray(taken)];
  });
}
