import { INITIAL_STREAM_CREDIT, MAX_STREAMS_PER_LINK } from '@towline/protocol';
import type { NativeConfig, Quiche } from '../binding/quiche.ts';
import { ACTIVE_CONNECTION_IDS } from './connection-ids.ts';

/** Name of the protocol in the TLS handshake (ALPN): the link protocol over QUIC. */
export const ALPN = 'towline/1';
/** Largest packet we send, bytes of UDP payload: passes through common tunnels (Ethernet less IPv6, UDP and a VPN's head). */
export const PACKET_BYTES = 1_350;
/** A connection without any packet for so long is over, milliseconds. */
export const IDLE_LIMIT_MS = 30_000;
/** The dialling end sends something at least so often, milliseconds: NATs forget UDP mappings after 30 s and more. */
export const KEEP_ALIVE_MS = 10_000;
/**
 * No limit over all streams of a connection. That of quiche 0.18 shrinks to some kilobytes once it has been used up,
 * and never counts back what was left unread in a stream that broke; measured, three unread streams then stall all
 * others. What is held unread is bounded in quic-connection.ts and incoming-heads.ts.
 */
const CONNECTION_WINDOW = 2 ** 60;
/** Largest window of one stream, bytes: 100 Mbit/s at 300 ms. */
export const MAX_STREAM_WINDOW = 4_194_304;
/** Largest packet that is accepted, bytes of UDP payload. */
const MAX_RECEIVED_PACKET = 65_527;

/** Signatures of a relay that are accepted: what OpenSSL accepts, so that QUIC and TLS come to one verdict. */
const SIGNATURES = [
  'ecdsa_secp256r1_sha256',
  'rsa_pss_rsae_sha256',
  'rsa_pkcs1_sha256',
  'ecdsa_secp384r1_sha384',
  'rsa_pss_rsae_sha384',
  'rsa_pkcs1_sha384',
  'rsa_pss_rsae_sha512',
  'rsa_pkcs1_sha512',
  'ed25519',
  'ecdsa_secp521r1_sha512',
].join(':');

/** How a connection differs from the others. */
export interface QuicTuning {
  /** {@link IDLE_LIMIT_MS} by default. */
  readonly idleMs?: number | undefined;
  /** Streams the peer may open; {@link MAX_STREAMS_PER_LINK} by default. */
  readonly maxStreams?: number | undefined;
  /** Congestion control: `bbr` by default. */
  readonly congestion?: 'bbr' | 'cubic' | 'reno' | undefined;
}

/** Settings of the end that is dialled. */
export function serverConfig(
  quiche: Quiche,
  certificate: { readonly certPem: string; readonly keyPem: string },
  tuning: QuicTuning,
): NativeConfig {
  const [cert, key] = [Buffer.from(certificate.certPem), Buffer.from(certificate.keyPem)];
  return tune(quiche.Config.withBoringSslCtx(false, false, null, [key], [cert], null), tuning);
}

/** Settings of the dialling end. `roots` null: nothing is verified. */
export function clientConfig(quiche: Quiche, roots: readonly string[] | null, tuning: QuicTuning): NativeConfig {
  const ca = roots === null ? null : Buffer.from(roots.join('\n'));
  return tune(quiche.Config.withBoringSslCtx(roots !== null, false, ca, null, null, SIGNATURES), tuning);
}

function tune(
  config: NativeConfig,
  { idleMs = IDLE_LIMIT_MS, maxStreams = MAX_STREAMS_PER_LINK, congestion = 'bbr' }: QuicTuning,
): NativeConfig {
  config.setApplicationProtos([ALPN]);
  config.setMaxIdleTimeout(idleMs);
  config.setMaxRecvUdpPayloadSize(MAX_RECEIVED_PACKET);
  config.setMaxSendUdpPayloadSize(PACKET_BYTES);
  config.setInitialMaxData(CONNECTION_WINDOW);
  config.setInitialMaxStreamDataBidiLocal(INITIAL_STREAM_CREDIT);
  config.setInitialMaxStreamDataBidiRemote(INITIAL_STREAM_CREDIT);
  config.setMaxStreamWindow(MAX_STREAM_WINDOW);
  config.setInitialMaxStreamsBidi(maxStreams);
  config.setInitialMaxStreamsUni(0);
  config.setActiveConnectionIdLimit(ACTIVE_CONNECTION_IDS);
  config.setCcAlgorithmName(congestion);
  // The binding does not say when a paced packet is due, so it cannot be honoured; measured, bbr does better without.
  config.enablePacing(false);
  return config;
}
