import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import type { CertificateOptions } from './certificate-set.ts';

/** A subject alternative name. */
export interface CertificateName {
  readonly type: 'dns' | 'ip';
  readonly value: string;
}

/** Addresses that mean "all" where a listener is bound, and no one where it is dialled. */
const UNSPECIFIED = Object.freeze(['0.0.0.0', '::']);

/** The names of a self-made certificate: each once and sorted, so that two lists can be compared. */
export function certificateNames({ hostName, publicUrl, names = [] }: CertificateOptions): readonly CertificateName[] {
  const wanted = ['localhost', '127.0.0.1', '::1', hostName, publicUrl?.hostname ?? '', ...names];
  const normal = wanted.map(normalise).filter((value) => value !== '' && !UNSPECIFIED.includes(value));
  return [...new Set(normal)].sort().map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }));
}

/** An empty text for what cannot be a name in a certificate. */
function normalise(text: string): string {
  const bare = text.trim().replace(/^\[(.*)\]$/, '$1');
  if (isIP(bare) === 6) return new URL(`https://[${bare.replace(/%.*/, '')}]`).hostname.slice(1, -1);
  return isIP(bare) === 4 ? bare : domainToASCII(bare).replace(/\.$/, '');
}
