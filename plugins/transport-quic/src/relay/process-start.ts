import { execFile } from 'node:child_process';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Time given to `ps`, milliseconds. It reads a table. */
const PS_DEADLINE_MS = 5_000;

/**
 * When a process began, as a text that no later process with the same number shares: clock ticks since boot on Linux,
 * a date elsewhere. Null when there is no such process, a zombie being none, or nothing can be learnt of it.
 */
export async function processStart(pid: number): Promise<string | null> {
  if (process.platform !== 'linux') return startFromPs(pid);
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
  if (stat === null) return null;
  // proc_pid_stat(5): the name of the program in field 2 may hold spaces and parentheses; state is field 3, start time 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

/** Names the set of processes among which process numbers mean something: the host and, on Linux, boot and pid namespace. */
export async function processScope(): Promise<string> {
  const parts = [hostname()];
  if (process.platform === 'linux') {
    parts.push(await readFile('/proc/sys/kernel/random/boot_id', 'utf8').then((text) => text.trim(), unknown));
    parts.push(await readlink('/proc/self/ns/pid').catch(unknown));
  }
  return parts.join(' ');
}

async function startFromPs(pid: number): Promise<string | null> {
  const settings = { timeout: PS_DEADLINE_MS, env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } };
  const done = await run('ps', ['-o', 'lstart=', '-p', String(pid)], settings).catch(() => null);
  return done?.stdout.trim() || null;
}

function unknown(): string {
  return '?';
}
