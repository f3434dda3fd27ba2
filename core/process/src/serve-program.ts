import type { Log } from '@towline/contract';
import { type DeviceSession, endOfError, isTowlineError, type SessionResult } from '@towline/protocol';
import { outputsEnd } from './outputs-end.ts';
import { resultOfExit } from './process-exit.ts';
import type { Program } from './program.ts';

/** How a program is served. */
export interface ServeOptions {
  readonly log: Log;
  /** Silence after which what a background process still holds open is given up, milliseconds. Default 1,000. */
  readonly silenceMs?: number;
}

/**
 * Joins a program to a session: its outputs are the device's channels 0 and up, its input is the client's channel 0.
 * Ends with the program's exit once all its output was handed to the session, or when the session is over; either way every
 * process of the program's session is gone then. Takes the program over and closes it.
 */
export async function serveProgram(session: DeviceSession, program: Program, options: ServeOptions): Promise<SessionResult> {
  joinStreams(session, program, options.log);
  const over = whenAborted(session.signal);
  try {
    const exit = await Promise.race([program.exited, over]);
    if (exit !== null) {
      // A terminal goes away with its program, and with the terminal whoever is still in the background.
      if (program.terminal) await program.end();
      await outputsEnd(program.outputs, { silenceMs: options.silenceMs ?? 1_000, signal: session.signal });
    }
    return exit === null || session.signal.aborted ? resultOfAbort(session.signal.reason) : resultOfExit(exit);
  } finally {
    const left = await program.end();
    if (left.length > 0) options.log.warn('Processes of an ended session could not be ended.', { session: session.id, pids: left });
    program.close();
  }
}

function joinStreams(session: DeviceSession, program: Program, log: Log): void {
  for (const [channel, output] of program.outputs.entries()) {
    output.on('error', (error) => log.warn('The output of a program could not be read.', { session: session.id, error: error.message }));
    output.pipe(session.output(channel));
  }
  const input = session.input(0);
  if (program.input === null) return void input.resume();
  // A program that has closed its end takes no more: what still comes is dropped, as a pipe would refuse it.
  program.input.on('error', () => input.resume());
  input.pipe(program.input);
}

/** The result of a session that was ended from outside, from the reason its signal carries. */
export function resultOfAbort(reason: unknown): SessionResult {
  if (isTowlineError(reason)) {
    return endOfError(reason);
  }
  const stated = reason as Partial<SessionResult> | null | undefined;
  return typeof stated?.reason === 'string' ? (stated as SessionResult) : { reason: 'ended' };
}

function whenAborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
