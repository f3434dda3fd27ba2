import { X509Certificate } from 'node:crypto';
import type { ResolvedTrust } from '@towline/link';
import { loadQuiche } from '../binding/load-quiche.ts';
import type { NativeConfig } from '../binding/quiche.ts';
import { clientConfig } from '../loop/quic-config.ts';

/** What a connection is verified by. */
export interface QuicTrust {
  readonly config: NativeConfig;
  /** False only where verification was switched off. */
  readonly verify: boolean;
  /** The roots in the config. */
  readonly anchors: readonly X509Certificate[];
}

/** That of the last dial: 150 roots cost some milliseconds and a megabyte, and hardly ever change. */
let last: { readonly key: string; readonly trust: QuicTrust } | undefined;

/** What connections are verified by, from what is believed about a relay. */
export function quicTrust({ verify, roots }: Pick<ResolvedTrust, 'verify' | 'roots'>): QuicTrust {
  const key = verify ? roots.join('\n') : 'nothing is verified';
  if (last?.key !== key) last = { key, trust: verify ? trustIn(roots) : NO_CHECK() };
  return last.trust;
}

/** For a look at what a relay shows, and where verification was switched off. */
const NO_CHECK = (): QuicTrust => ({ config: clientConfig(loadQuiche().quiche, null, {}), verify: false, anchors: [] });

function trustIn(roots: readonly string[]): QuicTrust {
  const config = configOf(roots);
  if (config !== null) return { config, verify: true, anchors: roots.map((pem) => new X509Certificate(pem)) };
  // BoringSSL refuses them all for one that it cannot read. Its chains are refused then, and left to TLS.
  return trustIn(roots.filter((root) => configOf([root]) !== null));
}

function configOf(roots: readonly string[]): NativeConfig | null {
  try {
    return clientConfig(loadQuiche().quiche, roots, {});
  } catch {
    return null;
  }
}
