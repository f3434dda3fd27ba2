import { X509Certificate } from 'node:crypto';
import { type DerValue, readDer, TAG, valueWith } from './der.ts';

const BASIC_CONSTRAINTS = '551d13';

/** A certificate, with what Node does not tell of it. Object identifiers are in DER, hex. */
export interface ChainCertificate {
  readonly x509: X509Certificate;
  /** Algorithm of the issuer's signature. */
  readonly signedWith: string;
  /** CAs that may stand between it and a leaf; null for any number. */
  readonly pathLength: number | null;
  /** Extensions that must be understood. */
  readonly critical: readonly string[];
}

/** Reads a certificate in DER (RFC 5280 section 4.1). @throws an Error where it is damaged. */
export function readCertificate(der: Uint8Array): ChainCertificate {
  const raw = Buffer.from(der);
  const [body, algorithm] = readDer(readDer(raw)[0]!.content);
  const extensions = readExtensions(readDer(body!.content));
  return {
    x509: new X509Certificate(raw),
    signedWith: valueWith(TAG.objectId, readDer(algorithm!.content)).toString('hex'),
    pathLength: readPathLength(extensions),
    critical: extensions.filter(({ critical }) => critical).map(({ oid }) => oid),
  };
}

interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

function readExtensions(fields: readonly DerValue[]): Extension[] {
  const held = fields.find(({ tag }) => tag === TAG.extensions);
  if (held === undefined) return [];
  return readDer(readDer(held.content)[0]!.content).map(({ content }) => {
    const parts = readDer(content);
    return {
      oid: valueWith(TAG.objectId, parts).toString('hex'),
      critical: parts.some(({ tag }) => tag === TAG.boolean),
      value: valueWith(TAG.octets, parts),
    };
  });
}

function readPathLength(extensions: readonly Extension[]): number | null {
  const constraints = extensions.find(({ oid }) => oid === BASIC_CONSTRAINTS);
  const length = constraints && readDer(readDer(constraints.value)[0]!.content).find(({ tag }) => tag === TAG.integer);
  return length === undefined ? null : length.content.readUIntBE(0, length.content.length);
}
