import { relayAddress } from '@towline/link';
import { isTowlineError, type TowlineError } from '@towline/protocol';
import type { QuicProbe } from '@towline/transport-quic/dial';
import { resolveHost } from './dns.ts';
import { type Finding, ok, skipped, warning } from './finding.ts';
import type { Subject } from './subject.ts';

/** Completes a QUIC handshake with the relay's UDP port; see `probeQuic` of @towline/transport-quic/dial. */
export type TryQuic = (probe: QuicProbe) => Promise<{ readonly roundTripMs: number }>;

const INSTEAD = 'Until then links go over TLS, which is slower on bad networks and nothing else.';

/** Looks whether QUIC gets through to the relay. Where it does not, links go over TCP: that is no failure. */
export async function checkUdp({ context, target }: Subject, signal: AbortSignal): Promise<Finding> {
  const { url: relay, trust } = await target();
  const warn = (text: string) => context.output.note(text);
  return judgeUdp(tryQuic, { relay, trust, environment: context.host.env, warn, signal });
}

const tryQuic: TryQuic = async (probe) => (await import('@towline/transport-quic/dial')).probeQuic(probe);

/** The same by any way to try it. */
export async function judgeUdp(attempt: TryQuic, request: QuicProbe): Promise<Finding> {
  try {
    const { host, isIp } = relayAddress(request.relay);
    // A proxy may have looked the name up for TCP; nobody does for UDP.
    if (!isIp) await resolveHost(host, request.environment, request.signal);
    const { roundTripMs } = await attempt(request);
    return ok(`QUIC gets through, with a handshake of ${Math.round(roundTripMs)} ms.`);
  } catch (error) {
    // Time that ran out is an answer too: nothing came back.
    if (request.signal.aborted) return warning(`Nothing comes back from ${where(request.relay)}.`, wayHint(request.relay));
    if (!isTowlineError(error)) throw error;
    return judgeFault(error, request.relay);
  }
}

function judgeFault(error: TowlineError, relay: URL): Finding {
  if (error.code === 'unavailable') return skipped(error.message, `${error.hint} ${INSTEAD}`);
  // Who answers there is not the relay: nothing is said about TCP.
  return warning(error.message, error.code === 'relay_unreachable' ? wayHint(relay) : error.hint);
}

function where(relay: URL): string {
  return `UDP port ${relay.port || '443'} of ${relay.hostname}`;
}

function wayHint(relay: URL): string {
  return `Let ${where(relay)} through firewalls, and have the relay offer QUIC. ${INSTEAD}`;
}
