import { randomBytes } from 'node:crypto';
import { link, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TowlineError } from '@towline/contract';
import { syncFolder, writeSynced } from '../durable-file.ts';

const KEY_BYTES = 32;
/** A line of base64. */
const KEY_TEXT = /^[A-Za-z0-9+/]{43}=\n?$/;

/** Path of the file in which a relay keeps the key that it made. */
export function keyFilePath(dataDir: string): string {
  return join(dataDir, 'encryption.key');
}

/** The key in the file; null when there is none. @throws TowlineError `credentials_unsafe`, `file_damaged`. */
export async function readEncryptionKey(path: string): Promise<Uint8Array | null> {
  const text = await readPrivate(path);
  if (text === null) return null;
  if (!KEY_TEXT.test(text)) throw damaged(path, 'it does not hold base64 of 32 bytes');
  return Buffer.from(text, 'base64');
}

/**
 * Makes a key and puts it into the file (0600), whole and durable. Another process that does so at this moment wins or
 * loses wholly: the answer is the key that is in the file. @throws TowlineError `data_unwritable`.
 */
export async function makeEncryptionKey(path: string): Promise<Uint8Array> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeSynced(temporary, `${randomBytes(KEY_BYTES).toString('base64')}\n`, 0o600);
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    await rm(temporary);
    await syncFolder(dirname(path));
  } catch (cause) {
    await rm(temporary, { force: true });
    throw new TowlineError('data_unwritable', `The encryption key ${path} cannot be written (${codeOf(cause)}).`, { cause });
  }
  const made = await readEncryptionKey(path);
  if (made === null) throw damaged(path, 'it was deleted at once');
  return made;
}

async function readPrivate(path: string): Promise<string | null> {
  try {
    const file = await open(path, 'r');
    try {
      const stat = await file.stat();
      if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) throw unsafe(path);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof TowlineError) throw error;
    if (codeOf(error) === 'ENOENT') return null;
    throw damaged(path, `it cannot be read (${codeOf(error)})`);
  }
}

function unsafe(path: string): TowlineError {
  return new TowlineError('credentials_unsafe', `The encryption key ${path} can be read by others.`, {
    hint: `Run chmod 600 ${path}. If others may have read it, configure a new key and run \`towline-relay secrets rotate\`.`,
  });
}

function damaged(path: string, what: string): TowlineError {
  return new TowlineError('file_damaged', `${path} is damaged: ${what}.`, {
    hint: 'Restore it from a backup: what is encrypted with it cannot be read without it.',
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
