import type { TLSSocket } from 'node:tls';
import type { TrustSettings } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';
import { type HttpProxy, resolveProxy } from '../proxy/resolve-proxy.ts';
import { connectVerified } from './connect-verified.ts';
import { CONNECT_TIMEOUT_MS } from './open-tls.ts';
import { type ResolvedTrust, resolveTrust } from './resolve-trust.ts';

/** How connections to one relay are made. */
export interface ConnectorOptions {
  readonly relay: URL;
  readonly trust: TrustSettings;
  /** Where SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY are looked up, usually `process.env`. */
  readonly environment: NodeJS.ProcessEnv;
  /** Called for each connection that is not verified (TOWLINE_TRUST_INVALID_CERT). */
  readonly warn: (text: string) => void;
  /** 10 s by default. */
  readonly connectTimeoutMs?: number;
}

/** What was found out for all connections. */
interface Known {
  readonly proxy: HttpProxy | undefined;
  readonly trust: ResolvedTrust;
}

/** Makes verified connections to one relay. */
export interface RelayConnector {
  /** See {@link connectVerified}. */
  connect(signal: AbortSignal): Promise<TLSSocket>;
}

/** Makes a connector that looks for a proxy and reads roots, or probes a pinned relay, once for all its connections. */
export function createRelayConnector(options: ConnectorOptions): RelayConnector {
  const { relay, warn, connectTimeoutMs: timeoutMs = CONNECT_TIMEOUT_MS } = options;
  const { environment } = options;
  let known: Known | undefined;

  const connectWith = ({ trust, proxy }: Known, signal: AbortSignal) => connectVerified({ relay, proxy, trust, warn, timeoutMs, signal });

  async function connectAnew(signal: AbortSignal): Promise<TLSSocket> {
    const proxy = await resolveProxy(relay, environment);
    known = { proxy, trust: await resolveTrust({ relay, settings: options.trust, environment, timeoutMs, signal }) };
    return connectWith(known, signal);
  }

  return {
    async connect(signal) {
      if (known === undefined) return connectAnew(signal);
      try {
        return await connectWith(known, signal);
      } catch (error) {
        // The relay may have renewed the certificate of its CA, with the same key.
        if (!known.trust.pinned || !isTowlineError(error) || error.code !== 'relay_untrusted') throw error;
        return connectAnew(signal);
      }
    },
  };
}
