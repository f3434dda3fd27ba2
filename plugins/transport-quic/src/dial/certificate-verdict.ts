import { X509Certificate } from 'node:crypto';
import { checkHostName, explainVerdict, relayAddress } from '@towline/link';
import type { TowlineError } from '@towline/protocol';
import { doubtChain } from './chain-path.ts';

/** Certificates in DER, leaf first. */
export type Chain = readonly Uint8Array[];

/** TLS alerts by which BoringSSL says what it thinks of a certificate, as QUIC numbers them (RFC 9001 section 4.8). */
const ALERT = Object.freeze({ badCertificate: 298, unsupported: 299, revoked: 300, expired: 301, unknownCa: 304, decrypt: 307 });

/** What BoringSSL has let pass and OpenSSL would not, or not without being asked. Undefined when the chain is in order. */
export function checkAccepted(relay: URL, chain: Chain, anchors: readonly X509Certificate[]): TowlineError | undefined {
  const leaf = chain[0];
  if (leaf === undefined) return explainVerdict('there is none');
  const doubt = doubtChain(chain, anchors);
  return doubt === undefined ? checkName(relay, leaf) : explainVerdict(doubt);
}

/** The error of a certificate that BoringSSL refused with an alert, in the words that TLS has for it. */
export function explainAlert(alert: number, relay: URL, chain: Chain): TowlineError {
  const wrongName = alert === ALERT.badCertificate && chain[0] !== undefined ? checkName(relay, chain[0]) : undefined;
  return wrongName ?? explainVerdict(nameOf(alert, readCertificates(chain)));
}

function checkName(relay: URL, leaf: Uint8Array): TowlineError | undefined {
  const { host, isIp } = relayAddress(relay);
  return checkHostName(host, isIp, Buffer.from(leaf));
}

function nameOf(alert: number, chain: readonly X509Certificate[]): string {
  switch (alert) {
    case ALERT.unsupported:
      return 'INVALID_PURPOSE';
    case ALERT.revoked:
      return 'CERT_REVOKED';
    case ALERT.expired:
      return chain.some(({ validFrom }) => Date.parse(validFrom) > Date.now()) ? 'CERT_NOT_YET_VALID' : 'CERT_HAS_EXPIRED';
    case ALERT.unknownCa:
      return chain.length === 1 && chain[0]!.checkIssued(chain[0]!) ? 'DEPTH_ZERO_SELF_SIGNED_CERT' : 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY';
    case ALERT.decrypt:
      return 'CERT_SIGNATURE_FAILURE';
    default:
      return `TLS alert ${alert - 0x100}`;
  }
}

/** Those certificates, in PEM or DER, that can be read. */
export function readCertificates(texts: readonly (string | Uint8Array)[]): X509Certificate[] {
  return texts.flatMap((text) => {
    try {
      return [new X509Certificate(typeof text === 'string' ? text : Buffer.from(text))];
    } catch {
      return [];
    }
  });
}
