import type { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { HttpProxy } from '../proxy/resolve-proxy.ts';
import { openTls } from './open-tls.ts';
import { TLS_POLICY } from './tls-policy.ts';

/** Longest chain that is looked at. Real ones have two to four certificates. */
const MAX_CHAIN = 10;

/** A look at what a relay presents. */
export interface ChainProbe {
  readonly relay: URL;
  readonly proxy: HttpProxy | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * The chain a relay presents, leaf first, unverified. The connection sends nothing and is closed at once.
 * @throws TowlineError `relay_unreachable` or `relay_not_towline`.
 */
export async function probeChain(probe: ChainProbe): Promise<X509Certificate[]> {
  const context = createSecureContext({ ...TLS_POLICY, ca: [] });
  const socket = await openTls({ ...probe, context, verify: false });
  try {
    return chainFrom(socket.getPeerX509Certificate());
  } finally {
    socket.destroy();
  }
}

function chainFrom(leaf: X509Certificate | undefined): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let next = leaf; next !== undefined && chain.length < MAX_CHAIN; next = next.issuerCertificate) chain.push(next);
  return chain;
}
