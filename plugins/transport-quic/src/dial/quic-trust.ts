import type { X509Certificate } from 'node:crypto';
import type { ResolvedTrust } from '@towline/link';
import { loadQuiche } from '../binding/load-quiche.ts';
import type { NativeConfig } from '../binding/quiche.ts';
import { clientConfig } from '../loop/quic-config.ts';
import { readCertificates } from './certificate-verdict.ts';

/** What a connection is verified by. */
export interface QuicTrust {
  readonly config: NativeConfig;
  /** The roots in the config; null where nothing is verified. */
  readonly anchors: readonly X509Certificate[] | null;
}

/** That of the last dial: 150 roots cost some milliseconds and a megabyte, and hardly ever change. */
let last: { readonly key: string; readonly trust: QuicTrust } | undefined;

/** What connections are verified by, from what is believed about a relay. */
export function quicTrust({ verify, roots }: Pick<ResolvedTrust, 'verify' | 'roots'>): QuicTrust {
  if (!verify) return withoutTrust();
  const key = roots.join('\n');
  if (last?.key !== key) last = { key, trust: trustIn(roots) };
  return last.trust;
}

/** For a look at what a relay shows, and where verification was switched off. */
export function withoutTrust(): QuicTrust {
  return { config: clientConfig(loadQuiche().quiche, null, {}), anchors: null };
}

function trustIn(roots: readonly string[]): QuicTrust {
  try {
    return trustInAll(roots);
  } catch {
    // BoringSSL takes none when there is one that it cannot read, as OpenSSL can. What such a root signed is left to TLS.
    return trustInAll(roots.filter(isReadable));
  }
}

function trustInAll(roots: readonly string[]): QuicTrust {
  return { config: clientConfig(loadQuiche().quiche, roots, {}), anchors: readCertificates(roots) };
}

function isReadable(root: string): boolean {
  try {
    clientConfig(loadQuiche().quiche, [root], {});
    return true;
  } catch {
    return false;
  }
}
