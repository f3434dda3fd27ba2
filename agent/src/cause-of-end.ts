import { endOfError, type SessionEnd, type TowlineError } from '@towline/protocol';

/** Codes with which a relay ends a session that ran or idled too long. */
const LIMIT_CODES: ReadonlySet<string> = new Set(['session_idle', 'session_too_long']);

/** The end of a session by an error, whether that came on its stream or in a message of the relay: of two that race both say the same. */
export function causeOfEnd(error: TowlineError): SessionEnd {
  const end = endOfError(error);
  return LIMIT_CODES.has(error.code) ? { ...end, reason: 'limit' } : end;
}
