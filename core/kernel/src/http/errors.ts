import type { Duplex } from 'node:stream';
import { type ErrorView, isTowlineError, type Log, TowlineError, toTowlineError } from '@towline/contract';
import { describeIssues } from '@towline/protocol';
import type { FastifyReply } from 'fastify';

/** Answers a request that failed: the public part of the error as JSON, the rest to the log. */
export function answerError(thrown: unknown, reply: FastifyReply, log: Log): FastifyReply {
  const error = readError(thrown);
  if (error.status >= 500) log.error('a request failed', { code: error.code, detail: error.detail, error: error.cause ?? error });
  return sendError(reply, error);
}

/** Answers a request for a path that does not exist. */
export function answerNotFound(reply: FastifyReply): FastifyReply {
  return sendError(reply, new TowlineError('not_found', 'This relay has no such path.', { hint: 'GET /openapi.json lists all.' }));
}

/** Answers bytes that are no request, or one that came too slowly or with too large a head, and ends the connection. */
export function answerUnreadable({ code }: NodeJS.ErrnoException, socket: Duplex): void {
  // Only the parser's faults are of somebody who can read an answer: a handshake that failed has nothing to write on.
  if (!socket.writable || !/^(HPE_|ERR_HTTP_)/.test(code ?? '')) return void socket.destroy();
  const error =
    code === 'HPE_HEADER_OVERFLOW'
      ? new TowlineError('too_large', 'The head of the request is too large.')
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new TowlineError('timeout', 'The request did not arrive in time.')
        : new TowlineError('invalid_request', 'This is not an HTTP request.');
  const body = JSON.stringify({ error: error.toPublic() } satisfies ErrorView);
  const status =
    code === 'HPE_HEADER_OVERFLOW'
      ? '431 Request Header Fields Too Large'
      : code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

function sendError(reply: FastifyReply, error: TowlineError): FastifyReply {
  const body: ErrorView = { error: error.toPublic() };
  return reply.status(error.status).type('application/json').send(JSON.stringify(body));
}

/** Our own errors as they are; the framework's for bad requests in our words. */
function readError(thrown: unknown): TowlineError {
  if (isTowlineError(thrown)) return thrown;
  const {
    statusCode = 500,
    validation,
    message,
  } = thrown as {
    statusCode?: number;
    validation?: readonly { instancePath?: string; message?: string }[];
    message?: string;
  };
  if (validation !== undefined) {
    const issues = validation.map((issue) => ({
      path: (issue.instancePath ?? '').split('/').filter(Boolean),
      message: issue.message ?? 'not valid',
    }));
    return new TowlineError('invalid_request', `The request is not valid: ${describeIssues(issues)}.`);
  }
  if (statusCode === 413) return new TowlineError('too_large');
  if (statusCode >= 400 && statusCode < 500) return new TowlineError('invalid_request', message);
  return toTowlineError(thrown);
}
