import { constants, type Dir, lstatSync, opendirSync, type Stats, statSync } from 'node:fs';
import { chmod, type FileHandle, mkdir, open, opendir, stat, utimes } from 'node:fs/promises';
import { FileFault } from './file-fault.ts';
import { timeOf } from './file-time.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, O_NONBLOCK } = constants;
/** open(2) of Linux: a place only, for folders that may be entered and not listed. Node has no name for it. */
const O_PATH = 0x20_0000;
const SLASH = Buffer.from('/');
const DOT = Buffer.from('.');
/** Names that are read from a folder at a time. */
const NAMES_AT_ONCE = 256;

const LIST_OPTIONS = { encoding: 'buffer' as BufferEncoding, bufferSize: NAMES_AT_ONCE };

/**
 * Whether a descriptor of a folder can be part of a path. Node has no openat(2); on Linux `/proc/self/fd/N/NAME` is the same: the kernel goes from
 * the open folder itself, wherever it was moved and whatever stands now where it was. Elsewhere paths are compared with the open folder
 * before each use, which leaves a gap that somebody who may write there could use.
 */
const HAS_FD_PATHS = process.platform === 'linux' && isFolder('/proc/self/fd');

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/**
 * An open folder. Everything in it is reached by one name from here, and no name is followed when it is a symbolic link. Counted: it is
 * closed when the last holder has released it.
 */
export class Folder {
  readonly #handle: FileHandle;
  readonly #path: Buffer;
  readonly #identity: Pick<Stats, 'dev' | 'ino'>;
  /** Whether its descriptor is more than a place. */
  readonly #isReadable: boolean;
  #holders = 1;

  private constructor(handle: FileHandle, path: Buffer, { isReadable, ...identity }: OpenedAs) {
    this.#handle = handle;
    this.#isReadable = isReadable;
    this.#path = HAS_FD_PATHS ? Buffer.from(`/proc/self/fd/${handle.fd}`) : path;
    this.#identity = identity;
  }

  /** Opens the folder that a user named; links in that path are the user's. @throws system errors. */
  static open(path: Buffer | string): Promise<Folder> {
    return openFolder(Buffer.from(path), 0);
  }

  /** Path of one name in it, for the next file operation and no later one. The name was checked before. @throws FileFault `moved`. */
  at(name: Buffer): Buffer {
    // The number of a closed descriptor may be that of another folder by now.
    if (this.#holders <= 0) throw new FileFault('moved');
    if (!HAS_FD_PATHS) this.#requireSame();
    return Buffer.concat([this.#path, SLASH, name]);
  }

  /** Opens a folder in it. @throws system errors, `ELOOP` or `ENOTDIR` for a symbolic link. */
  child(name: Buffer): Promise<Folder> {
    return openFolder(this.at(name), O_NOFOLLOW);
  }

  /** Opens a folder in it, made before when there is nothing; `isNew` tells. @throws FileFault `not_a_folder`, system errors. */
  async childOrNew(name: Buffer): Promise<{ readonly folder: Folder; readonly isNew: boolean }> {
    let isNew = true;
    try {
      await mkdir(this.at(name), 0o700);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      isNew = false;
      if (!this.look(name)?.isDirectory()) throw new FileFault('not_a_folder');
    }
    return { folder: await this.child(name), isNew };
  }

  /** Opens a file in it; never a link, and never waiting for the other end of a FIFO. @throws system errors. */
  openFile(name: Buffer, flags: number, mode?: number): Promise<FileHandle> {
    return open(this.at(name), flags | O_NOFOLLOW | O_NONBLOCK, mode);
  }

  /** What is known of the folder itself. @throws system errors. */
  stat(): Promise<Stats> {
    return this.#handle.stat();
  }

  /**
   * What stands under a name; null when nothing does. In this turn: to hand it to a thread takes several times as long as it does.
   * @throws system errors.
   */
  look(name: Buffer): Stats | null {
    return lstatSync(this.at(name), { throwIfNoEntry: false }) ?? null;
  }

  /** The names in it, in no order. Holds some hundred at a time. */
  async *names(): AsyncGenerator<Buffer> {
    for await (const names of this.namesTogether()) yield* names;
  }

  /** The same, some hundred together: one by one takes longer than what is done with each. */
  async *namesTogether(): AsyncGenerator<readonly Buffer[]> {
    const dir = opendirSync(this.at(DOT) as unknown as string, LIST_OPTIONS);
    try {
      for (let names = readNames(dir); names.length > 0; names = readNames(dir)) {
        yield names;
        // Whoever has an endless folder does not stop anything else.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      dir.closeSync();
    }
  }

  /** The names of folders in it, in no order. */
  async *folderNames(): AsyncGenerator<Buffer> {
    for await (const each of await this.#list()) if (each.isDirectory()) yield each.name as unknown as Buffer;
  }

  /**
   * Gives it the mode and time that it is to have. The mode comes last: it may be one with which nothing more can be done with the folder.
   * @throws system errors.
   */
  async setModeAndTime({ mode, mtime }: ModeAndTime): Promise<void> {
    const [time, bits] = [timeOf(mtime), mode & 0o777];
    // Held until then: the number in the path must not become that of another folder.
    this.retain();
    try {
      if (this.#isReadable) {
        await this.#handle.utimes(time, time);
        await this.#handle.chmod(bits);
      } else {
        await utimes(this.at(DOT), time, time);
        await chmod(this.at(DOT), bits);
      }
    } finally {
      this.release();
    }
  }

  /** The same, and makes what was put into it durable. @throws system errors. */
  async finish(to: ModeAndTime): Promise<void> {
    await this.setModeAndTime(to);
    await this.sync();
  }

  /** Makes what was put into it durable. A folder that may not be read cannot be, and some file systems do without. */
  async sync(): Promise<void> {
    await this.#handle.sync().catch(() => {});
  }

  /** One more holder. */
  retain(): this {
    this.#holders += 1;
    return this;
  }

  /** One holder less. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.#handle.close().catch(() => {});
  }

  #list(): Promise<Dir> {
    return opendir(this.at(DOT) as unknown as string, LIST_OPTIONS);
  }

  #requireSame(): void {
    const there = statSync(this.#path, { throwIfNoEntry: false });
    if (there?.dev !== this.#identity.dev || there.ino !== this.#identity.ino) throw new FileFault('moved');
  }

  /** @internal */
  static async of(handle: FileHandle, path: Buffer, isReadable: boolean): Promise<Folder> {
    const { dev, ino } = HAS_FD_PATHS ? { dev: 0, ino: 0 } : await handle.stat();
    return new Folder(handle, path, { dev, ino, isReadable });
  }
}

function readNames(dir: Dir): readonly Buffer[] {
  const names: Buffer[] = [];
  while (names.length < NAMES_AT_ONCE) {
    const entry = dir.readSync();
    if (entry === null) break;
    names.push(entry.name as unknown as Buffer);
  }
  return names;
}

type OpenedAs = Pick<Stats, 'dev' | 'ino'> & { readonly isReadable: boolean };

interface ModeAndTime {
  readonly mode: number;
  /** Unix time, milliseconds. */
  readonly mtime: number;
}

async function openFolder(path: Buffer, flags: number): Promise<Folder> {
  try {
    return await Folder.of(await open(path, O_RDONLY | O_DIRECTORY | flags), path, true);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES' || !HAS_FD_PATHS) throw error;
    return Folder.of(await open(path, O_PATH | O_DIRECTORY | flags), path, false);
  }
}

/** Whether a path that a user named is a folder, links followed; null when nothing is there. @throws system errors. */
export async function kindOf(path: string): Promise<'folder' | 'other' | null> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'other';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
