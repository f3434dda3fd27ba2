import { randomBytes } from 'node:crypto';
import type { TrustSettings } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import { CONNECT_TIMEOUT_MS, invalidCertWarning, relayAddress, resolveTrust } from '@towline/link';
import { isTowlineError } from '@towline/protocol';
import { loadQuiche } from '../binding/load-quiche.ts';
import type { HostPort } from '../binding/quiche.ts';
import type { ConnectionEnd } from '../loop/connection-end.ts';
import { connectQuic, type DialledConnection } from '../loop/quic-client.ts';
import { openUdpSocket } from '../loop/udp-socket.ts';
import { askTls } from './ask-tls.ts';
import { type Chain, checkAccepted, explainAlert, readCertificates } from './certificate-verdict.ts';
import { type QuicTrust, quicTrust, withoutTrust } from './quic-trust.ts';
import { firstOfAddresses, lookUpRelay } from './relay-addresses.ts';

/** TLS alerts are numbered from here on as errors of QUIC (RFC 9001 section 4.8). */
const FIRST_ALERT = 0x100;

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
 * chain, dates and host name, with the verdict TLS comes to. Where only QUIC refuses it, the error is that of the way
 * and not of the relay, see {@link askTls}.
 * @throws TowlineError `relay_unreachable`, `relay_untrusted`, `relay_not_towline`, `unavailable`, or the signal's reason.
 */
export async function connectVerifiedQuic(request: VerifiedQuicRequest): Promise<VerifiedQuic> {
  const { relay, trust: settings, environment, signal, warn } = request;
  loadQuiche();
  const seen: Seen = { chain: [] };
  const way: Way = { relay, addresses: await lookUpRelay(relay, signal), signal, seen };
  const probe = async () => readCertificates(await presentedChain(way));
  try {
    const trust = await resolveTrust({ relay, settings, environment, timeoutMs: CONNECT_TIMEOUT_MS, signal, probe });
    if (!trust.verify) warn(invalidCertWarning(relay));
    return await connectBy(way, quicTrust(trust));
  } catch (error) {
    if (!isTowlineError(error) || error.code !== 'relay_untrusted') throw error;
    throw await askTls(error, { relay, trust: settings, environment, signal, leaf: seen.chain[0] });
  }
}

/** What the relay, or whoever answered in its place, showed last. */
interface Seen {
  chain: Chain;
}

interface Way {
  readonly relay: URL;
  readonly addresses: readonly string[];
  readonly signal: AbortSignal;
  readonly seen: Seen;
}

/** What a relay presents, leaf first, unverified; nothing is sent and the connection is closed at once. */
async function presentedChain(way: Way): Promise<Chain> {
  const { dialled } = await connectBy(way, withoutTrust());
  dialled.connection.close(0, 'only a look');
  return way.seen.chain;
}

function connectBy({ relay, addresses, signal, seen }: Way, { config, anchors }: QuicTrust): Promise<VerifiedQuic> {
  const { host, port, isIp } = relayAddress(relay);
  const make = async (address: string, until: AbortSignal): Promise<VerifiedQuic> => {
    const peer = { host: address, port };
    const beganMs = performance.now();
    const dialled = await connectQuic({
      quiche: loadQuiche().quiche,
      config,
      // An address is not a server name (RFC 6066 section 3); it is checked against the certificate all the same.
      serverName: isIp ? null : host,
      peer,
      openSocket: () => openUdpSocket({ connect: peer }),
      secret: randomBytes(32),
    });
    const end = await handshake(dialled, until);
    const chain = dialled.connection.native.peerCertChain() ?? [];
    if (chain.length > 0) seen.chain = chain;
    const fault = end === null ? anchors && checkAccepted(relay, chain, anchors) : explainEnd(end, relay, chain);
    if (!fault) return { dialled, peer, handshakeMs: performance.now() - beganMs };
    dialled.connection.close(0, 'The certificate is not trusted.');
    throw fault;
  };
  return firstOfAddresses(addresses, signal, { make, discard: ({ dialled }) => dialled.connection.close(0, 'another address was faster') });
}

/** Resolves with null when the handshake is done, else with how the connection ended. @throws the signal's reason. */
async function handshake({ connection }: DialledConnection, signal: AbortSignal): Promise<ConnectionEnd | null> {
  const giveUp = () => connection.close(0, 'The dialler gave up.', false);
  signal.addEventListener('abort', giveUp, { once: true });
  if (signal.aborted) giveUp();
  try {
    const end = await Promise.race([connection.established, connection.closed]);
    if (end === undefined) return null;
    connection.abandon();
    signal.throwIfAborted();
    return end;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

/** Why there is no connection. An alert of our own behind a certificate is about that certificate. */
function explainEnd(end: ConnectionEnd, relay: URL, chain: Chain): TowlineError {
  const { host, port } = relayAddress(relay);
  const alert = end.by === 'self' && !end.isApp && end.code >= FIRST_ALERT;
  if (alert && chain.length > 0) return explainAlert(end.code, relay, chain);
  if (alert || end.by === 'peer')
    return new TowlineError('relay_not_towline', `What answers on ${host} UDP port ${port} is not a Towline relay.`, { cause: end });
  return new TowlineError('relay_unreachable', `${host} does not answer on UDP port ${port}.`, { cause: end });
}
