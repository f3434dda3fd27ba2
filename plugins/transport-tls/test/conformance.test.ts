import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { describeLink, type LinkPair, type LinkPairLimits } from '@towline/conformance/link';
import { CONNECT_TIMEOUT_MS, createLink, createRelayConnector, requestUpgrade, type UpgradeRequest } from '@towline/link';
import { requestWebSocket } from '../src/websocket/request-websocket.ts';
import { silent, startUpgrading } from './dialled-link.ts';
import { dialRequest } from './relay-server.ts';

type Ask = (socket: TLSSocket, request: UpgradeRequest, signal: AbortSignal) => Promise<Duplex>;

/** A link over loopback, made as a client and a relay make it: TLS, the upgrade, then frames. The client opens. */
async function openPair(ask: Ask, limits: LinkPairLimits = {}): Promise<LinkPair> {
  let take: (duplex: Duplex) => void = () => undefined;
  const taken = new Promise<Duplex>((resolve) => {
    take = resolve;
  });
  const server = await startUpgrading((duplex) => take(duplex));
  const request = dialRequest(server.relay, { role: 'client' });
  const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS);
  const socket = await createRelayConnector({ ...silent, relay: server.relay, trust: request.trust }).connect(signal);
  const opener = createLink(await ask(socket, request, signal), { role: 'opener', limits });
  const acceptor = createLink(await taken, { role: 'acceptor', limits });
  return { opener, acceptor, sever: () => socket.destroy(), dispose: async () => server[Symbol.asyncDispose]() };
}

describeLink('an upgraded connection', (limits) => openPair(requestUpgrade, limits));
describeLink('a WebSocket', (limits) => openPair(requestWebSocket, limits));
