import { execFile } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** mkfifo takes two milliseconds; a machine that needs longer than this is not well. */
const MKFIFO_DEADLINE_MS = 10_000;
/** Where mkfifo is looked for: not in the PATH of the runtime. */
const SYSTEM_PATH = '/usr/bin:/bin:/run/current-system/sw/bin';

/** Descriptors of a pipe between this process and a program. Whoever asked for the pipe closes both. */
export interface NamedPipe {
  /** This process's end. Does not block. */
  readonly ours: number;
  /** The program's end. Blocks, as programs expect. */
  readonly theirs: number;
}

/** Which way the bytes of a pipe go. */
export type PipeDirection = 'to program' | 'from program';

/**
 * Opens pipes between this process and a program of the user `owner`. Node's own "pipes" are sockets, and a program
 * that opens /dev/stdout or /dev/stderr, as scripts do, fails on a socket. Node cannot make a pipe, so these
 * are named ones, in a folder of their own that is gone when this returns.
 */
export async function openPipes(directions: readonly PipeDirection[], owner: number): Promise<NamedPipe[]> {
  const folder = await mkdtemp(join(tmpdir(), 'towline-pipes-'));
  try {
    const paths = directions.map((_, index) => join(folder, String(index)));
    await run('mkfifo', ['-m', '600', ...paths], { timeout: MKFIFO_DEADLINE_MS, env: { PATH: SYSTEM_PATH } });
    if (owner !== process.getuid?.()) await Promise.all(paths.map((path) => chown(path, owner, -1)));
    return openAll(paths.map((path, index) => ({ path, direction: directions[index]! })));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Closes descriptors that were not handed to anybody. */
export function closeAll(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) closeSync(descriptor);
}

function openAll(ends: readonly { path: string; direction: PipeDirection }[]): NamedPipe[] {
  const opened: number[] = [];
  const open = (path: string, flags: number) => {
    const descriptor = openSync(path, flags);
    opened.push(descriptor);
    return descriptor;
  };
  try {
    return ends.map(({ path, direction }) => {
      // The reading end first and without blocking: then the writing end opens at once. Both are closed on exec.
      const reading = open(path, constants.O_RDONLY | constants.O_NONBLOCK);
      if (direction === 'from program') return { ours: reading, theirs: open(path, constants.O_WRONLY) };
      // The reading end becomes a blocking one when it is made the program's standard input.
      return { ours: open(path, constants.O_WRONLY | constants.O_NONBLOCK), theirs: reading };
    });
  } catch (error) {
    closeAll(opened);
    throw error;
  }
}
