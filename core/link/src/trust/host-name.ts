import { X509Certificate } from 'node:crypto';
import { printable, TowlineError } from '@towline/protocol';

/**
 * Whether a certificate is for this host, by its subject alternative names alone (RFC 9525): the common name of the
 * subject is not asked. Returns the error, or undefined when it is.
 */
export function checkHostName(host: string, isIp: boolean, der: Buffer): TowlineError | undefined {
  const certificate = new X509Certificate(der);
  const match = isIp ? certificate.checkIP(host) : certificate.checkHost(host, { subject: 'never', partialWildcards: false });
  if (match !== undefined) return undefined;
  const names = certificate.subjectAltName;
  const given = names === undefined ? 'it names no host at all' : `it is for ${printable(names).slice(0, 400)}`;
  return new TowlineError('relay_untrusted', `The certificate of the relay is not for ${host}: ${given}.`, {
    hint: 'Use a name of the certificate in the URL, or have the relay make one for this name (server.public_url in its config).',
  });
}
