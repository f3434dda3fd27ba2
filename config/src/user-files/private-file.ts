import { constants, type Stats } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TowlineError } from '@towline/protocol';
import { refuseSharedFolder } from './user-folder.ts';

/** Largest file of a user, bytes: a few keys and certificates. */
export const MAX_PRIVATE_FILE_BYTES = 1_048_576;

/**
 * Reads a file that may hold secrets. Null when there is none.
 * @throws TowlineError `credentials_unsafe` when others can read or replace it, `file_damaged` when it is no such file.
 */
export async function readPrivateFile(path: string): Promise<string | null> {
  await refuseSharedFolder(dirname(path));
  const link = await lstat(path).catch(nullIfAbsent);
  if (link === null) return null;
  if (link.isSymbolicLink()) await refuseUnsafeLink(path, link);
  // What was no link a moment ago must not be one now; a pipe must not make us wait.
  const noFollow = link.isSymbolicLink() ? 0 : constants.O_NOFOLLOW;
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | noFollow).catch(unreadable(path));
  if (handle === null) return null;
  try {
    refuseUnsafe(path, await handle.stat());
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

async function refuseUnsafeLink(path: string, link: Stats): Promise<void> {
  const self = process.getuid?.();
  if (self !== undefined && link.uid !== self && link.uid !== 0)
    throw new TowlineError('credentials_unsafe', `${path} is a symbolic link that belongs to another user (uid ${link.uid}).`, {
      hint: 'Remove the link and log in again.',
    });
  const target = await realpath(path).catch(nullIfAbsent);
  if (target !== null) await refuseSharedFolder(dirname(target));
}

function refuseUnsafe(path: string, stat: Stats): void {
  if (!stat.isFile()) throw new TowlineError('file_damaged', `${path} is no regular file.`);
  if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) {
    const mode = (stat.mode & 0o777).toString(8).padStart(4, '0');
    throw new TowlineError('credentials_unsafe', `${path} can be read by others (mode ${mode}).`, {
      hint: `Run chmod 600 ${path}, and renew the secrets in it if others may have read them.`,
    });
  }
  if (stat.size > MAX_PRIVATE_FILE_BYTES)
    throw new TowlineError('file_damaged', `${path} has ${stat.size} bytes, where at most ${MAX_PRIVATE_FILE_BYTES} are expected.`);
}

function nullIfAbsent(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

function unreadable(path: string): (cause: NodeJS.ErrnoException) => null {
  return (cause) => {
    if (cause.code === 'ENOENT') return null;
    throw new TowlineError('file_damaged', `${path} cannot be read (${cause.code ?? cause.message}).`, {
      hint: 'Check its owner and mode.',
      cause,
    });
  };
}
