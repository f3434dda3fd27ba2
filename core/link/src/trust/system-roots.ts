import { readFile } from 'node:fs/promises';
import { rootCertificates } from 'node:tls';
import { TowlineError } from '@towline/protocol';
import { parseCertificates, splitCertificates } from './pem.ts';

/** Bundle files of operating systems, the first that exists counts. */
const BUNDLE_FILES = Object.freeze([
  '/etc/ssl/certs/ca-certificates.crt', // Debian, Ubuntu, Alpine, Arch
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem', // Fedora, RHEL
  '/etc/pki/tls/certs/ca-bundle.crt', // older RHEL
  '/etc/ssl/ca-bundle.pem', // openSUSE
  '/etc/ssl/cert.pem', // macOS, BSD
  '/usr/local/share/certs/ca-root-nss.crt', // FreeBSD
]);

/**
 * PEM texts of the roots this machine trusts, each once: Node's own list and the bundle of the operating system, or
 * SSL_CERT_FILE in its place. @throws TowlineError `config_invalid` when SSL_CERT_FILE cannot be used.
 */
export async function readSystemRoots(environment: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const named = environment.SSL_CERT_FILE;
  const bundle = named ? await readNamedBundle(named) : await readFirstBundle();
  return withoutDoubles([...rootCertificates, ...bundle]);
}

async function readNamedBundle(path: string): Promise<string[]> {
  try {
    return parseCertificates(await readFile(path, 'utf8'), `SSL_CERT_FILE (${path})`).map(String);
  } catch (cause) {
    if (cause instanceof TowlineError) throw cause;
    throw new TowlineError('config_invalid', `SSL_CERT_FILE names ${path}, which cannot be read.`, { cause });
  }
}

async function readFirstBundle(): Promise<string[]> {
  for (const path of BUNDLE_FILES) {
    const pem = await readFile(path, 'utf8').catch(() => '');
    if (pem !== '') return splitCertificates(pem);
  }
  return [];
}

function withoutDoubles(roots: readonly string[]): string[] {
  return [...new Map(roots.map((pem) => [pem.replace(/\s/g, ''), pem])).values()];
}
