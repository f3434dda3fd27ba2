import { isTowlineError, TowlineError } from '@towline/protocol';
import { notTowline } from './relay-answer.ts';
import { relayAddress } from './relay-url.ts';
import { explainNetworkError } from './trust/tls-failure.ts';

/** What a request to the relay failed with, in words, whatever node:http threw. */
export function explainRequestFault(error: unknown, relay: URL): TowlineError {
  if (isTowlineError(error)) return error;
  const fault = error as NodeJS.ErrnoException;
  if (fault.code === 'ERR_INVALID_CHAR') return unsendable(error);
  if (fault.code?.startsWith('HPE_')) return notTowline('something that is not HTTP', error);
  return explainNetworkError(fault, relayAddress(relay));
}

/** The credential itself is never repeated. */
function unsendable(cause: unknown): TowlineError {
  return new TowlineError('unauthenticated', 'The credential holds characters that no header can carry.', {
    hint: 'Look for a line break or a space that was copied along with it.',
    cause,
  });
}
