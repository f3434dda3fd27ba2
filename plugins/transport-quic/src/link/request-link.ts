import type { DialRequest, Link } from '@towline/contract';
import { cancellation, type LinkLimits, notTowline, type RetryAfter, readMessage } from '@towline/link';
import { ERRORS, errorCodeOfWire, fromPublicError, TowlineError } from '@towline/protocol';
import type { ConnectionEnd } from '../loop/connection-end.ts';
import type { QuicConnection } from '../loop/quic-connection.ts';
import { linkAnswer, linkRequest, MAX_LINK_MESSAGE } from './messages.ts';
import { createQuicLink } from './quic-link.ts';

/**
 * Asks for a link on a connection whose peer was verified. @throws TowlineError what the relay refused with (see
 * `retryAfterMs` of @towline/link), `link_lost`, `relay_not_towline`, or the signal's reason; the connection is closed then.
 */
export async function requestLink(
  connection: QuicConnection,
  { role, credential }: Pick<DialRequest, 'role' | 'credential'>,
  signal: AbortSignal,
  limits: Partial<LinkLimits> = {},
): Promise<Link> {
  const hangUp = () => connection.close(ERRORS.cancelled.wire, 'The dialler gave up.');
  signal.addEventListener('abort', hangUp, { once: true });
  let answered = false;
  void connection.closed.then((end) => {
    if (!answered) connection.endStreams(unanswered(end));
  });
  try {
    signal.throwIfAborted();
    const first = connection.openStream(linkRequest.encode({ role, credential }));
    const answer = linkAnswer.decode(await readMessage(first, MAX_LINK_MESSAGE, signal));
    if (answer.type === 'refused') throw refusal(answer);
    answered = true;
    return createQuicLink({ connection, first, role: role === 'client' ? 'opener' : 'acceptor', limits });
  } catch (error) {
    hangUp();
    if (signal.aborted) throw cancellation(signal);
    if (error instanceof TowlineError && error.code !== 'protocol_error') throw error;
    throw notTowline('something else than an answer to a request for a link');
  } finally {
    signal.removeEventListener('abort', hangUp);
  }
}

function refusal(answer: Extract<ReturnType<typeof linkAnswer.decode>, { readonly type: 'refused' }>): TowlineError {
  const { code, message, hint, retry_after_ms: retryAfterMs } = answer;
  const cause: RetryAfter | undefined = retryAfterMs === undefined ? undefined : { retryAfterMs };
  const error = fromPublicError({ code, message, hint });
  return cause === undefined ? error : new TowlineError(error.code, error.message, { hint: error.hint, cause });
}

function unanswered({ by, isApp, code, reason }: ConnectionEnd): TowlineError {
  if (by !== 'peer' || !isApp) return new TowlineError('link_lost', 'The connection to the relay was lost before it answered.');
  return new TowlineError(errorCodeOfWire(code, 'link_closed'), reason || undefined);
}
