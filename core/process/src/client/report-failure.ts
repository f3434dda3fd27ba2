import type { Writable } from 'node:stream';
import { printable, type SessionResult, TowlineError, toTowlineError } from '@towline/protocol';
import { OWN_FAILURE } from './exit-code.ts';

/** How a failure is shown. */
export interface FailureStyle {
  readonly stderr: Writable;
  readonly json: boolean;
}

/** Says on stderr why a session failed. @returns the exit code of the program: 255, or 130 when it was interrupted. */
export function reportFailure(thrown: unknown, { stderr, json }: FailureStyle): number {
  const error = toTowlineError(thrown);
  if (json) stderr.write(`${asciiJson({ error: error.toPublic() })}\n`);
  else stderr.write(`towline: ${printable(error.message)}\n  ${printable(error.hint)}\n`);
  return error.code === 'cancelled' ? 130 : OWN_FAILURE;
}

/** The error that a result without an exit code stands for. */
export function errorOfResult({ reason, message }: SessionResult): TowlineError {
  const said = message === undefined ? undefined : `The session ended: ${message}`;
  if (reason === 'failed') return new TowlineError('spawn_failed', message);
  if (reason === 'broken') return new TowlineError('session_broken', said);
  if (reason === 'runtime_stopped') return new TowlineError('session_ended', said ?? 'The runtime of the device was stopped.');
  return new TowlineError('session_ended', said);
}

/** JSON of which a terminal obeys nothing. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
