import { createSecureContext, type SecureContext } from 'node:tls';
import { readSystemRoots } from '../trust/system-roots.ts';
import { TLS_POLICY } from '../trust/tls-policy.ts';
import { chooseProxy } from './choose-proxy.ts';
import type { ProxyAddress } from './proxy-url.ts';

/** A proxy, ready for any number of connections. */
export interface HttpProxy extends ProxyAddress {
  /** What is believed of a proxy that is spoken to over TLS. What is believed of the relay has no part in it. */
  readonly context?: SecureContext;
}

/** The proxy for a relay, see {@link chooseProxy}; one over TLS is verified by the system's roots, or SSL_CERT_FILE. @throws TowlineError `config_invalid`. */
export async function resolveProxy(relay: URL, environment: NodeJS.ProcessEnv): Promise<HttpProxy | undefined> {
  const address = chooseProxy(relay, environment);
  if (!address?.secure) return address;
  const roots = await readSystemRoots(environment);
  return { ...address, context: createSecureContext({ ...TLS_POLICY, ca: [...roots] }) };
}
