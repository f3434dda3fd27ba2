import { TowlineError } from '@towline/protocol';
import type { WireError } from './thread-messages.ts';

/** The error of a thread as the one that callers know. */
export function decodeError({ code, message, hint, detail }: WireError): TowlineError {
  return new TowlineError(code, message, { ...(hint !== undefined && { hint }), ...(detail !== undefined && { detail }) });
}
