import * as net from 'node:net';
import * as tls from 'node:tls';
import { ADDRESS_ATTEMPT_MS } from '../trust/address-attempt.ts';
import { checkHostName } from '../trust/host-name.ts';
import { whenConnected } from '../trust/when-connected.ts';
import { explainProxyConnection } from './proxy-failure.ts';
import type { HttpProxy } from './resolve-proxy.ts';

/** Connects to a proxy, over TLS where its URL says so, on which nothing was sent yet. @throws TowlineError `relay_unreachable` or the reason of the signal. */
export async function connectProxy(proxy: HttpProxy, signal: AbortSignal): Promise<net.Socket> {
  signal.throwIfAborted();
  const { host, port, context } = proxy;
  if (context !== undefined) return connectSecure(proxy, context, signal);
  const socket = net.connect({ host, port, autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS });
  return whenConnected(socket, { event: 'connect', signal, explain: (error) => explainProxyConnection(error, null, proxy) });
}

function connectSecure(proxy: HttpProxy, secureContext: tls.SecureContext, signal: AbortSignal): Promise<tls.TLSSocket> {
  const { host, port, isIp } = proxy;
  const socket = tls.connect({
    host,
    port,
    ...(isIp ? {} : { servername: host }),
    secureContext,
    checkServerIdentity: (_name, certificate) => checkHostName(host, isIp, certificate.raw),
    ALPNProtocols: ['http/1.1'],
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  } as tls.ConnectionOptions);
  return whenConnected(socket, {
    event: 'secureConnect',
    signal,
    explain: (error) => explainProxyConnection(error, socket.authorizationError, proxy),
  });
}
