import type { TrustSettings } from '@towline/contract';
import { cancellation, createRelayConnector, relayAddress, startDeadline } from '@towline/link';
import { isTowlineError, TowlineError } from '@towline/protocol';

/** Time for TLS to answer, milliseconds. Without an answer the certificate stays refused. */
const ASK_MS = 4_000;

/** What {@link askTls} goes by. */
export interface RefusedDial {
  readonly relay: URL;
  readonly trust: TrustSettings;
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** What was shown over QUIC, DER; undefined for nothing. */
  readonly leaf: Uint8Array | undefined;
}

/**
 * The error for a certificate that was refused over QUIC (`relay_untrusted`), when TLS was asked as well. Where TLS
 * refuses too, its words count, so that people read the same on every transport. Where it does not, the relay is there
 * and in order, and whoever answers packets must not be able to keep a device from it: that is `unavailable` for the
 * same certificate, as for an anchor that is no root, and `relay_not_towline` for another. Nothing is sent.
 * @throws the signal's reason.
 */
export async function askTls(refusal: TowlineError, { relay, trust, environment, signal, leaf }: RefusedDial): Promise<TowlineError> {
  const deadline = startDeadline(ASK_MS, () => new TowlineError('timeout'), signal);
  try {
    const socket = await createRelayConnector({ relay, trust, environment, warn: () => undefined }).connect(deadline.signal);
    const shown = socket.getPeerX509Certificate()?.raw;
    socket.destroy();
    return leaf !== undefined && shown?.equals(leaf) ? notForQuic(refusal) : notTheRelay(relay, refusal);
  } catch (error) {
    if (signal.aborted) throw cancellation(signal);
    return isTowlineError(error) && error.code === 'relay_untrusted' ? error : refusal;
  } finally {
    deadline[Symbol.dispose]();
  }
}

/** Whether an error says that something else than the relay answers over QUIC. */
export function isImpostor(error: unknown): error is TowlineError {
  return (
    isTowlineError(error) && error.code === 'relay_not_towline' && isTowlineError(error.cause) && error.cause.code === 'relay_untrusted'
  );
}

function notForQuic(refusal: TowlineError): TowlineError {
  return new TowlineError(
    'unavailable',
    `TLS accepts the certificate of the relay, but QUIC cannot check it. For QUIC: ${refusal.message}`,
    {
      hint: 'Pin or trust the root of its chain, not a certificate below it; RSA keys need 2048 bits.',
      cause: refusal,
    },
  );
}

function notTheRelay(relay: URL, refusal: TowlineError): TowlineError {
  const { host, port } = relayAddress(relay);
  const text = `What answers on UDP port ${port} of ${host} is not the relay that answers over TLS: it shows another certificate, which is not trusted.`;
  return new TowlineError('relay_not_towline', text, {
    hint: 'Someone may stand between. If not, another program has that UDP port, or the relay must be started anew to show its new certificate there.',
    cause: refusal,
  });
}
