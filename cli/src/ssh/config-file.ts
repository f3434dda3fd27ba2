import { randomBytes } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { shown } from '../output/terminal-text.ts';

/** Largest config that is read, bytes; those that people keep have a few thousand. */
const MAX_CONFIG_BYTES = 1_048_576;
const WRITABLE_BY_OTHERS = 0o022;

/** A config file as it was found. */
export interface FoundConfig {
  /** Where it really is, when a link leads there. */
  readonly path: string;
  /** Its bytes, as `latin1` has them. */
  readonly text: string;
  readonly stats: Stats | null;
}

/** Makes the folder (0700) where it is missing. @throws TowlineError `credentials_unsafe` when others can replace what is in it. */
export async function ensureSshFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    throw cannotWrite(folder, cause);
  });
  refuseShared(folder, await stat(folder));
}

/** Reads a config; an empty one when there is none. @throws TowlineError when it must not be changed, or is no such file. */
export async function readConfigFile(named: string): Promise<FoundConfig> {
  const link = await lstat(named).catch(nullIfAbsent);
  if (link === null) return { path: named, text: '', stats: null };
  const path = await realpath(named).catch((cause: NodeJS.ErrnoException) => {
    throw new TowlineError('file_damaged', `${shown(named, 400)} is a link that leads nowhere.`, {
      hint: 'Restore what it leads to.',
      cause,
    });
  });
  refuseShared(dirname(path), await stat(dirname(path)));
  // A pipe must not make us wait.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw new TowlineError('file_damaged', `${shown(path, 400)} cannot be read (${cause.code ?? cause.message}).`, { cause });
  });
  try {
    const stats = await handle.stat();
    refuseOdd(path, stats);
    const bytes = await handle.readFile();
    if (bytes.includes(0) || bytes.subarray(0, 3).equals(Buffer.of(0xef, 0xbb, 0xbf))) {
      throw new TowlineError('file_damaged', `${shown(path, 400)} is no plain text that OpenSSH could read. It was left as it is.`, {
        hint: 'Save it as UTF-8 without a byte order mark.',
      });
    }
    return { path, text: bytes.toString('latin1'), stats };
  } finally {
    await handle.close();
  }
}

/** Replaces a config as a whole, with the mode and the owner that it has; a new one gets 0600. @throws TowlineError */
export async function replaceConfigFile({ path, stats }: FoundConfig, text: string): Promise<void> {
  const temporary = `${path}.towline-${randomBytes(6).toString('hex')}`;
  try {
    await writeDurably(temporary, { text, stats });
    await refuseChanged(path, stats);
    await rename(temporary, path);
    await using folder = await open(dirname(path), 'r');
    await folder.sync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error instanceof TowlineError ? error : cannotWrite(path, error as NodeJS.ErrnoException);
  }
}

/** Removes a config. */
export async function removeConfigFile({ path }: FoundConfig): Promise<void> {
  await rm(path, { force: true }).catch((cause: NodeJS.ErrnoException) => {
    throw cannotWrite(path, cause);
  });
}

async function writeDurably(path: string, { text, stats }: Pick<FoundConfig, 'text' | 'stats'>): Promise<void> {
  await using handle = await open(path, 'wx', 0o600);
  await handle.writeFile(text, 'latin1');
  if (stats !== null) await takeOver(handle, stats);
  await handle.sync();
}

async function takeOver(handle: FileHandle, { uid, gid, mode }: Stats): Promise<void> {
  const own = await handle.stat();
  if (own.uid !== uid || own.gid !== gid) await handle.chown(uid, gid);
  await handle.chmod(mode & 0o7777);
}

async function refuseChanged(path: string, before: Stats | null): Promise<void> {
  const now = await lstat(path).catch(nullIfAbsent);
  const isSame = now?.ino === before?.ino && now?.mtimeMs === before?.mtimeMs && now?.size === before?.size;
  if (!isSame) throw new TowlineError('conflict', `${shown(path, 400)} was changed by somebody else meanwhile. It was left as it is.`);
}

function refuseShared(path: string, { mode }: Stats): void {
  if ((mode & WRITABLE_BY_OTHERS) === 0 || (mode & 0o1000) !== 0) return;
  throw new TowlineError('credentials_unsafe', `Others can write to ${shown(path, 400)} (mode ${octal(mode)}).`, {
    hint: `Run chmod go-w ${shown(path, 400)}, and look whether what is there is yours.`,
  });
}

function refuseOdd(path: string, stats: Stats): void {
  const odd = (what: string, hint: string) =>
    new TowlineError('file_damaged', `${shown(path, 400)} ${what}. It was left as it is.`, { hint });
  const self = process.getuid?.();
  if (!stats.isFile()) throw odd('is no regular file', 'Name another config with --file.');
  if (self !== undefined && stats.uid !== self && stats.uid !== 0) {
    throw odd(`belongs to another user (uid ${stats.uid})`, 'OpenSSH itself refuses such a config.');
  }
  if ((stats.mode & WRITABLE_BY_OTHERS) !== 0)
    throw odd(`can be written by others (mode ${octal(stats.mode)})`, `OpenSSH refuses it as well: run chmod go-w on it.`);
  if (stats.nlink > 1)
    throw odd('has several names, of which one would be left behind', 'Keep it under one name, or behind a symbolic link.');
  if (stats.size > MAX_CONFIG_BYTES)
    throw odd(`has ${stats.size} bytes, where at most ${MAX_CONFIG_BYTES} are expected`, 'Make it smaller.');
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}

function cannotWrite(path: string, cause: NodeJS.ErrnoException): TowlineError {
  return new TowlineError(
    'data_unwritable',
    `${shown(path, 400)} cannot be written (${cause.code ?? cause.message}). It was left as it is.`,
    {
      hint: 'Check its owner and mode, and those of its folder.',
      cause,
    },
  );
}

function nullIfAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
