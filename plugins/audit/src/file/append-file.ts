import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from './rotate.ts';

const NEWLINE = 0x0a;
/** Mode of the file: records tell who did what, which is not for every user of the machine. */
const MODE = 0o600;

/** An open file that only grows. */
export class AppendFile implements AsyncDisposable {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #identity: string;
  #size: number;

  private constructor(path: string, handle: FileHandle, found: { readonly dev: number; readonly ino: number; readonly size: number }) {
    this.#path = path;
    this.#handle = handle;
    this.#identity = identityOf(found);
    this.#size = found.size;
  }

  /**
   * Opens or creates a file, and its folder. Ends a line that a crash left half written. Tightens the mode to 0600.
   * @throws what the file system says, or an error for something that is not a plain file.
   */
  static async open(path: string): Promise<AppendFile> {
    const existing = await statIfThere(path);
    // Opening a pipe would wait for its reader, and a device would swallow records.
    if (existing !== null && !existing.isFile()) throw new Error('it is not a plain file');
    if (existing === null) await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const handle = await open(path, constants.O_RDWR | constants.O_APPEND | constants.O_CREAT, MODE);
    try {
      await handle.chmod(MODE);
      await completeLastLine(handle);
      if (existing === null) await syncFolder(dirname(path));
      return new AppendFile(path, handle, await handle.stat());
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Bytes in the file when it was last written or opened. */
  get size(): number {
    return this.#size;
  }

  /** Whether the path still names this file: an outsider may have moved it away, as logrotate does. */
  async isInPlace(): Promise<boolean> {
    const found = await statIfThere(this.#path);
    return found !== null && identityOf(found) === this.#identity;
  }

  /** Appends bytes; resolves when they are on the disk. When that fails, what was written of them is cut off again. */
  async append(bytes: Buffer): Promise<void> {
    const before = (await this.#handle.stat()).size;
    try {
      for (let written = 0; written < bytes.length; )
        written += (await this.#handle.write(bytes, written, bytes.length - written)).bytesWritten;
      await this.#handle.datasync();
    } catch (error) {
      // If this fails too, the next opening ends the broken line.
      await this.#handle.truncate(before).catch(() => undefined);
      throw error;
    }
    this.#size = before + bytes.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

function identityOf(found: { readonly dev: number; readonly ino: number }): string {
  return `${found.dev}:${found.ino}`;
}

async function statIfThere(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

async function completeLastLine(handle: FileHandle): Promise<void> {
  const { size } = await handle.stat();
  if (size === 0) return;
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  if (buffer[0] === NEWLINE) return;
  await handle.write('\n');
  await handle.datasync();
}
