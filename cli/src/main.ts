import type { Host } from './host.ts';
import { run } from './run.ts';

/** Exit code of a program that was interrupted. */
const INTERRUPTED = 130;

/** Runs the program in this process and ends it with the exit code. */
export async function main(): Promise<void> {
  const stopping = new AbortController();
  const host = processHost(stopping.signal);
  abortOnSignals(stopping);
  endWithoutReader();
  const code = await run(host);
  // The work is done: from here on the first signal ends the wait for a slow reader.
  stopping.abort();
  await Promise.all([flush(process.stdout), flush(process.stderr)]);
  // A terminal that still waits for a key would keep the process.
  process.exit(code);
}

function processHost(signal: AbortSignal): Host {
  const { env, stdout, stderr } = process;
  return {
    argv: process.argv.slice(2),
    env,
    // Opening stdin is left to the commands that read it.
    get stdin() {
      return process.stdin;
    },
    stdout,
    stderr,
    signal,
    now: () => Date.now(),
  };
}

/**
 * The first signal asks for an orderly end, the second one ends at once. A session that listens to signals itself
 * decides by itself: it passes Ctrl-C on to the device. SIGHUP is left alone, so that nohup works.
 */
function abortOnSignals(stopping: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (!stopping.signal.aborted) stopping.abort();
      else if (process.listenerCount(name) === 1) process.exit(INTERRUPTED);
    });
  }
}

/** Whoever read our output has gone, as `head` does: nothing more to do, and nothing to say about it. A session looks after its output itself. */
function endWithoutReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (process.stdout.listenerCount('error') > 1) return;
    if (error.code !== 'EPIPE') process.stderr.write(`towline: the output cannot be written: ${error.message}\n`);
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  process.stderr.on('error', () => {});
}

/** Waits until a stream has handed on what was written; one that is broken has nothing left to hand on. */
function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) return resolve();
    stream.write('', () => resolve());
  });
}
