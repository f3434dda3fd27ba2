import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { DialRequest, DialTransport, Link } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import { CONNECT_TIMEOUT_MS, chooseProxy, createLink, createRelayConnector, requestUpgrade, startDeadline } from '@towline/link';

/** Parts of the process that a dialler uses. */
export interface TlsDialHost {
  /** Where SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY are looked up. */
  readonly environment: NodeJS.ProcessEnv;
  /** Called for each connection that is not verified (TOWLINE_TRUST_INVALID_CERT). */
  readonly warn: (text: string) => void;
  /** Time from the first packet to the link, milliseconds; 10 s by default. */
  readonly deadlineMs?: number;
}

/** Makes link bytes of a connection that was verified. */
type Upgrade = (socket: TLSSocket, request: DialRequest, signal: AbortSignal) => Promise<Duplex>;

/** Makes the dialling half of the TLS transport. */
export function createTlsDial(host: TlsDialHost): DialTransport {
  return { name: 'tls', dial: (request) => dialOver(request, host, requestUpgrade) };
}

/** Makes the dialling half of the same link inside a WebSocket, for where something between refuses other upgrades. */
export function createWebSocketDial(host: TlsDialHost): DialTransport {
  return { name: 'websocket', dial: (request) => dialOver(request, host, upgradeToWebSocket) };
}

/** The dialling half for a program on a terminal: warnings go to stderr. */
export const tlsDial: DialTransport = createTlsDial({
  environment: process.env,
  warn: (text) => void process.stderr.write(`${text}\n`),
});

/** Loaded when it is needed, which for most programs is never: ws takes some 40 ms to load. */
const upgradeToWebSocket: Upgrade = async (socket, request, signal) => {
  const { requestWebSocket } = await import('./websocket/request-websocket.ts');
  return requestWebSocket(socket, request, signal);
};

async function dialOver(request: DialRequest, host: TlsDialHost, upgrade: Upgrade): Promise<Link> {
  const { relay } = request;
  const ms = host.deadlineMs ?? CONNECT_TIMEOUT_MS;
  const proxy = chooseProxy(relay, host.environment);
  const way = proxy === undefined ? '' : ` through the proxy ${proxy.name}`;
  const expired = () => new TowlineError('relay_unreachable', `The relay ${relay.host} did not make a link within ${ms / 1_000} s${way}.`);
  const deadline = startDeadline(ms, expired, request.signal);
  try {
    const connector = createRelayConnector({ relay, trust: request.trust, environment: host.environment, warn: host.warn });
    const socket = await connector.connect(deadline.signal);
    return linkOver(await upgrade(socket, request, deadline.signal), request.role);
  } finally {
    deadline[Symbol.dispose]();
  }
}

/** Clients open streams towards the relay; devices accept those that the relay opens. */
function linkOver(duplex: Duplex, role: DialRequest['role']): Link {
  return createLink(duplex, { role: role === 'client' ? 'opener' : 'acceptor' });
}
