import { isTowlineError, TowlineError } from '@towline/protocol';
import type { RelayAddress } from '../relay-url.ts';

const UNKNOWN_CA = 'is signed by a CA that is not trusted here';
const SELF_SIGNED = 'is signed by itself and not trusted here';
const CLOCK_HINT = 'Renew it at the relay; if it is in order there, check the clock of this machine.';

const WEAK_KEY = 'has a key that is too short, or its CA has';
const NAME_NOT_ALLOWED = 'is for a name that its CA may not sign for';

/** Verdicts of OpenSSL by the names Node gives them, and where it gives none by OpenSSL's own words. */
const VERDICTS: Readonly<Record<string, readonly [what: string, hint?: string]>> = Object.freeze({
  UNABLE_TO_GET_ISSUER_CERT: [UNKNOWN_CA],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: [UNKNOWN_CA],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [UNKNOWN_CA],
  SELF_SIGNED_CERT_IN_CHAIN: [UNKNOWN_CA],
  DEPTH_ZERO_SELF_SIGNED_CERT: [SELF_SIGNED],
  CERT_HAS_EXPIRED: ['has expired, or that of its CA has', CLOCK_HINT],
  CERT_NOT_YET_VALID: ['is not valid yet, or that of its CA is not', CLOCK_HINT],
  CERT_SIGNATURE_FAILURE: ['bears a signature that is not by its CA'],
  CERT_REVOKED: ['was revoked'],
  INVALID_CA: ['is signed by a certificate that is not a CA'],
  INVALID_PURPOSE: ['is not made for servers'],
  PATH_LENGTH_EXCEEDED: ['has a chain longer than its CA allows'],
  'CA signature digest algorithm too weak': ['bears a signature that can be forged, made with SHA-1 or older'],
  'EE certificate key too weak': [WEAK_KEY],
  'CA certificate key too weak': [WEAK_KEY],
  'excluded subtree violation': [NAME_NOT_ALLOWED],
  'permitted subtree violation': [NAME_NOT_ALLOWED],
  'unhandled critical extension': ['demands something that is not understood here'],
});

/** Errors of sockets and name look-up. */
const NETWORK: Readonly<Record<string, (address: RelayAddress) => string>> = Object.freeze({
  ENOTFOUND: ({ host }: RelayAddress) => `The name ${host} is not known to DNS.`,
  EAI_AGAIN: ({ host }: RelayAddress) => `DNS did not answer for the name ${host}.`,
  ECONNREFUSED: ({ host, port }: RelayAddress) => `${host} refuses connections on port ${port}.`,
  ETIMEDOUT: ({ host, port }: RelayAddress) => `${host} port ${port} did not answer.`,
  EHOSTUNREACH: ({ host }: RelayAddress) => `There is no way to ${host}: host unreachable.`,
  ENETUNREACH: ({ host }: RelayAddress) => `There is no way to ${host}: network unreachable.`,
  ECONNRESET: ({ host, port }: RelayAddress) => `${host} port ${port} closed the connection.`,
  EPIPE: ({ host, port }: RelayAddress) => `${host} port ${port} closed the connection.`,
});

/** The error of a failed handshake in words. `verdict` is what OpenSSL said about the certificate, if it came to that. */
export function explainTlsFailure(error: Error, verdict: unknown, address: RelayAddress): TowlineError {
  if (isTowlineError(error)) return error;
  if (verdict) return explainVerdict(nameVerdict(String(verdict), error), error);
  return explainNetworkError(error, address);
}

/** An error of a connection to the relay in words: DNS, sockets, or a peer that does not speak TLS. */
export function explainNetworkError(error: Error, address: RelayAddress): TowlineError {
  const code = String((error as NodeJS.ErrnoException).code ?? '');
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) return explainProtocol(error, code, address);
  const text = NETWORK[code]?.(address) ?? `${address.host} port ${address.port} cannot be reached (${code || 'connection failed'}).`;
  return new TowlineError('relay_unreachable', text, { cause: error });
}

/** What a certificate is or did, to be put behind "The certificate of …", and what helps if that is known. */
export function describeVerdict(verdict: string): readonly [what: string, hint?: string] {
  return VERDICTS[verdict] ?? [`did not pass verification (${verdict})`];
}

/** The error of a certificate that was refused, by the verdict's name as in {@link describeVerdict}. */
export function explainVerdict(verdict: string, cause?: unknown): TowlineError {
  const [what, hint] = describeVerdict(verdict);
  return new TowlineError('relay_untrusted', `The certificate of the relay ${what}.`, { cause, ...(hint ? { hint } : {}) });
}

/** Node has no names for the rarer verdicts; the message is OpenSSL's own then. */
function nameVerdict(verdict: string, { message }: Error): string {
  return verdict === 'UNSPECIFIED' ? message : verdict;
}

/** An alert comes from a peer that speaks TLS; anything else is one that does not. */
function explainProtocol(cause: Error, code: string, { host, port }: RelayAddress): TowlineError {
  const alert = /ALERT|UNSUPPORTED_PROTOCOL|NO_CIPHERS/i.test(`${code} ${cause.message}`);
  if (!alert) return new TowlineError('relay_not_towline', `What answers on ${host} port ${port} does not speak TLS.`, { cause });
  return new TowlineError('relay_not_towline', `${host} port ${port} cannot agree on TLS 1.2 or newer with modern ciphers.`, { cause });
}
