import type { CliHost } from '@towline/contract';
import { isPlainName } from '../plain-name.ts';

/** Size of a terminal in characters. */
export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

/** Sizes the device accepts; a terminal may say 0 when it does not know. */
const LARGEST = 10_000;

/** The user's terminal while a session has it: raw, and put back in whatever way this program ends. */
export class LocalTerminal {
  readonly #stdin: CliHost['stdin'];
  readonly #stdout: CliHost['stdout'];
  /** Its type, TERM; that of nearly every terminal of today when the environment has none that can be passed on. */
  readonly term: string;
  #onResize: (() => void) | null = null;
  #raw = false;

  constructor({ stdin, stdout, env }: Pick<CliHost, 'stdin' | 'stdout' | 'env'>) {
    this.#stdin = stdin;
    this.#stdout = stdout;
    this.term = isPlainName(env.TERM) ? env.TERM : 'xterm-256color';
  }

  /** Size of the terminal, 80 by 24 when it does not tell. */
  get size(): TerminalSize {
    const within = (count: number | undefined, otherwise: number) => Math.min(count || otherwise, LARGEST);
    return { cols: within(this.#stdout.columns, 80), rows: within(this.#stdout.rows, 24) };
  }

  /** Passes every key on as it is, Ctrl-C included. `onResize` is called with each new size until {@link restore}. */
  enterRaw(onResize: (size: TerminalSize) => void): void {
    this.#setRaw(true);
    this.#raw = true;
    this.#onResize = () => onResize(this.size);
    this.#stdout.on('resize', this.#onResize);
    // After a stop from outside the calling shell has set its own modes.
    process.on('SIGCONT', this.#continue);
    process.on('exit', this.#leave);
  }

  /** Puts the terminal back. May be called twice. */
  restore(): void {
    if (!this.#raw) return;
    this.#leave();
    if (this.#onResize) this.#stdout.off('resize', this.#onResize);
    process.off('SIGCONT', this.#continue).off('exit', this.#leave);
  }

  readonly #leave = (): void => {
    this.#raw = false;
    this.#setRaw(false);
  };

  readonly #continue = (): void => {
    this.#setRaw(false);
    this.#setRaw(true);
    this.#onResize?.();
  };

  #setRaw(raw: boolean): void {
    if (this.#stdin.isTTY) this.#stdin.setRawMode?.(raw);
  }
}
