import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { TowlineError } from '@towline/contract';
import { fingerprintOfKey, parseCertificates } from '@towline/link';
import type { CertificateOptions, CertificateSet } from './certificate-set.ts';

/** Reads and checks the files that `server.tls` names. @throws TowlineError `config_invalid` that names key, file and fault. */
export async function loadConfiguredCertificates(
  files: NonNullable<CertificateOptions['configured']>,
  now: number,
): Promise<CertificateSet> {
  const certName = `server.tls.cert_file (${files.certFile})`;
  const keyName = `server.tls.key_file (${files.keyFile})`;
  const chain = parseCertificates(await readNamed(files.certFile, certName), certName);
  const keyPem = await readNamed(files.keyFile, keyName);
  const [leaf, top] = [chain[0]!, chain.at(-1)!];
  if (!leaf.checkPrivateKey(parseKey(keyPem, keyName))) throw fault(`${keyName} is not the key of the first certificate in ${certName}`);
  checkDates(chain, certName, now);
  checkChain(chain, certName);
  return {
    certPem: chain.map(String).join(''),
    keyPem,
    caPem: String(top),
    fingerprint: fingerprintOfKey(top),
    expiresAt: Date.parse(leaf.validTo),
  };
}

async function readNamed(path: string, name: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw fault(`${name} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown fault'})`, cause);
  }
}

function parseKey(pem: string, name: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const locked = (cause as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE' || pem.includes('ENCRYPTED');
    throw fault(
      locked ? `${name} is encrypted; the relay needs it without a passphrase` : `${name} holds no private key in PEM form`,
      cause,
    );
  }
}

function checkDates(chain: readonly X509Certificate[], name: string, now: number): void {
  for (const [index, { validFrom, validTo }] of chain.entries()) {
    const which = index === 0 ? 'the certificate' : `certificate ${index + 1} of the chain`;
    if (now > Date.parse(validTo)) throw fault(`${name}: ${which} has expired on ${validTo}`);
    if (now < Date.parse(validFrom)) throw fault(`${name}: ${which} is not valid before ${validFrom}`);
  }
}

function checkChain(chain: readonly X509Certificate[], name: string): void {
  for (const [index, upper] of chain.slice(1).entries()) {
    const lower = chain[index]!;
    if (lower.checkIssued(upper) && lower.verify(upper.publicKey)) continue;
    throw fault(
      `${name}: certificate ${index + 1} is not signed by certificate ${index + 2}; put the relay's own first and each CA after what it signed`,
    );
  }
}

function fault(text: string, cause?: unknown): TowlineError {
  return new TowlineError('config_invalid', `${text}.`, { cause });
}
