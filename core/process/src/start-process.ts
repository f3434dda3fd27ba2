import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { TowlineError } from '@towline/protocol';
import { endProcessGroup, trySignal } from './end-process-group.ts';
import { entryCommand } from './entry-command.ts';
import type { Identity } from './identity.ts';
import { closeAll, type NamedPipe, openPipes } from './named-pipes.ts';
import type { ProcessExit } from './process-exit.ts';
import type { Program } from './program.ts';

/** What to start, and as whom. */
export interface ProcessRequest {
  readonly identity: Identity;
  /** The words of the command: never a line for a shell to split. */
  readonly argv: readonly string[];
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether it gets input; without, it reads an empty file. */
  readonly input: boolean;
  /** Time between the asking to end and SIGKILL, milliseconds. */
  readonly graceMs?: number;
}

/**
 * Starts a program in a process group and session of its own, in the home folder of its user, with pipes for
 * standard input, output and error. @throws TowlineError `spawn_failed`.
 */
export async function startProcess(request: ProcessRequest): Promise<Program> {
  const { identity, argv, input } = request;
  const command = await entryCommand(identity, argv);
  const directions = input ? (['from program', 'from program', 'to program'] as const) : (['from program', 'from program'] as const);
  const [stdout, stderr, stdin] = await openPipes(directions, identity.account.uid).catch(failed);
  const pipes = { stdout: stdout!, stderr: stderr!, stdin };
  const child = await spawnWith(pipes, command, request).catch((error: unknown) => {
    closeAll([pipes.stdout, pipes.stderr, ...(stdin ? [stdin] : [])].map(({ ours }) => ours));
    return failed(error);
  });
  return processProgram(child, pipes, request.graceMs);
}

interface Pipes {
  readonly stdout: NamedPipe;
  readonly stderr: NamedPipe;
  readonly stdin: NamedPipe | undefined;
}

async function spawnWith({ stdin, stdout, stderr }: Pipes, [file, ...args]: [string, ...string[]], { env }: ProcessRequest) {
  try {
    const child = spawn(file, args, {
      cwd: '/',
      env: { ...env },
      detached: true,
      stdio: [stdin?.theirs ?? 'ignore', stdout.theirs, stderr.theirs],
    });
    await once(child, 'spawn');
    return child;
  } finally {
    // The program has them now; the end of its output must not wait for us.
    closeAll([stdout, stderr, ...(stdin ? [stdin] : [])].map(({ theirs }) => theirs));
  }
}

function processProgram(child: ChildProcess, { stdin, stdout, stderr }: Pipes, graceMs: number | undefined): Program {
  const pid = child.pid!;
  const input = stdin ? new Socket({ fd: stdin.ours, readable: false, writable: true }) : null;
  const outputs = [stdout, stderr].map(({ ours }) => new Socket({ fd: ours, readable: true, writable: false }));
  let ending: Promise<readonly number[]> | undefined;
  return {
    pid,
    terminal: false,
    input,
    outputs,
    exited: new Promise<ProcessExit>((resolve) => child.once('exit', (exitCode, signal) => resolve({ exitCode, signal }))),
    signal: (name) => void trySignal(-pid, name),
    end: () => (ending ??= endProcessGroup(pid, { signal: 'SIGTERM', ...(graceMs === undefined ? {} : { graceMs }) })),
    close: () => {
      for (const stream of [...outputs, ...(input ? [input] : [])]) stream.destroy();
    },
  };
}

function failed(cause: unknown): never {
  if (cause instanceof TowlineError) throw cause;
  throw new TowlineError('spawn_failed', undefined, { detail: String(cause), cause });
}
