import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { TrustSettings } from '@towline/contract';
import { isTowlineError, TowlineError } from '@towline/protocol';
import { durationText } from '../output/times.ts';
import { type Finding, ok, warning } from './finding.ts';
import { connectorTo, type Subject } from './subject.ts';

/** Certificates are renewed well before; a week is time to find out why one was not. */
const ENDS_SOON_MS = 7 * 86_400_000;
/** Verdicts that a wrong clock of this machine leads to as well. */
const BY_THE_CLOCK: ReadonlySet<unknown> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);

/**
 * Makes a TLS connection to the relay as every request does, and looks at the certificate. Nothing is sent on it.
 * @throws TowlineError `relay_untrusted`, `relay_not_towline`, `relay_unreachable`.
 */
export async function checkTls(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { host } = subject.context;
  const connector = await connectorTo(subject);
  const socket = await connector.connect(signal).catch((error: unknown) => {
    throw explain(error, host.now());
  });
  try {
    return judge(socket, (await subject.target()).trust, host.now());
  } finally {
    socket.destroy();
  }
}

function judge(socket: TLSSocket, trust: TrustSettings, now: number): Finding {
  const version = socket.getProtocol()?.replace('v', ' ') ?? 'TLS';
  if (trust.trustInvalid)
    return warning(
      `${version} works, but the certificate is not checked: TOWLINE_TRUST_INVALID_CERT is set.`,
      'Unset it, and trust the relay by --fingerprint or --ca: whoever stands between can read everything.',
    );
  const leftMs = endOf(socket) - now;
  if (leftMs < ENDS_SOON_MS)
    return warning(`${version}; the certificate is trusted, but ends in ${durationText(leftMs)}.`, 'Renew it at the relay.');
  return ok(`${version}; the certificate is trusted by ${anchorOf(trust)}.`);
}

function endOf(socket: TLSSocket): number {
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  return certificate === undefined ? Infinity : Date.parse(certificate.validTo);
}

function anchorOf({ fingerprint, ca }: TrustSettings): string {
  if (fingerprint !== undefined) return 'its fingerprint';
  return ca === undefined ? 'the roots of this system' : 'the given CA';
}

function explain(error: unknown, now: number): unknown {
  if (!isTowlineError(error)) return error;
  const { code, message, hint, cause } = error;
  if (code === 'relay_unreachable')
    return new TowlineError(code, message, {
      hint: 'What takes the connection does not go on with TLS: is it the port of the relay?',
      cause,
    });
  // The clock cannot be compared with that of a relay that is not believed.
  if (!BY_THE_CLOCK.has((cause as NodeJS.ErrnoException | undefined)?.code)) return error;
  return new TowlineError(code, `${message} The clock of this machine says ${new Date(now).toISOString()}.`, { hint, cause });
}
