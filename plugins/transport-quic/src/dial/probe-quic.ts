import type { TrustSettings } from '@towline/contract';
import { connectVerifiedQuic } from './connect-verified-quic.ts';

/** A look whether QUIC gets through to a relay. */
export interface QuicProbe {
  readonly relay: URL;
  readonly trust: TrustSettings;
  readonly environment: NodeJS.ProcessEnv;
  readonly warn: (text: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Makes a verified connection, sends nothing on it, and closes it. Answers the time of the handshake, milliseconds.
 * @throws TowlineError `unavailable` without the native part, `relay_unreachable` where UDP does not get through,
 * `relay_untrusted`, or the signal's reason.
 */
export async function probeQuic(probe: QuicProbe): Promise<{ readonly roundTripMs: number }> {
  const { dialled, handshakeMs } = await connectVerifiedQuic(probe);
  dialled.connection.close(0, 'only a look');
  return { roundTripMs: handshakeMs };
}
