import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { StoreFault } from './fault.ts';

/**
 * Makes the database file, for its owner only, where there is none. SQLite gives its log files the same mode.
 * @throws StoreFault `data_unwritable`; `credentials_unsafe` when others may read or write an existing file.
 */
export function prepareFile(path: string): void {
  const folder = dirname(path);
  inFolder(folder, () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    accessSync(folder, constants.W_OK | constants.X_OK);
    createFile(path);
    accessSync(path, constants.R_OK | constants.W_OK);
  });
  checkMode(path);
}

function createFile(path: string): void {
  try {
    const file = openSync(path, 'wx', 0o600);
    fsyncSync(file);
    closeSync(file);
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return;
    throw error;
  }
  // The name of a file is durable only when its folder is.
  const folder = openSync(dirname(path), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

function checkMode(path: string): void {
  const stat = statSync(path);
  if (!stat.isFile()) throw new StoreFault('data_unwritable', `${path} is not a file.`, { hint: 'Choose another path for the database.' });
  // Windows has no such modes.
  if (process.platform === 'win32' || (stat.mode & 0o077) === 0) return;
  throw new StoreFault('credentials_unsafe', `The database ${path} can be read or written by others than its owner.`, {
    hint: `Run chmod 600 ${path}. If others may have read it, rotate the grant keys and renew the API keys.`,
  });
}

function inFolder(folder: string, prepare: () => void): void {
  try {
    prepare();
  } catch (cause) {
    throw new StoreFault('data_unwritable', `The database cannot be written in ${folder} (${errorCode(cause)}).`, {
      hint: `Make ${folder} writable for the user the relay runs as, or choose another folder with --data or store.path.`,
      cause,
    });
  }
}

function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : String(error);
}
