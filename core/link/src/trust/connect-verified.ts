import type { TLSSocket } from 'node:tls';
import { TowlineError } from '@towline/protocol';
import type { HttpProxy } from '../proxy/resolve-proxy.ts';
import { openTls } from './open-tls.ts';
import type { ResolvedTrust } from './resolve-trust.ts';

/** A connection to be made and verified. */
export interface VerifiedRequest {
  readonly relay: URL;
  /** The proxy to go through, see {@link resolveProxy} of proxy/. */
  readonly proxy: HttpProxy | undefined;
  readonly trust: ResolvedTrust;
  /** Called for each connection that is not verified. */
  readonly warn: (text: string) => void;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * A TLS connection to the relay on which nothing was sent yet, given out only after the certificate was verified:
 * chain, dates and host name. @throws TowlineError `relay_unreachable`, `relay_untrusted`, `relay_not_towline`.
 */
export async function connectVerified({ relay, proxy, trust, warn, timeoutMs, signal }: VerifiedRequest): Promise<TLSSocket> {
  if (!trust.verify) warn(invalidCertWarning(relay));
  const socket = await openTls({ relay, proxy, context: trust.context, verify: trust.verify, timeoutMs, signal });
  if (!trust.verify || socket.authorized) return socket;
  // Not reached as Node stands: it destroys such a socket. The credential is worth asking twice.
  socket.destroy();
  throw new TowlineError('relay_untrusted');
}

/** What is said on each connection that is not verified. */
export function invalidCertWarning(relay: URL): string {
  return (
    `WARNING: TOWLINE_TRUST_INVALID_CERT is set, so the certificate of ${relay.host} is NOT checked. ` +
    'Whoever sits between can read and change everything, the credential too. For development only.'
  );
}
