import { CONNECT_TIMEOUT_MS, checkHostName, connectVerified, type ResolvedTrust, relayAddress, resolveProxy } from '@towline/link';
import { isTowlineError, TowlineError } from '@towline/protocol';
import type { ConnectionEnd } from '../loop/quic-connection.ts';

/** TLS alerts by which BoringSSL says what it thinks of a certificate, as QUIC numbers them (RFC 9001 section 4.8). */
const VERDICTS: Readonly<Record<number, string>> = Object.freeze({
  298: 'is not for this host, or damaged',
  299: 'is not made for servers',
  301: 'has expired or is not valid yet',
  304: 'is signed by a CA that is not trusted here',
});
/** Object identifiers of signatures with SHA-1 (RSA, ECDSA), in DER. OpenSSL refuses them, BoringSSL does not. */
const SHA1_SIGNATURES = ['06092a864886f70d010105', '06072a8648ce3d0401'].map((hex) => Buffer.from(hex, 'hex'));

/** Whether the peer's certificate was refused in the handshake. */
export function isRefusal(error: unknown): error is TowlineError & { readonly cause: ConnectionEnd } {
  return (
    isTowlineError(error) &&
    error.code === 'relay_untrusted' &&
    typeof error.cause === 'object' &&
    error.cause !== null &&
    'isApp' in error.cause
  );
}

/** What BoringSSL has let pass and OpenSSL would not. The chain is DER, leaf first. Undefined when it is in order. */
export function checkPresented(relay: URL, chain: readonly Uint8Array[]): TowlineError | undefined {
  const leaf = chain[0];
  if (leaf === undefined) return new TowlineError('relay_untrusted', 'The relay presented no certificate.');
  const { host, isIp } = relayAddress(relay);
  // The last one may be a root, whose signature means nothing.
  const signed = chain.length === 1 ? chain : chain.slice(0, -1);
  if (signed.some((der) => SHA1_SIGNATURES.some((oid) => Buffer.from(der).includes(oid))))
    return new TowlineError('relay_untrusted', 'The certificate of the relay bears a signature with SHA-1, which can be forged.');
  return checkHostName(host, isIp, Buffer.from(leaf));
}

/** What {@link explainRefusal} goes by. */
export interface RefusedDial {
  readonly relay: URL;
  readonly trust: ResolvedTrust;
  readonly environment: NodeJS.ProcessEnv;
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * The error for a certificate that was refused over QUIC. TLS is asked as well, so that people read the same words on
 * every transport; where TLS accepts it, as it does an anchor that is no root, QUIC is what cannot be used here.
 */
export async function explainRefusal(
  refusal: TowlineError & { readonly cause: ConnectionEnd },
  { relay, trust, environment, warn, signal }: RefusedDial,
): Promise<TowlineError> {
  try {
    const proxy = await resolveProxy(relay, environment);
    const socket = await connectVerified({ relay, proxy, trust, warn, timeoutMs: CONNECT_TIMEOUT_MS, signal });
    socket.destroy();
    return new TowlineError('unavailable', 'QUIC cannot check the certificate of this relay in the way that was asked for; TLS can.', {
      hint: 'Pin or trust the root of its chain, not a certificate below it.',
      cause: refusal,
    });
  } catch (error) {
    if (isTowlineError(error) && error.code === 'relay_untrusted') return error;
    const what = VERDICTS[refusal.cause.code] ?? `did not pass verification (TLS alert ${refusal.cause.code - 0x100})`;
    return new TowlineError('relay_untrusted', `The certificate of the relay ${what}.`, { cause: refusal });
  }
}
