import type { TLSSocket } from 'node:tls';
import type { DialRequest, DialTransport, Link } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import { CONNECT_TIMEOUT_MS, createLink, createRelayConnector, requestUpgrade, startDeadline } from '@towline/link';

/** Parts of the process that a dialler uses. */
export interface TlsDialHost {
  /** Where SSL_CERT_FILE is looked up. */
  readonly environment: NodeJS.ProcessEnv;
  /** Called for each connection that is not verified (TOWLINE_TRUST_INVALID_CERT). */
  readonly warn: (text: string) => void;
  /** Time from the first packet to the link, milliseconds; 10 s by default. */
  readonly deadlineMs?: number;
}

/** Makes the dialling half of the TLS transport. */
export function createTlsDial(host: TlsDialHost): DialTransport {
  return { name: 'tls', dial: (request) => dialTls(request, host) };
}

/** The dialling half for a program on a terminal: warnings go to stderr. */
export const tlsDial: DialTransport = createTlsDial({
  environment: process.env,
  warn: (text) => void process.stderr.write(`${text}\n`),
});

async function dialTls(request: DialRequest, host: TlsDialHost): Promise<Link> {
  const { relay } = request;
  const ms = host.deadlineMs ?? CONNECT_TIMEOUT_MS;
  const expired = () => new TowlineError('relay_unreachable', `The relay ${relay.host} did not make a link within ${ms / 1_000} s.`);
  const deadline = startDeadline(ms, expired, request.signal);
  try {
    const connector = createRelayConnector({ relay, trust: request.trust, environment: host.environment, warn: host.warn });
    const socket = await connector.connect(deadline.signal);
    return linkOver(await requestUpgrade(socket, request, deadline.signal), request.role);
  } finally {
    deadline[Symbol.dispose]();
  }
}

/** Clients open streams towards the relay; devices accept those that the relay opens. */
function linkOver(socket: TLSSocket, role: DialRequest['role']): Link {
  return createLink(socket, { role: role === 'client' ? 'opener' : 'acceptor' });
}
