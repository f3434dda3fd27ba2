import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterEach } from 'vitest';

/** A Node process that runs a module text against the built packages and talks by lines. */
export interface NodeProcess {
  readonly child: ChildProcessWithoutNullStreams;
  /** The next line it prints; fails when it ends first. */
  line(): Promise<string>;
  send(line: string): void;
  /** Ends it by SIGKILL and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts Node processes that are killed after each test. */
export function nodeProcesses(): (source: string, args?: readonly string[]) => NodeProcess {
  const running: NodeProcess[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.kill()));
  });
  return (source, args = []) => {
    const started = start(source, args);
    running.push(started);
    return started;
  };
}

function start(source: string, args: readonly string[]): NodeProcess {
  // From this folder, so that the packages of the workspace are found by name.
  const child = spawn(process.execPath, ['--input-type=module', '-e', source, ...args], { cwd: import.meta.dirname });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let complaints = '';
  child.stderr.on('data', (chunk) => (complaints += chunk));
  return {
    child,
    line: async () => {
      const next = await lines.next();
      if (next.done) throw new Error(`The process ended without a line: ${complaints}`);
      return next.value;
    },
    send: (line) => child.stdin.write(`${line}\n`),
    kill: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
