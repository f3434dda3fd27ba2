import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { join } from 'node:path';

/** Root of the repository. */
export const ROOT = join(import.meta.dirname, '..', '..');
/** No single step of a whole-system test takes longer, milliseconds. */
export const STEP_MS = 20_000;

/** What a finished program left. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program under test: a built command of this repository, or any other. */
export interface Program extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;
  /** Everything it wrote so far. */
  readonly stdout: string;
  readonly stderr: string;
  /** Resolves with the first match in what it wrote on stdout (or stderr), from the beginning. Rejects when it ends before or takes too long. */
  saw(pattern: RegExp, where?: 'stdout' | 'stderr'): Promise<RegExpExecArray>;
  readonly finished: Promise<Finished>;
}

/** How a program is started. */
export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly stdin?: string | Buffer | 'pipe';
  readonly stdio?: StdioOptions;
  /** Leaves stdout to the test, which must read `child.stdout`. */
  readonly ownStdout?: boolean;
}

/** Path of a built command. */
export function bin(name: 'towline' | 'towline-agent' | 'towline-relay'): string {
  return join(ROOT, 'node_modules', '.bin', name);
}

/** An environment without anything of Towline's that the machine running the tests may have set. */
export function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(TOWLINE_|M87_|M9M_|OWNER_REFERENCE|FORWARD_SECRET|ADMIN_EMAILS|HTTPS?_PROXY|NODE_OPTIONS|VITEST)/i.test(name),
  );
  return Object.fromEntries(kept) as Record<string, string>;
}

/** Starts a program. Its whole output is kept, so give it little to say, or read `child.stdout` before. */
export function startProgram(file: string, args: readonly string[], options: ProgramOptions = {}): Program {
  const child = spawn(file, [...args], {
    env: { ...cleanEnvironment(), ...options.env } as NodeJS.ProcessEnv,
    stdio: options.stdio ?? [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const said = { stdout: '', stderr: '' };
  const watchers = new Set<() => void>();
  for (const where of options.ownStdout ? (['stderr'] as const) : (['stdout', 'stderr'] as const)) {
    child[where]?.setEncoding('utf8').on('data', (text: string) => {
      said[where] += text;
      for (const watcher of watchers) watcher();
    });
  }
  if (options.stdin !== undefined && options.stdin !== 'pipe') child.stdin?.on('error', () => {}).end(options.stdin);
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      resolve({ code, signal, ...said });
      for (const watcher of watchers) watcher();
    });
  });
  finished.catch(() => {});
  return {
    child,
    pid: child.pid ?? -1,
    finished,
    get stdout() {
      return said.stdout;
    },
    get stderr() {
      return said.stderr;
    },
    saw: (pattern, where = 'stdout') => seen({ child, said, watchers }, pattern, where),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await finished.catch(() => {});
      clearTimeout(kill);
    },
  };
}

/** Runs a program to its end. */
export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions & { readonly deadlineMs?: number } = {},
): Promise<Finished> {
  await using program = startProgram(file, args, options);
  const deadlineMs = options.deadlineMs ?? STEP_MS;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${file} ${args.join(' ')} did not end in ${deadlineMs} ms.\n${program.stdout}\n${program.stderr}`)),
      deadlineMs,
    );
  });
  return await Promise.race([program.finished, late]).finally(() => clearTimeout(timer));
}

interface Watched {
  readonly child: ChildProcess;
  readonly said: { readonly stdout: string; readonly stderr: string };
  readonly watchers: Set<() => void>;
}

function seen({ child, said, watchers }: Watched, pattern: RegExp, where: 'stdout' | 'stderr'): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      watchers.delete(look);
    };
    const fail = (why: string) => {
      stop();
      reject(new Error(`${pattern} was not seen on ${where}: ${why}.\nstdout: ${said.stdout}\nstderr: ${said.stderr}`));
    };
    const look = () => {
      const match = pattern.exec(said[where]);
      if (match !== null) {
        stop();
        resolve(match);
      } else if (child.exitCode !== null || child.signalCode !== null) fail(`the program ended with ${child.exitCode ?? child.signalCode}`);
    };
    const timer = setTimeout(() => fail(`${STEP_MS} ms passed`), STEP_MS);
    watchers.add(look);
    look();
  });
}
