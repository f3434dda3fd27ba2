import type { DialRequest, DialTransport, Link } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import { CONNECT_TIMEOUT_MS, relayAddress, startDeadline } from '@towline/link';
import { requestLink } from '../link/request-link.ts';
import { followRoute } from '../loop/follow-route.ts';
import { isImpostor } from './ask-tls.ts';
import { connectVerifiedQuic } from './connect-verified-quic.ts';

/** Parts of the process that a dialler uses. */
export interface QuicDialHost {
  /** Where SSL_CERT_FILE is looked up. */
  readonly environment: NodeJS.ProcessEnv;
  /**
   * Called for each connection that is not verified (TOWLINE_TRUST_INVALID_CERT), and once when something else than the
   * relay begins to answer in its place.
   */
  readonly warn: (text: string) => void;
  /** Time from the first packet to the link, milliseconds; 10 s by default. */
  readonly deadlineMs?: number;
}

/** Makes the dialling half of the QUIC transport. Where this machine has no native part, dialling throws `unavailable`. */
export function createQuicDial(host: QuicDialHost): DialTransport {
  let warned = '';
  return {
    name: 'quic',
    async dial(request) {
      try {
        const link = await dialQuic(request, host);
        warned = '';
        return link;
      } catch (error) {
        // A ladder goes on to the next rung: without this, few would learn of it.
        if (isImpostor(error) && warned !== error.message) host.warn(`WARNING: ${error.message} ${error.hint}`);
        if (isImpostor(error)) warned = error.message;
        throw error;
      }
    },
  };
}

async function dialQuic(request: DialRequest, host: QuicDialHost): Promise<Link> {
  const { relay, trust } = request;
  const ms = host.deadlineMs ?? CONNECT_TIMEOUT_MS;
  const { port } = relayAddress(relay);
  const expired = () =>
    new TowlineError('relay_unreachable', `The relay ${relay.host} did not answer on UDP port ${port} within ${ms / 1_000} s.`);
  const deadline = startDeadline(ms, expired, request.signal);
  try {
    const { dialled, peer } = await connectVerifiedQuic({ ...host, relay, trust, signal: deadline.signal });
    const link = await requestLink(dialled.connection, request, deadline.signal);
    followRoute(dialled, peer);
    return link;
  } finally {
    deadline[Symbol.dispose]();
  }
}
