import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const openssl = (args: readonly string[]) => promisify(execFile)('openssl', [...args]);

/** A certificate and its key, as files. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** Makes a certificate authority. */
export async function makeAuthority(dir: string, name: string): Promise<CertificateFiles> {
  const [cert, key] = [join(dir, `${name}.pem`), join(dir, `${name}.key`)];
  await openssl([...NEW_KEY, '-x509', '-days', '30', '-subj', `/CN=${name}`, '-keyout', key, '-out', cert]);
  return { cert, key };
}

const NEW_KEY = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Makes a certificate for 127.0.0.1 that an authority signed; with `days` below zero it ended before it began. */
export async function makeLeaf(dir: string, name: string, { by, days = 30 }: { readonly by: CertificateFiles; readonly days?: number }) {
  const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((ending) => join(dir, `${name}.${ending}`)) as [
    string,
    string,
    string,
    string,
  ];
  writeFileSync(extensions, 'subjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\n');
  await openssl([...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', key, '-out', request]);
  const signed = ['-CA', by.cert, '-CAkey', by.key, '-CAcreateserial', '-days', String(days), '-extfile', extensions];
  await openssl(['x509', '-req', '-in', request, ...signed, '-out', cert]);
  return { cert, key } satisfies CertificateFiles;
}
