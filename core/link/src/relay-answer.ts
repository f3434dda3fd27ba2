import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { decodeJson, fromPublicError, printable, TowlineError } from '@towline/protocol';

/** Longest wait a relay can ask for, milliseconds: a wrong number must not silence a device for good. */
const MAX_RETRY_AFTER_MS = 300_000;

/** A whole answer of the relay. */
export interface RelayAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Cause of an error with which a relay asked to wait (Retry-After). */
export interface RetryAfter {
  readonly retryAfterMs: number;
}

/** How long the relay asked to wait before the next attempt, milliseconds. */
export function retryAfterMs(error: TowlineError): number | undefined {
  const cause = error.cause;
  if (typeof cause !== 'object' || cause === null || !('retryAfterMs' in cause)) return undefined;
  return typeof cause.retryAfterMs === 'number' ? cause.retryAfterMs : undefined;
}

/** Reads the body of an answer. @throws TowlineError `protocol_error` above `maxBytes`; and what the stream fails with. */
export async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<RelayAnswer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new TowlineError('protocol_error', `The relay sent an answer of more than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

/** The JSON of an answer, or undefined when it has no body. @throws the error the relay reported, or `relay_not_towline`. */
export function decodeAnswer(answer: RelayAnswer): unknown {
  if (answer.status >= 300 && answer.status < 400) throw redirected(answer);
  if (answer.status >= 400) throw decodeRefusal(answer);
  if (answer.status === 204 || answer.body.length === 0) return undefined;
  return decodeBody(answer);
}

/** The error of an answer with a status of 400 or more; a wait the relay asked for is kept, see {@link retryAfterMs}. */
export function decodeRefusal(answer: RelayAnswer): TowlineError {
  const body = decodeBody(answer) as { error?: unknown } | null;
  const reported = body?.error;
  if (typeof reported !== 'object' || reported === null) throw notTowline(`an answer of status ${answer.status} without an error in it`);
  const error = fromPublicError(reported);
  const wait = readRetryAfter(answer.headers);
  return wait === undefined ? error : new TowlineError(error.code, error.message, { hint: error.hint, cause: wait });
}

/** An answer that no relay gives. `what` completes "The relay gave …". */
export function notTowline(what: string, cause?: unknown): TowlineError {
  return new TowlineError('relay_not_towline', `What answers there is not a Towline relay: it gave ${what}.`, { cause });
}

function decodeBody({ status, headers, body }: RelayAnswer): unknown {
  const type = headers['content-type'] ?? 'no type';
  if (!/^application\/json\s*(;|$)/i.test(type))
    throw notTowline(`status ${status} with ${printable(type).slice(0, 80)} where JSON is expected`);
  try {
    return decodeJson(body, body.length);
  } catch (cause) {
    throw notTowline(`status ${status} with a body that is not JSON`, cause);
  }
}

function redirected({ status, headers }: RelayAnswer): TowlineError {
  const where = printable(headers.location ?? 'nowhere').slice(0, 200);
  return new TowlineError('relay_not_towline', `The relay's address answers with a redirect (${status}) to ${where}.`, {
    hint: 'Redirects are not followed, since a credential would follow them. Use the URL of the relay itself.',
  });
}

/** Only the form in seconds (RFC 9110 section 10.2.3): a date would be read by a clock that may be wrong. */
function readRetryAfter(headers: IncomingHttpHeaders): RetryAfter | undefined {
  const text = headers['retry-after'];
  if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined;
  return { retryAfterMs: Math.min(Number(text) * 1_000, MAX_RETRY_AFTER_MS) };
}
