import { constants } from 'node:os';
import type { SessionResult } from '@towline/protocol';

/** How a process ended: one of the two is set. */
export interface ProcessExit {
  readonly exitCode: number | null;
  /** As in `SIGTERM`. */
  readonly signal: string | null;
}

const NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number as number, name]));

/** Exit of a process from the two numbers that waitpid(2) yields; `signal` is 0 without one. */
export function exitOfStatus(exitCode: number, signal: number): ProcessExit {
  if (signal === 0) return { exitCode, signal: null };
  return { exitCode: null, signal: NAMES.get(signal) ?? `SIG${signal}` };
}

/** The result of a session whose program ended so. */
export function resultOfExit({ exitCode, signal }: ProcessExit): SessionResult {
  return signal === null ? { reason: 'exited', exit_code: exitCode ?? 255 } : { reason: 'signalled', signal };
}
