import { randomBytes } from 'node:crypto';
import { cleanEnvironment, runProgram } from './process.ts';
import { eventually } from './system.ts';

/** Whether tmux, which plays the terminal, is on this machine. */
export async function hasTmux(): Promise<boolean> {
  return (await runProgram('tmux', ['-V']).catch(() => null))?.code === 0;
}

/** A terminal with a program in it: a real one, by tmux. */
export interface TestTerminal extends AsyncDisposable {
  /** Types text as it is. */
  type(text: string): Promise<void>;
  /** Presses a key by tmux's name: `Enter`, `C-c`, `Escape`. */
  press(key: string): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** What the screen shows, line by line. */
  screen(): Promise<string>;
  /** Waits until the screen shows something. */
  shows(pattern: RegExp): Promise<RegExpExecArray>;
}

/** Opens a terminal of 80 by 24 and runs a command line in it. The screen stays when the program ends. */
export async function openTerminal(commandLine: string, env: Readonly<Record<string, string>>): Promise<TestTerminal> {
  const socket = `towline-${randomBytes(6).toString('hex')}`;
  const tmux = (...args: string[]) =>
    runProgram('tmux', ['-L', socket, '-f', '/dev/null', ...args], { env: { ...cleanEnvironment(), ...env, LANG: 'C.UTF-8' } });
  const started = await tmux('new-session', '-d', '-x', '80', '-y', '24', `${commandLine}; echo "[ended with $?]"; sleep 3600`);
  if (started.code !== 0) throw new Error(started.stderr);
  const screen = async () => (await tmux('capture-pane', '-p')).stdout;
  return {
    screen,
    type: async (text) => void (await tmux('send-keys', '-l', text)),
    press: async (key) => void (await tmux('send-keys', key)),
    resize: async (columns, rows) => void (await tmux('resize-window', '-x', String(columns), '-y', String(rows))),
    async shows(pattern) {
      let last = '';
      const found = await eventually(async () => {
        last = await screen();
        return pattern.exec(last);
      }, `the screen shows ${pattern}`).catch((error: Error) => {
        throw new Error(`${error.message}\n${last}`);
      });
      return found;
    },
    async [Symbol.asyncDispose]() {
      await tmux('kill-server');
    },
  };
}
