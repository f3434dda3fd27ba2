import { join } from 'node:path';
import { spawn } from 'node-pty';

const BIN = join(import.meta.dirname, '..', 'bin', 'towline.js');

/** What a terminal shows until the program ends. */
export interface TerminalRun {
  readonly code: number;
  readonly shown: string;
}

/** Size of a terminal, and what is typed: the answer of `type`, asked whenever something new is shown. */
export interface TerminalOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly cols?: number;
  readonly rows?: number;
  readonly type?: (shown: string) => string | null;
}

/** Runs the program on a terminal of its own. */
export function onTerminal(args: readonly string[], { env, cols = 80, rows = 24, type }: TerminalOptions): Promise<TerminalRun> {
  return new Promise((resolve) => {
    const terminal = spawn(process.execPath, [BIN, ...args], { cols, rows, env: { PATH: process.env.PATH!, TERM: 'xterm', ...env } });
    const timer = setTimeout(() => terminal.kill('SIGKILL'), 30_000);
    let shown = '';
    terminal.onData((text) => {
      shown += text;
      const keys = type?.(shown) ?? null;
      if (keys !== null) terminal.write(keys);
    });
    terminal.onExit(({ exitCode }) => {
      clearTimeout(timer);
      resolve({ code: exitCode, shown });
    });
  });
}

/** Types each answer once, when its question has been asked. */
export function answers(...pairs: readonly (readonly [question: string, keys: string])[]): (shown: string) => string | null {
  const left = [...pairs];
  return (shown) => {
    const [question, keys] = left[0] ?? [];
    if (question === undefined || !shown.includes(question)) return null;
    left.shift();
    return keys ?? null;
  };
}
