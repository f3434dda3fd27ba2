import type { Readable, Writable } from 'node:stream';
import type { ProcessExit } from './process-exit.ts';

/** A running program with the streams that lead to it: pipes or a terminal. Whoever started it closes it. */
export interface Program {
  /** Also the id of its process group and of its session. */
  readonly pid: number;
  /** Whether it has a terminal, which goes away with it. */
  readonly terminal: boolean;
  /** Bytes for the program; null when its input is empty. Ending it is the end of file. */
  readonly input: Writable | null;
  /** Standard output and standard error, or the one output of a terminal. Unread output holds the program up. */
  readonly outputs: readonly Readable[];
  /** Resolves when the process itself has ended; its outputs may still hold bytes. */
  readonly exited: Promise<ProcessExit>;
  /** Sends a signal to the process group. */
  signal(name: NodeJS.Signals): void;
  /** Ends every process of the session and waits until they are gone; see `endProcessGroup`. The outputs stay readable. */
  end(): Promise<readonly number[]>;
  /** Closes the streams. What was not read yet is lost. */
  close(): void;
}
