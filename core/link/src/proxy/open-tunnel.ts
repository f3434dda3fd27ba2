import * as http from 'node:http';
import type { Socket } from 'node:net';
import type { RelayAddress } from '../relay-url.ts';
import { connectProxy } from './connect-proxy.ts';
import { explainProxyRefusal, explainProxySilence } from './proxy-failure.ts';
import type { HttpProxy } from './resolve-proxy.ts';

/**
 * A connection to an address through a proxy, made by CONNECT (RFC 9110 section 9.3.6). The proxy is told the address,
 * and the credential of its own URL, nothing else. @throws TowlineError `relay_unreachable` or the reason of the signal.
 */
export async function openTunnel(proxy: HttpProxy, { host, port }: RelayAddress, signal: AbortSignal): Promise<Socket> {
  const socket = await connectProxy(proxy, signal);
  const target = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  try {
    return await askConnect(socket, { proxy, target, signal });
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? signal.reason : error;
  }
}

interface ConnectRequest {
  readonly proxy: HttpProxy;
  readonly target: string;
  readonly signal: AbortSignal;
}

function askConnect(socket: Socket, { proxy, target, signal }: ConnectRequest): Promise<Socket> {
  signal.throwIfAborted();
  const { authorization } = proxy;
  return new Promise((resolve, reject) => {
    const outgoing = http.request({
      createConnection: () => socket,
      method: 'CONNECT',
      path: target,
      headers: { Host: target, ...(authorization === undefined ? {} : { 'Proxy-Authorization': authorization }) },
    });
    const onAbort = () => outgoing.destroy(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    outgoing.once('close', () => signal.removeEventListener('abort', onAbort));
    outgoing.on('error', (error) => reject(explainProxySilence(error, proxy)));
    // Comes for every final status: after CONNECT nothing that follows is a body to node:http.
    outgoing.on('connect', ({ statusCode = 0 }, _socket, head) => {
      signal.removeEventListener('abort', onAbort);
      if (statusCode < 200 || statusCode > 299) return reject(explainProxyRefusal(statusCode, proxy, target));
      socket.setTimeout(0);
      socket.setNoDelay(true);
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    outgoing.end();
  });
}
