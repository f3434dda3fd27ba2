import { X509Certificate } from 'node:crypto';
import { TowlineError } from '@towline/protocol';

/** The certificates in a PEM text, each as a text of its own, in order. Other blocks are left out. */
export function splitCertificates(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
}

/**
 * The certificates of a PEM text that a person gave, each proved to be readable: OpenSSL skips a damaged root
 * without a word. `name` says in errors which setting is meant. @throws TowlineError `config_invalid`.
 */
export function parseCertificates(pem: string, name: string): X509Certificate[] {
  const begun = pem.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0;
  const texts = splitCertificates(pem);
  if (texts.length === 0) throw new TowlineError('config_invalid', `${name} holds no certificate in PEM form.`);
  if (texts.length !== begun) throw new TowlineError('config_invalid', `${name} holds a damaged certificate.`);
  return texts.map((text, index) => {
    try {
      return new X509Certificate(text);
    } catch (cause) {
      throw new TowlineError('config_invalid', `${name}: certificate ${index + 1} is damaged.`, { cause });
    }
  });
}
