import { randomBytes, X509Certificate } from 'node:crypto';
import type { TrustSettings } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import { CONNECT_TIMEOUT_MS, invalidCertWarning, type ResolvedTrust, relayAddress, resolveTrust } from '@towline/link';
import { loadQuiche } from '../binding/load-quiche.ts';
import type { HostPort, NativeConfig } from '../binding/quiche.ts';
import { connectQuic, type DialledConnection } from '../loop/quic-client.ts';
import { clientConfig } from '../loop/quic-config.ts';
import { openUdpSocket } from '../loop/udp-socket.ts';
import { checkPresented, explainRefusal, isRefusal } from './certificate-verdict.ts';
import { firstOfAddresses, lookUpRelay } from './relay-addresses.ts';

/** A connection to be made and verified. */
export interface VerifiedQuicRequest {
  readonly relay: URL;
  readonly trust: TrustSettings;
  readonly environment: NodeJS.ProcessEnv;
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

/** A connection whose peer was verified and that carried nothing yet. */
export interface VerifiedQuic {
  readonly dialled: DialledConnection;
  readonly peer: HostPort;
  readonly handshakeMs: number;
}

/**
 * A QUIC connection to the relay on which nothing was sent yet, given out only after the certificate was verified:
 * chain, dates and host name, with the verdict TLS comes to.
 * @throws TowlineError `relay_unreachable`, `relay_untrusted`, `relay_not_towline`, `unavailable`, or the signal's reason.
 */
export async function connectVerifiedQuic(request: VerifiedQuicRequest): Promise<VerifiedQuic> {
  const { relay, environment, signal, warn } = request;
  loadQuiche();
  const addresses = await lookUpRelay(relay, signal);
  const probe = () => presentedChain(relay, addresses, signal);
  const trust = await resolveTrust({ relay, settings: request.trust, environment, timeoutMs: CONNECT_TIMEOUT_MS, signal, probe });
  if (!trust.verify) warn(invalidCertWarning(relay));
  try {
    const made = await connectTo(relay, addresses, configFor(trust), signal);
    const fault = trust.verify ? checkPresented(relay, made.dialled.connection.native.peerCertChain() ?? []) : undefined;
    if (fault === undefined) return made;
    made.dialled.connection.close(0, 'the certificate is not trusted');
    throw fault;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw await explainRefusal(error, { relay, trust, environment, warn, signal });
  }
}

/** What a relay presents, leaf first, unverified; nothing is sent and the connection is closed at once. */
async function presentedChain(relay: URL, addresses: readonly string[], signal: AbortSignal): Promise<X509Certificate[]> {
  const { dialled } = await connectTo(relay, addresses, clientConfig(loadQuiche().quiche, null, {}), signal);
  const chain = dialled.connection.native.peerCertChain() ?? [];
  dialled.connection.close(0, 'only a look');
  return chain.map((der) => new X509Certificate(Buffer.from(der)));
}

/** The settings of the last dial: 150 roots cost some milliseconds and a megabyte, and hardly ever change. */
let lastConfig: { readonly key: string; readonly config: NativeConfig } | undefined;

function configFor({ verify, roots }: ResolvedTrust): NativeConfig {
  const key = verify ? roots.join('\n') : 'nothing is verified';
  if (lastConfig?.key !== key) lastConfig = { key, config: clientConfig(loadQuiche().quiche, verify ? roots : null, {}) };
  return lastConfig.config;
}

function connectTo(relay: URL, addresses: readonly string[], config: NativeConfig, signal: AbortSignal): Promise<VerifiedQuic> {
  const { host, port, isIp } = relayAddress(relay);
  const serverName = isIp ? null : host.replace(/\.$/, '');
  const make = async (address: string, until: AbortSignal): Promise<VerifiedQuic> => {
    const peer = { host: address, port };
    const beganMs = performance.now();
    const dialled = await connectQuic({
      quiche: loadQuiche().quiche,
      config,
      serverName,
      peer,
      openSocket: () => openUdpSocket({ connect: peer }),
      secret: randomBytes(32),
    });
    await handshake(dialled, relay, until);
    return { dialled, peer, handshakeMs: performance.now() - beganMs };
  };
  return firstOfAddresses(addresses, signal, { make, discard: ({ dialled }) => dialled.connection.close(0, 'another address was faster') });
}

async function handshake({ connection }: DialledConnection, relay: URL, signal: AbortSignal): Promise<void> {
  const { host, port } = relayAddress(relay);
  const giveUp = () => connection.close(0, 'The dialler gave up.', false);
  signal.addEventListener('abort', giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    const end = await Promise.race([connection.established, connection.closed]);
    if (end === undefined) return;
    connection.abandon();
    signal.throwIfAborted();
    if (!end.isApp && end.by === 'self' && end.code >= 0x100) throw new TowlineError('relay_untrusted', undefined, { cause: end });
    if (end.by === 'peer')
      throw new TowlineError('relay_not_towline', `What answers on ${host} UDP port ${port} is not a Towline relay.`, { cause: end });
    throw new TowlineError('relay_unreachable', `${host} does not answer on UDP port ${port}.`, { cause: end });
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
