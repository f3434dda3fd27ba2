import { createPublicKey } from 'node:crypto';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isTowlineError, TowlineError } from '@towline/contract';
import { fingerprintOfKey } from '@towline/link';
import { writeAtomically } from '../durable-file.ts';
import { certificateNames } from './certificate-names.ts';
import type { CertificateOptions, CertificateSet } from './certificate-set.ts';
import { damaged, formatKeyFile, type KeyFile, readKeyFile } from './key-file.ts';
import { hasNames, LEAF_LIFE_MS, makeAuthority, makeKey, makeLeaf } from './make-certificates.ts';

/** A leaf is renewed so long before its end, milliseconds. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/**
 * The relay's own certificates, made on first start: `tls/authority.pem` and `tls/relay.pem` (0600, key and certificate
 * each), and `ca.pem` for diallers. Renews the leaf before it ends and when names change; the CA's key stays for good.
 * @throws TowlineError `file_damaged`, `credentials_unsafe`, `data_unwritable`.
 */
export async function loadOwnCertificates(options: CertificateOptions): Promise<CertificateSet> {
  const folder = join(options.dataDir, 'tls');
  await writing(folder, () => makeFolder(folder));
  const authority = await loadAuthority(folder, options);
  await writing(options.dataDir, () => publishAuthority(join(options.dataDir, 'ca.pem'), authority.pem));
  const leaf = await loadLeaf(join(folder, 'relay.pem'), authority, options);
  return {
    certPem: `${leaf.pem}\n${authority.pem}\n`,
    keyPem: leaf.key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    caPem: `${authority.pem}\n`,
    fingerprint: fingerprintOfKey(authority.certificate),
    expiresAt: Date.parse(leaf.certificate.validTo),
  };
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}

async function loadAuthority(folder: string, { clock }: CertificateOptions): Promise<KeyFile> {
  const path = join(folder, 'authority.pem');
  const found = await readKeyFile(path);
  // A new CA in place of one that got lost would lock out every device without a word.
  if (found === undefined && (await readKeyFile(join(folder, 'relay.pem'))))
    throw damaged(path, 'it is missing, while relay.pem beside it is there');
  if (found !== undefined && Date.parse(found.certificate.validTo) > clock.now() + 2 * LEAF_LIFE_MS) return found;
  // The same key again, so that fingerprints stay true.
  const made = await makeAuthority(found?.key ?? makeKey(), clock.now());
  return store(path, formatKeyFile(made));
}

async function loadLeaf(path: string, authority: KeyFile, options: CertificateOptions): Promise<KeyFile> {
  const names = certificateNames(options);
  const now = options.clock.now();
  const found = await readKeyFile(path);
  if (found !== undefined && isSignedBy(found, authority) && isCurrent(found, now) && hasNames(found.pem, names)) return found;
  return store(path, formatKeyFile(await makeLeaf(authority, names, now), [authority.pem]));
}

function isSignedBy(leaf: KeyFile, authority: KeyFile): boolean {
  return leaf.certificate.verify(createPublicKey(authority.key));
}

function isCurrent({ certificate }: KeyFile, now: number): boolean {
  return Date.parse(certificate.validFrom) <= now && now < Date.parse(certificate.validTo) - RENEW_BEFORE_MS;
}

/** Writes a file and reads it back, so that what is used is what the next start will find. */
async function store(path: string, text: string): Promise<KeyFile> {
  await writing(path, () => writeAtomically(path, text, 0o600));
  const stored = await readKeyFile(path);
  if (stored === undefined) throw damaged(path, 'it vanished after it was written');
  return stored;
}

async function publishAuthority(path: string, pem: string): Promise<void> {
  const text = `${pem}\n`;
  if ((await readFile(path, 'utf8').catch(() => '')) !== text) await writeAtomically(path, text, 0o644);
}

async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    if (isTowlineError(cause)) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new TowlineError('data_unwritable', `${path} cannot be written (${code}).`, { cause });
  }
}
