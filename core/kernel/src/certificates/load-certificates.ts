import { createSecureContext } from 'node:tls';
import { TowlineError } from '@towline/contract';
import { TLS_POLICY } from '@towline/link';
import type { CertificateOptions, CertificateSet } from './certificate-set.ts';
import { loadConfiguredCertificates } from './configured-certificates.ts';
import { loadOwnCertificates } from './own-certificates.ts';

/**
 * The certificates of a relay: those of the config, else its own, made or renewed where needed.
 * @throws TowlineError `config_invalid`, `file_damaged`, `credentials_unsafe`, `data_unwritable`.
 */
export async function loadCertificates(options: CertificateOptions): Promise<CertificateSet> {
  const { configured, clock } = options;
  const set = configured ? await loadConfiguredCertificates(configured, clock.now()) : await loadOwnCertificates(options);
  proveUsable(set);
  return set;
}

/** OpenSSL refuses some that can be read, as short keys and old hashes; better here than under way. */
function proveUsable({ certPem, keyPem }: CertificateSet): void {
  try {
    createSecureContext({ ...TLS_POLICY, cert: certPem, key: keyPem });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TowlineError('config_invalid', `TLS cannot use the certificate: ${reason}.`, { cause });
  }
}
