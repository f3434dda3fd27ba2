import 'reflect-metadata';
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { CertificateName } from './certificate-names.ts';

const DAY_MS = 86_400_000;
/** Life of a CA. */
const CA_LIFE_MS = 3_650 * DAY_MS;
/** Life of a leaf: the longest that common clients accept. */
export const LEAF_LIFE_MS = 397 * DAY_MS;
/** Certificates begin in the past, for devices whose clock is a little slow. */
const BACKDATE_MS = DAY_MS;
const ALGORITHM = Object.freeze({ name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' });

/** A certificate in PEM form with its private key. */
export interface KeyedCertificate {
  readonly key: KeyObject;
  readonly pem: string;
}

/** A new P-256 key. */
export function makeKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** The certificate of a CA for this key, from `now` (Unix milliseconds). The same key always gives the same name. */
export async function makeAuthority(key: KeyObject, now: number): Promise<KeyedCertificate> {
  const pair = await importPair(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerial(),
    name: `CN=Towline relay CA ${shortHash(key)}`,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_LIFE_MS),
    signingAlgorithm: ALGORITHM,
    keys: pair,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
    ],
  });
  return { key, pem: certificate.toString('pem') };
}

/** A server certificate with a fresh key, signed by the CA, from `now` (Unix milliseconds). */
export async function makeLeaf(authority: KeyedCertificate, names: readonly CertificateName[], now: number): Promise<KeyedCertificate> {
  const key = makeKey();
  const pair = await importPair(key);
  const issuer = new x509.X509Certificate(authority.pem);
  const signer = await importPair(authority.key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: makeSerial(),
    subject: 'CN=Towline relay',
    issuer: issuer.subject,
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(Math.min(now + LEAF_LIFE_MS, issuer.notAfter.getTime())),
    signingAlgorithm: ALGORITHM,
    publicKey: pair.publicKey,
    signingKey: signer.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      namesExtension(names),
      await x509.SubjectKeyIdentifierExtension.create(pair.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey),
    ],
  });
  return { key, pem: certificate.toString('pem') };
}

/** Whether a leaf of ours is for exactly these names. */
export function hasNames(leafPem: string, names: readonly CertificateName[]): boolean {
  const extension = new x509.X509Certificate(leafPem).getExtension(x509.SubjectAlternativeNameExtension);
  return extension != null && Buffer.from(extension.value).equals(Buffer.from(namesExtension(names).value));
}

function namesExtension(names: readonly CertificateName[]): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension(names.map(({ type, value }) => ({ type, value })));
}

/** 127 random bits: positive, as RFC 5280 section 4.1.2.2 asks. */
function makeSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** Tells the CAs of two relays apart in a list. */
function shortHash(key: KeyObject): string {
  return createHash('sha256')
    .update(createPublicKey(key).export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 8);
}

async function importPair(key: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  const privateKey = await subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), ALGORITHM, true, ['sign']);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { privateKey, publicKey: await subtle.importKey('spki', spki, ALGORITHM, true, ['verify']) };
}
