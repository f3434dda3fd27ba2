import type { Duplex } from 'node:stream';
import { sessionEndSchema } from '../control.ts';
import { TowlineError } from '../errors/towline-error.ts';
import type { SessionId } from '../ids.ts';
import { decodeJson } from '../json.ts';
import { describeIssues } from '../schema.ts';
import { SessionCore } from './core.ts';
import { MAX_SESSION_MESSAGE } from './frames.ts';
import type { SessionResult } from './result.ts';
import type { ClientSession } from './session-contract.ts';

/** Begins the client's end on a stream whose `accepted` answer has been read. */
export function createClientSession(stream: Duplex, id: SessionId): ClientSession {
  let settle: { resolve(result: SessionResult): void; reject(error: TowlineError): void };
  const result = new Promise<SessionResult>((resolve, reject) => {
    settle = { resolve, reject };
  });
  result.catch(() => {});
  const core = new SessionCore(stream, id, {
    onResult: (bytes) => {
      const end = decodeResult(bytes);
      core.acknowledge();
      core.complete(end);
      settle.resolve(end);
    },
    onBroken: (error) => settle.reject(error),
  });
  return {
    id,
    result,
    signal: core.signal,
    input: (channel) => core.input(channel),
    output: (channel) => core.output(channel),
    send: (message) => core.send(message),
    onMessage: (listener) => core.onMessage(listener),
    // A reset with this code passes every window; any other loss of the stream is a break.
    cancel: () => core.break(new TowlineError('cancelled')),
  };
}

function decodeResult(bytes: Buffer): SessionResult {
  const checked = sessionEndSchema.safeParse(decodeJson(bytes, MAX_SESSION_MESSAGE));
  if (checked.success) return checked.data;
  throw new TowlineError('protocol_error', `The device sent a result that is not valid: ${describeIssues(checked.error.issues)}.`);
}
