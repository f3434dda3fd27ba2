import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { TowlineError } from '@towline/contract';
import { splitCertificates } from '@towline/link';
import type { KeyedCertificate } from './make-certificates.ts';

/** What a file of ours holds: one private key, the certificate it belongs to, and the chain above. */
export interface KeyFile extends KeyedCertificate {
  readonly certificate: X509Certificate;
  readonly chain: readonly string[];
}

/**
 * Reads a file that this module wrote; undefined when there is none. Key and certificates lie in one file, so that no
 * crash can leave two that do not fit. @throws TowlineError `credentials_unsafe`, `file_damaged`.
 */
export async function readKeyFile(path: string): Promise<KeyFile | undefined> {
  const text = await readPrivate(path);
  return text === undefined ? undefined : parseKeyFile(path, text);
}

/** Text of a key and its certificates, as {@link readKeyFile} reads it. */
export function formatKeyFile({ key, pem }: KeyedCertificate, chain: readonly string[] = []): string {
  return [key.export({ type: 'pkcs8', format: 'pem' }), pem, ...chain].map((part) => `${String(part).trim()}\n`).join('');
}

async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      if (((await file.stat()).mode & 0o077) !== 0) throw unsafe(path);
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof TowlineError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw damaged(path, 'it cannot be read', error);
  }
}

function parseKeyFile(path: string, text: string): KeyFile {
  const [pem, ...chain] = splitCertificates(text);
  if (pem === undefined) throw damaged(path, 'it holds no certificate');
  const { key, certificate } = parsePair(path, text, pem, chain);
  if (!certificate.checkPrivateKey(key)) throw damaged(path, 'its key does not belong to its certificate');
  return { key, pem, chain, certificate };
}

function parsePair(path: string, text: string, pem: string, chain: readonly string[]): { key: KeyObject; certificate: X509Certificate } {
  try {
    for (const each of chain) new X509Certificate(each);
    return { key: createPrivateKey(text), certificate: new X509Certificate(pem) };
  } catch (cause) {
    throw damaged(path, 'its key or certificate cannot be read', cause);
  }
}

function unsafe(path: string): TowlineError {
  return new TowlineError('credentials_unsafe', `The private key ${path} can be read by others.`, {
    hint: `Run chmod 600 ${path}. If others may have read it, delete the folder it lies in: a new CA is made, and devices need its fingerprint.`,
  });
}

/** The error of a file of ours that is no use. */
export function damaged(path: string, what: string, cause?: unknown): TowlineError {
  return new TowlineError('file_damaged', `${path} is damaged: ${what}.`, {
    hint: 'Restore it from a backup, or delete the folder it lies in: a new CA is made, and devices need its fingerprint.',
    cause,
  });
}
