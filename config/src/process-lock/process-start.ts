import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Time given to `ps`, milliseconds. It reads a table. */
const PS_DEADLINE_MS = 5_000;

/**
 * When a process began, as a text that a later process with the same number does not share: clock ticks since
 * boot on Linux, a date elsewhere. Null when there is no such process (a zombie is none: it holds nothing).
 * Undefined when there is one and nothing more can be learnt.
 */
export async function processStart(pid: number): Promise<string | null | undefined> {
  if (!isAlive(pid)) return null;
  return process.platform === 'linux' ? startFromProc(pid) : startFromPs(pid);
}

/**
 * Names the set of processes among which process numbers mean something: host name, and on Linux the boot and
 * the pid namespace. Two containers of one host name are two machines.
 */
export async function machineName(): Promise<string> {
  const parts = [hostname()];
  if (process.platform === 'linux') {
    parts.push(await readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(trim, unknown));
    parts.push(await readlink('/proc/self/ns/pid').catch(unknown));
  }
  return parts.join(' ');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function startFromProc(pid: number): Promise<string | null | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  if (stat === undefined) return isAlive(pid) ? undefined : null;
  // proc_pid_stat(5): the name of the program in field 2 may hold spaces and parentheses; state is field 3, start time 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : fields[19];
}

async function startFromPs(pid: number): Promise<string | undefined> {
  const done = await run('ps', ['-o', 'lstart=', '-p', String(pid)], {
    timeout: PS_DEADLINE_MS,
    env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' },
  }).catch(() => undefined);
  return done === undefined || done.stdout.trim() === '' ? undefined : done.stdout.trim();
}

function trim(text: string): string {
  return text.trim();
}

function unknown(): string {
  return '?';
}
