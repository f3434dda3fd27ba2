import type { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { TrustSettings } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { resolveProxy } from '../proxy/resolve-proxy.ts';
import { fingerprintOfPeerKey, parseFingerprint } from './fingerprint.ts';
import { parseCertificates } from './pem.ts';
import { probeChain } from './probe-chain.ts';
import { readSystemRoots } from './system-roots.ts';
import { TLS_POLICY } from './tls-policy.ts';

/** What {@link resolveTrust} goes by. */
export interface TrustRequest {
  readonly relay: URL;
  readonly settings: TrustSettings;
  /** Where SSL_CERT_FILE is looked up, and HTTPS_PROXY and NO_PROXY for the probe of a pinned relay. */
  readonly environment: NodeJS.ProcessEnv;
  /** For the probe of a pinned relay, milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Looks at the chain of a pinned relay, leaf first, unverified. Over TLS by default. */
  readonly probe?: () => Promise<readonly X509Certificate[]>;
}

/** What is believed about a relay, ready for any number of connections. */
export interface ResolvedTrust {
  readonly context: SecureContext;
  /** The roots in the context, PEM; none where verification was switched off. */
  readonly roots: readonly string[];
  /** False only where verification was switched off. */
  readonly verify: boolean;
  /** Whether the relay's own answer went into it, so that it may go stale. */
  readonly pinned: boolean;
}

/**
 * Turns settings into roots. In order: verification switched off; a pinned fingerprint, which trusts nothing but the
 * presented certificate with that key, neither the system's roots nor `ca`; else the system's roots and those of `ca`.
 * @throws TowlineError `config_invalid`, and with a fingerprint `relay_untrusted`, `relay_unreachable`, `relay_not_towline`.
 */
export async function resolveTrust(request: TrustRequest): Promise<ResolvedTrust> {
  const { fingerprint, ca, trustInvalid } = request.settings;
  if (trustInvalid) return { context: createSecureContext(TLS_POLICY), roots: [], verify: false, pinned: false };
  const pinned = fingerprint !== undefined;
  const roots = pinned ? await pinnedRoots(parseFingerprint(fingerprint), request) : await openRoots(ca, request.environment);
  // A pinned or given certificate is an anchor in itself, be it a root, an intermediate or the leaf.
  const allowPartialTrustChain = pinned || ca !== undefined;
  return { context: createSecureContext({ ...TLS_POLICY, ca: roots, allowPartialTrustChain }), roots, verify: true, pinned };
}

async function openRoots(ca: string | undefined, environment: NodeJS.ProcessEnv): Promise<string[]> {
  const extra = ca === undefined ? [] : parseCertificates(ca, 'The text of additional CAs').map(String);
  return [...(await readSystemRoots(environment)), ...extra];
}

async function pinnedRoots(expected: string, { relay, environment, timeoutMs, signal, probe }: TrustRequest): Promise<string[]> {
  const overTls = async () => probeChain({ relay, proxy: await resolveProxy(relay, environment), timeoutMs, signal });
  const chain = await (probe ?? overTls)();
  const matching = chain.filter((certificate) => fingerprintOfPeerKey(certificate) === expected);
  if (matching.length > 0) return matching.map(String);
  const presented = chain.map(fingerprintOfPeerKey).at(-1) ?? 'no key that can be read';
  throw new TowlineError('relay_untrusted', `The relay presented the fingerprint ${presented}, but ${expected} was expected.`, {
    hint: 'Compare with the `ready` line of the relay: if its CA was made anew, give the new fingerprint; if not, someone stands between.',
  });
}
