import * as http from 'node:http';
import { cancellation, explainRequestFault } from '@towline/link';
import { durationText } from '../output/times.ts';
import { type Finding, ok, skipped, warning } from './finding.ts';
import { connectorTo, type Subject } from './subject.ts';

/** What clocks may differ by, milliseconds: grants live for a minute, and the relay gives its time to the second. */
const TOLERATED_MS = 30_000;
/** The relay's time is cut to the second: on average it is so much later, milliseconds. */
const CUT_MS = 500;

/** Compares the clock of this machine with the Date of an answer of the relay (RFC 9110 section 6.6.1). */
export async function checkClock(subject: Subject, signal: AbortSignal): Promise<Finding> {
  const { relayTime, askedAt, answeredAt } = await askTime(subject, signal);
  if (Number.isNaN(relayTime))
    return skipped('The relay’s answer does not tell the time.', 'Something before the relay takes the Date out.');
  const aheadMs = (askedAt + answeredAt) / 2 - (relayTime + CUT_MS);
  // A slow answer makes the comparison no better than its own duration.
  const doubtMs = (answeredAt - askedAt) / 2;
  if (Math.abs(aheadMs) - doubtMs <= TOLERATED_MS) return ok('This machine and the relay agree on the time.');
  return warning(
    `The clock of this machine is ${durationText(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'} that of the relay.`,
    'Set it by NTP (`timedatectl set-ntp true`); if this clock is right, set that of the relay.',
  );
}

interface TimedAnswer {
  /** Unix time, milliseconds; NaN when the answer gives none. */
  readonly relayTime: number;
  readonly askedAt: number;
  readonly answeredAt: number;
}

async function askTime(subject: Subject, signal: AbortSignal): Promise<TimedAnswer> {
  const { host } = subject.context;
  const { url } = await subject.target();
  const socket = await (await connectorTo(subject)).connect(signal);
  try {
    const askedAt = host.now();
    const date = await new Promise<string | undefined>((resolve, reject) => {
      const request = http.request({ createConnection: () => socket, path: '/healthz', headers: { Host: url.host }, signal });
      request.on('response', ({ headers }) => resolve(headers.date));
      request.on('error', reject);
      request.end();
    });
    return { relayTime: Date.parse(date ?? ''), askedAt, answeredAt: host.now() };
  } catch (error) {
    throw signal.aborted ? cancellation(signal) : explainRequestFault(error, url);
  } finally {
    socket.destroy();
  }
}
