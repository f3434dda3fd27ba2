import { constants } from 'node:os';
import type { SessionResult } from '@towline/protocol';

/** Exit code for failures of our own, as ssh has it. */
export const OWN_FAILURE = 255;

/** The exit code that stands for a result: the program's own, 128+n for signal n; null when no program ended by itself. */
export function exitCodeOf(result: SessionResult): number | null {
  if (result.reason === 'exited') return result.exit_code ?? OWN_FAILURE;
  return result.reason === 'signalled' ? exitCodeOfSignal(result.signal ?? '') : null;
}

/** 128+n for the name of signal n, where this system knows it. */
export function exitCodeOfSignal(name: string): number {
  const number = (constants.signals as Readonly<Record<string, number>>)[name] ?? Number(/^SIG(\d{1,2})$/.exec(name)?.[1] ?? Number.NaN);
  return Number.isNaN(number) ? OWN_FAILURE : 128 + number;
}
