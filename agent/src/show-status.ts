import { printable, TowlineError } from '@towline/protocol';
import type { CommandIo } from './runtime-command.ts';
import { isRuntimeRunning } from './runtime-lock.ts';
import { filesOf, type RunOptions } from './settings.ts';
import { type RuntimeStatus, readStatus } from './status-file.ts';

/** Tells what the runtime of this folder is doing. @throws TowlineError `device_offline` when none runs. */
export async function showStatus(options: RunOptions, io: CommandIo): Promise<void> {
  const { dir } = filesOf(io.env, options.profile);
  const status = await readStatus(dir);
  const running = status !== null && isAlive(status.pid) && (await isRuntimeRunning(dir));
  if (options.json) io.stdout(`${JSON.stringify({ running, ...(status === null ? {} : asLast(status, running)) })}\n`);
  else if (status !== null) io.stdout(describe(status, running));
  if (!running) {
    throw new TowlineError('device_offline', 'No runtime is running on this machine.', { hint: 'Start it with `towline runtime run`.' });
  }
}

/** A runtime that was killed could not say so. */
function asLast(status: RuntimeStatus, running: boolean): RuntimeStatus {
  return running ? status : { ...status, state: 'stopped', transport: null, note: null };
}

/** Spares the lock in the usual case that the last runtime is gone: a look at it takes it for a moment. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function describe(status: RuntimeStatus, running: boolean): string {
  const { pid, state, relay, transport, note, device, name, request, since, last_error: last } = asLast(status, running);
  const rows: readonly (readonly [string, string | null])[] = [
    ['state', state],
    ['since', since],
    ['relay', relay],
    ['transport', transport],
    ['note', note],
    ['device', device],
    ['name', name],
    ['request', request],
    ['pid', running ? String(pid) : null],
    ['last error', last === null ? null : `${last.message} (${last.code}, ${last.at})`],
  ];
  return rows.flatMap(([label, value]) => (value === null ? [] : `${label.padEnd(11)} ${printable(value)}\n`)).join('');
}
