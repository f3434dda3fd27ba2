import type { SessionEnd } from '../control.ts';
import type { ErrorCode } from '../errors/catalogue.ts';
import type { TowlineError } from '../errors/towline-error.ts';

/** How a session ended. Set where the end is caused; both ends and the audit trail show the same. */
export type SessionResult = SessionEnd;

/** Codes of streams that went away without anybody having meant to end the session. */
const BREAKS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'internal',
  'protocol_error',
  'link_lost',
  'link_closed',
  'link_silent',
  'link_flooded',
  'stream_reset',
  'stream_limit',
  'session_broken',
  'device_replaced',
  'device_lost',
  'unavailable',
  'timeout',
]);

/** The end of a session by an error: meant (`ended`), as by its user or by whoever took the access away, or `broken`. */
export function endOfError(error: TowlineError): SessionEnd {
  return { reason: BREAKS.has(error.code) ? 'broken' : 'ended', code: error.code, message: error.message };
}
