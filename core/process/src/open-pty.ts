import { chownSync } from 'node:fs';
import { TowlineError } from '@towline/protocol';
import { endProcessGroup, trySignal } from './end-process-group.ts';
import { entryCommand } from './entry-command.ts';
import type { Identity } from './identity.ts';
import { exitOfStatus, type ProcessExit } from './process-exit.ts';
import type { Program } from './program.ts';
import { loadPtyBinding } from './pty-binding.ts';
import { PtyReader } from './pty-reader.ts';
import { PtyWriter } from './pty-writer.ts';

/** What to start on a terminal, and as whom. */
export interface PtyRequest {
  readonly identity: Identity;
  /** The words of the command: never a line for a shell to split. */
  readonly argv: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cols: number;
  readonly rows: number;
  /** Time between the asking to end and SIGKILL, milliseconds. */
  readonly graceMs?: number;
}

/** A program on a terminal of its own. Its one output is the terminal's. */
export interface Pty extends Program {
  readonly input: PtyWriter;
  /** Sets the size, which the program is told by SIGWINCH. */
  resize(cols: number, rows: number): void;
}

/**
 * Starts a program on a new terminal, in a session of its own, in the home folder of its user.
 * @throws TowlineError `pty_unavailable` or `spawn_failed`.
 */
export async function openPty({ identity, argv, env, cols, rows, graceMs }: PtyRequest): Promise<Pty> {
  const { binding, helper } = loadPtyBinding();
  const [file, ...args] = await entryCommand(identity, argv);
  const pairs = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const { promise: exited, resolve } = settleLater<ProcessExit>();
  const onExit = (exitCode: number, signal: number) => resolve(exitOfStatus(exitCode, signal));
  const { fd, pid, pty } = forked(() => binding.fork(file, args, pairs, '/', cols, rows, -1, -1, true, helper, onExit));
  giveTerminal(pty, identity);
  const input = new PtyWriter(fd);
  const output = new PtyReader(fd, () => input.destroy());
  let ending: Promise<readonly number[]> | undefined;
  return {
    pid,
    terminal: true,
    input,
    outputs: [output],
    exited,
    resize: (newCols, newRows) => {
      if (!output.destroyed) binding.resize(fd, newCols, newRows);
    },
    signal: (name) => void trySignal(-pid, name),
    end: () => (ending ??= endProcessGroup(pid, { signal: 'SIGHUP', ...(graceMs === undefined ? {} : { graceMs }) })),
    close: () => {
      input.destroy();
      output.destroy();
    },
  };
}

/** Makes the terminal the user's own, so that programs can open it by its name, as tmux and gpg do. */
function giveTerminal(path: string, { account, switchUser }: Identity): void {
  if (switchUser.length > 0) chownSync(path, account.uid, -1);
}

function forked<Result>(fork: () => Result): Result {
  try {
    return fork();
  } catch (cause) {
    throw new TowlineError('spawn_failed', 'No terminal could be opened on the device.', {
      hint: 'Check how many terminals and processes are allowed there.',
      detail: String(cause),
      cause,
    });
  }
}

function settleLater<Value>() {
  let resolve!: (value: Value) => void;
  const promise = new Promise<Value>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
