import type { DialRequest, Link } from '@towline/contract';
import type { LinkLimits } from '@towline/link';
import { cancellation } from '@towline/link';
import { ERRORS, frameMessage, TowlineError } from '@towline/protocol';
import type { HostPort } from '../binding/quiche.ts';
import type { QuicConnection } from '../loop/quic-connection.ts';
import type { QuicStream } from '../loop/quic-stream.ts';
import { linkAnswer, linkRequest } from './messages.ts';
import { createQuicLink } from './quic-link.ts';

/** Time for a refusal to reach the peer, milliseconds. */
const REFUSAL_MS = 1_000;

/** A peer's wish for a link. Whoever has it answers it, once. */
export interface LinkRequest {
  readonly role: DialRequest['role'];
  readonly credential: DialRequest['credential'];
  readonly peer: HostPort;
  /** Tells the peer that there is a link, and makes this end of it. Set `onStream` in the same turn. */
  accept(limits?: Partial<LinkLimits>): Link;
  /** Tells the peer why not, and ends the connection. */
  refuse(error: TowlineError, retryAfterMs?: number): Promise<void>;
}

/**
 * Waits for the first stream of a connection, whose head asks for a link. A stranger gets no more than that one
 * stream. @throws TowlineError `protocol_error`, `link_lost`, or the signal's reason; the connection is closed then.
 */
export async function acceptRequest(connection: QuicConnection, signal: AbortSignal): Promise<LinkRequest> {
  try {
    const first = await firstStream(connection, signal);
    const { role, credential } = linkRequest.decode(first.head);
    return { role, credential, peer: connection.peer, ...answering(connection, first, role) };
  } catch (thrown) {
    const error = thrown instanceof TowlineError ? thrown : new TowlineError('protocol_error');
    connection.close(error.wire, error.message);
    throw error;
  }
}

function firstStream(connection: QuicConnection, signal: AbortSignal): Promise<QuicStream> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(cancellation(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    void connection.closed.then(() => reject(new TowlineError('link_lost')));
    if (signal.aborted) return onAbort();
    connection.onStream = (stream) => {
      // Until the request is answered.
      connection.onStream = () => connection.close(ERRORS.protocol_error.wire, 'A second stream came before the link was there.');
      signal.removeEventListener('abort', onAbort);
      if (stream.id === 0) resolve(stream);
      else reject(new TowlineError('protocol_error', 'The first stream of the connection was not the one that asks for a link.'));
    };
  });
}

function answering(connection: QuicConnection, first: QuicStream, role: LinkRequest['role']): Pick<LinkRequest, 'accept' | 'refuse'> {
  return {
    accept(limits = {}) {
      connection.admit();
      first.write(frameMessage(linkAnswer.encode({ type: 'accepted' })));
      return createQuicLink({ connection, first, role: role === 'device' ? 'opener' : 'acceptor', limits });
    },
    async refuse(error, retryAfterMs) {
      const { code, message, hint } = error.toPublic();
      const wait = retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs };
      first.end(
        frameMessage(linkAnswer.encode({ type: 'refused', code, message: message.slice(0, 1_000), hint: hint.slice(0, 1_000), ...wait })),
      );
      // The peer hangs up when it has read the answer.
      const late = setTimeout(() => connection.close(error.wire, error.message), REFUSAL_MS);
      await connection.closed;
      clearTimeout(late);
      connection.endStreams(error);
    },
  };
}
