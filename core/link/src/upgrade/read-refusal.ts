import type { IncomingMessage } from 'node:http';
import type { TowlineError } from '@towline/protocol';
import { decodeRefusal, notTowline, readAnswer } from '../relay-answer.ts';

/** Largest refusal that is read, bytes: an error is one sentence and a hint. */
const MAX_REFUSAL_BYTES = 65_536;

/**
 * The error in an answer other than 101 to a request for an upgrade. `wanted` completes "where it should …".
 * @throws TowlineError `protocol_error` when it is too long, `relay_not_towline`; and what the connection fails with.
 */
export async function readRefusal(response: IncomingMessage, wanted: string): Promise<TowlineError> {
  const answer = await readAnswer(response, MAX_REFUSAL_BYTES);
  if (answer.status >= 400) return decodeRefusal(answer);
  return notTowline(`status ${answer.status} where it should ${wanted}`);
}
