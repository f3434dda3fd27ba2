import type { Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import * as tls from 'node:tls';
import { TowlineError } from '@towline/protocol';
import { openTunnel } from '../proxy/open-tunnel.ts';
import type { HttpProxy } from '../proxy/resolve-proxy.ts';
import { type RelayAddress, relayAddress } from '../relay-url.ts';
import { ADDRESS_ATTEMPT_MS } from './address-attempt.ts';
import { startDeadline } from './deadline.ts';
import { checkHostName } from './host-name.ts';
import { explainTlsFailure } from './tls-failure.ts';
import { whenConnected } from './when-connected.ts';

/** Time for name look-up, proxy, connection and TLS handshake together, milliseconds. */
export const CONNECT_TIMEOUT_MS = 10_000;

/** A TLS handshake to be made. */
export interface TlsRequest {
  readonly relay: URL;
  /** The proxy to go through, if any. TLS to the relay runs inside its tunnel and is verified as without it. */
  readonly proxy: HttpProxy | undefined;
  readonly context: SecureContext;
  /** False only for a probe, which sends nothing, and where verification was switched off. */
  readonly verify: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Connects and completes the TLS handshake; not one byte of application data is sent.
 * @throws TowlineError `relay_unreachable`, `relay_untrusted`, `relay_not_towline` or the reason of the signal.
 */
export async function openTls(request: TlsRequest): Promise<TLSSocket> {
  const { proxy, timeoutMs } = request;
  const address = relayAddress(request.relay);
  let tunnel: Socket | undefined;
  const expired = () => new TowlineError('relay_unreachable', `${describeSilence(address, proxy, tunnel)} within ${timeoutMs / 1_000} s.`);
  const deadline = startDeadline(timeoutMs, expired, request.signal);
  try {
    if (proxy !== undefined) tunnel = await openTunnel(proxy, address, deadline.signal);
    return await handshake(request, tunnel, deadline.signal);
  } finally {
    deadline[Symbol.dispose]();
  }
}

function describeSilence({ host, port }: RelayAddress, proxy: HttpProxy | undefined, tunnel: Socket | undefined): string {
  if (proxy === undefined) return `${host} port ${port} did not answer`;
  if (tunnel === undefined) return `The proxy ${proxy.name} did not connect to ${host} port ${port}`;
  return `${host} port ${port} did not answer through the proxy ${proxy.name}`;
}

function handshake(request: TlsRequest, tunnel: Socket | undefined, signal: AbortSignal): Promise<TLSSocket> {
  signal.throwIfAborted();
  const address = relayAddress(request.relay);
  const socket = tls.connect({ ...connectionOptions(request, address), ...(tunnel === undefined ? {} : { socket: tunnel }) });
  socket.once('close', () => tunnel?.destroy());
  return whenConnected(socket, {
    event: 'secureConnect',
    signal,
    explain: (error) => explainTlsFailure(error, socket.authorizationError, address),
  });
}

function connectionOptions(request: TlsRequest, { host, port, isIp }: RelayAddress): tls.ConnectionOptions {
  return {
    host,
    port,
    // An address is not a server name (RFC 6066 section 3); it is checked against the certificate all the same.
    ...(isIp ? {} : { servername: host }),
    secureContext: request.context,
    rejectUnauthorized: request.verify,
    checkServerIdentity: (_name, certificate) => checkHostName(host, isIp, certificate.raw),
    ALPNProtocols: ['http/1.1'],
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  } as tls.ConnectionOptions;
}
