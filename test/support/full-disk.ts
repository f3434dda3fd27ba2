import { execFile } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A small file system of its own, to be filled up or made read-only. */
export interface SmallDisk extends AsyncDisposable {
  readonly dir: string;
  /** Fills it to the last byte. */
  fill(): void;
  /** Makes room again. */
  clear(): void;
  /** Whether it may be written. Works only while nobody has a file open for writing. */
  writable(may: boolean): Promise<void>;
}

/** Mounts one on a new folder; null where this user may not mount. */
export async function mountSmallDisk(dir: string): Promise<SmallDisk | null> {
  const run = promisify(execFile);
  mkdirSync(dir);
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=256k,mode=700', 'tmpfs', dir]);
  } catch {
    return null;
  }
  const filler = join(dir, 'filler');
  return {
    dir,
    fill() {
      for (let size = 65_536; size >= 1; size = Math.floor(size / 2)) {
        try {
          for (;;) appendFileSync(filler, Buffer.alloc(size));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    },
    clear: () => rmSync(filler, { force: true }),
    writable: async (may) => void (await run('mount', ['-o', `remount,${may ? 'rw' : 'ro'}`, dir])),
    [Symbol.asyncDispose]: async () => void (await run('umount', ['-l', dir])),
  };
}
