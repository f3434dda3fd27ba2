import { join } from 'node:path';
import { spawn } from 'node-pty';

const BIN = join(import.meta.dirname, '..', 'bin', 'towline.js');
/** Time for one run of the program, milliseconds. */
const DEADLINE_MS = 20_000;

/** Runs the program on a terminal and types `keys` once it has shown `question`. @returns what the terminal showed, and the exit code. */
export function answerOnTerminal(
  args: readonly string[],
  env: Record<string, string>,
  { question, keys }: { readonly question: string; readonly keys: string },
): Promise<{ code: number; shown: string }> {
  return new Promise((resolve) => {
    const terminal = spawn(process.execPath, [BIN, ...args], { cols: 200, env: { ...env, PATH: process.env.PATH!, TERM: 'xterm' } });
    const timer = setTimeout(() => terminal.kill('SIGKILL'), DEADLINE_MS);
    let shown = '';
    let typed = false;
    terminal.onData((text) => {
      shown += text;
      if (typed || !shown.includes(question)) return;
      typed = true;
      terminal.write(keys);
    });
    terminal.onExit(({ exitCode }) => {
      clearTimeout(timer);
      resolve({ code: exitCode, shown });
    });
  });
}
