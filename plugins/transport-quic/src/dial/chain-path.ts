import type { X509Certificate } from 'node:crypto';
import { type ChainCertificate, readCertificate } from './chain-certificate.ts';

/** Longest path that is followed. Real ones have two to four certificates. */
const MAX_PATH = 10;
/** The purpose of a server's certificate, among those of the extended key usage (RFC 5280 section 4.2.1.12). */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
/** Shortest RSA key that is taken without asking, bits. */
const MIN_RSA_BITS = 2_048;
/** Signatures with SHA-2 by RSA and ECDSA, and Ed25519. */
const STRONG_SIGNATURES: ReadonlySet<string> = new Set([
  '2a864886f70d01010b',
  '2a864886f70d01010c',
  '2a864886f70d01010d',
  '2a8648ce3d040302',
  '2a8648ce3d040303',
  '2a8648ce3d040304',
  '2b6570',
]);
/** Basic constraints, key usage, extended key usage, alternative names, constraints of names, policies and constraints of those. */
const UNDERSTOOD: ReadonlySet<string> = new Set(['551d13', '551d0f', '551d25', '551d11', '551d1e', '551d20', '551d24']);

/**
 * What OpenSSL may find wrong with a chain that BoringSSL has let pass: BoringSSL asks neither for the strength of
 * signatures and keys, nor for the purpose, the extensions and the path length of what it was told to trust. Returns the
 * verdict's name as in `explainVerdict` of @towline/link; undefined when the chain is in order. What is merely out of
 * the ordinary is named as well: OpenSSL has the last word.
 */
export function doubtChain(presented: readonly Uint8Array[], anchors: readonly X509Certificate[]): string | undefined {
  try {
    const path = findPath(presented.map(readCertificate), anchors);
    return path === undefined ? 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY' : doubtPath(path);
  } catch {
    return 'it cannot be read';
  }
}

/** The way from the leaf to an anchor, both included; undefined where there is none. */
function findPath([leaf, ...others]: readonly ChainCertificate[], anchors: readonly X509Certificate[]): ChainCertificate[] | undefined {
  const path: ChainCertificate[] = [];
  for (let next = leaf; next !== undefined && path.length < MAX_PATH; ) {
    path.push(next);
    const { x509 } = next;
    if (anchors.some(({ raw }) => raw.equals(x509.raw))) return path;
    const anchor = anchors.find((each) => isSignedBy(x509, each));
    if (anchor !== undefined) return [...path, readCertificate(anchor.raw)];
    next = others.find((other) => !path.includes(other) && isSignedBy(x509, other.x509));
  }
  return undefined;
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function doubtPath(path: readonly ChainCertificate[]): string | undefined {
  for (const [index, certificate] of path.entries()) {
    const doubt = doubtCertificate(certificate, index) ?? (index < path.length - 1 ? doubtSignature(certificate) : undefined);
    if (doubt !== undefined) return doubt;
  }
  return undefined;
}

/** `index`: 0 for the leaf, 1 for its issuer, and so on. */
function doubtCertificate({ x509, pathLength, critical }: ChainCertificate, index: number): string | undefined {
  if (index > 0 && !x509.ca) return 'INVALID_CA';
  if (pathLength !== null && index - 1 > pathLength) return 'PATH_LENGTH_EXCEEDED';
  // Node calls the extended key usage by this name.
  if (x509.keyUsage !== undefined && !x509.keyUsage.includes(SERVER_AUTH)) return 'INVALID_PURPOSE';
  if (critical.some((oid) => !UNDERSTOOD.has(oid))) return 'unhandled critical extension';
  const { modulusLength = MIN_RSA_BITS } = x509.publicKey.asymmetricKeyDetails ?? {};
  if (modulusLength < MIN_RSA_BITS) return index === 0 ? 'EE certificate key too weak' : 'CA certificate key too weak';
  return undefined;
}

/** That of an anchor is not asked for: nobody goes by it. */
function doubtSignature({ signedWith }: ChainCertificate): string | undefined {
  return STRONG_SIGNATURES.has(signedWith) ? undefined : 'CA signature digest algorithm too weak';
}
