import type { SecureContext, TLSSocket } from 'node:tls';
import * as tls from 'node:tls';
import { TowlineError } from '@towline/protocol';
import { type RelayAddress, relayAddress } from '../relay-url.ts';
import { startDeadline } from './deadline.ts';
import { checkHostName } from './host-name.ts';
import { explainTlsFailure } from './tls-failure.ts';

/** Time for name look-up, connection and TLS handshake together, milliseconds. */
export const CONNECT_TIMEOUT_MS = 10_000;
/**
 * Time an address of a name is given before the next is tried, milliseconds. Node's 250 are less than one round
 * trip on a satellite or mobile link, and an attempt that is passed over is given up for good.
 */
const ADDRESS_ATTEMPT_MS = 2_500;

/** A TLS handshake to be made. */
export interface TlsRequest {
  readonly relay: URL;
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
  const { host, port } = relayAddress(request.relay);
  const expired = () => new TowlineError('relay_unreachable', `${host} port ${port} did not answer within ${request.timeoutMs / 1_000} s.`);
  const deadline = startDeadline(request.timeoutMs, expired, request.signal);
  try {
    return await handshake(request, deadline.signal);
  } finally {
    deadline[Symbol.dispose]();
  }
}

function handshake(request: TlsRequest, signal: AbortSignal): Promise<TLSSocket> {
  signal.throwIfAborted();
  const address = relayAddress(request.relay);
  const socket = tls.connect(connectionOptions(request, address));
  // Stays for the socket's life: an error between this promise and the owner's first listener must not end the process.
  socket.on('error', () => undefined);
  return new Promise<TLSSocket>((resolve, reject) => {
    const onAbort = () => socket.destroy(signal.reason);
    const settle = () => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      socket.off('secureConnect', onSecure);
    };
    const onError = (error: Error) => {
      settle();
      reject(signal.aborted ? signal.reason : explainTlsFailure(error, socket.authorizationError, address));
    };
    const onSecure = () => {
      settle();
      resolve(socket);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('secureConnect', onSecure);
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
