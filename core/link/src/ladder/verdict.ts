import type { ErrorCode, TowlineError } from '@towline/protocol';
import { retryAfterMs } from '../relay-answer.ts';

/**
 * Codes that tell of the way to a relay, the most telling first. What answers in the place of the relay says more than
 * silence; `timeout` and `unavailable` may be about this machine, and `internal` is a fault of the transport itself.
 */
const OF_THE_WAY: readonly ErrorCode[] = Object.freeze([
  'relay_not_towline',
  'protocol_error',
  'link_closed',
  'link_lost',
  'link_silent',
  'relay_unreachable',
  'timeout',
  'unavailable',
  'internal',
]);

/**
 * Whether another transport may fare better. Everything else is about the relay or the credential, as `relay_untrusted`
 * or `key_revoked`, and the same on every transport. So is a relay that asks to wait: it was reached.
 */
export function isOfTheWay(error: TowlineError): boolean {
  return OF_THE_WAY.includes(error.code) && retryAfterMs(error) === undefined;
}

/** The failure that tells most of why there is no way. There must be one. */
export function mostTelling(failures: readonly TowlineError[]): TowlineError {
  return failures.reduce((best, next) => (OF_THE_WAY.indexOf(next.code) < OF_THE_WAY.indexOf(best.code) ? next : best));
}
