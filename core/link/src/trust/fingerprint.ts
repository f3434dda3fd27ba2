import { createHash, type X509Certificate } from 'node:crypto';
import { TowlineError } from '@towline/protocol';

/** Fingerprint of a certificate's public key: `sha256:` and the hash of its SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in hex. */
export function fingerprintOfKey(certificate: X509Certificate): string {
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`;
}

/** The same for a certificate of a stranger, whose key may be of a kind that OpenSSL does not know: undefined then. */
export function fingerprintOfPeerKey(certificate: X509Certificate): string | undefined {
  try {
    return fingerprintOfKey(certificate);
  } catch {
    return undefined;
  }
}

/** Reads a fingerprint that a person gave. @throws TowlineError `config_invalid`. */
export function parseFingerprint(text: string): string {
  const normal = text.trim().toLowerCase();
  if (/^sha256:[0-9a-f]{64}$/.test(normal)) return normal;
  throw new TowlineError('config_invalid', 'The fingerprint of the relay must be sha256: followed by 64 hex digits.', {
    hint: 'Copy it from the `ready` line that the relay printed when it started.',
  });
}
