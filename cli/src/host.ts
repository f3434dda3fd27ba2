import type { Readable, Writable } from 'node:stream';

/** A stream of the program that may be a terminal. */
export type TerminalIn = Readable & { readonly isTTY?: boolean; setRawMode?(raw: boolean): unknown };
/** See {@link TerminalIn}. */
export type TerminalOut = Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };

/** What the program is given by the process it runs in; everything it touches of the outside comes through here. */
export interface Host {
  /** Words after the name of the program. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: TerminalIn;
  readonly stdout: TerminalOut;
  readonly stderr: TerminalOut;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** Unix time, milliseconds. */
  now(): number;
}
