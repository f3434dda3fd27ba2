import { readdir, readFile } from 'node:fs/promises';

/** A live process as Linux lists it. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks after boot; with the pid it names one process for ever. */
  readonly startedAt: string;
}

/** Processes that are alive, zombies left out. Linux only: elsewhere there is no /proc and the list is empty. */
export async function listProcesses(): Promise<ProcessEntry[]> {
  const names = await readdir('/proc').catch(() => []);
  const entries = await Promise.all(names.filter((name) => /^\d+$/.test(name)).map(readEntry));
  return entries.filter((entry) => entry !== null);
}

async function readEntry(pid: string): Promise<ProcessEntry | null> {
  // A process may end between the listing and the reading: that is no fault.
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => null);
  return stat === null ? null : parseStat(stat);
}

/** Parses a line of /proc/PID/stat, proc(5). Null for a zombie. The name in parentheses may itself hold parentheses and spaces. */
export function parseStat(stat: string): ProcessEntry | null {
  const nameEnd = stat.lastIndexOf(')');
  const pid = Number.parseInt(stat, 10);
  const [state, parent, group, session, ...rest] = stat.slice(nameEnd + 2).split(' ');
  const startedAt = rest[15];
  if (nameEnd < 0 || startedAt === undefined || state === 'Z' || state === 'X') return null;
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), startedAt };
}

/**
 * The processes that belong to a session: its members, whatever group they are in, and the descendants of
 * those, even when they have made a session of their own.
 */
export function membersOfSession(all: readonly ProcessEntry[], leader: number): ProcessEntry[] {
  const members = new Map<number, ProcessEntry>();
  let before = -1;
  while (members.size !== before) {
    before = members.size;
    for (const entry of all) {
      if (entry.session === leader || entry.group === leader || members.has(entry.parent)) members.set(entry.pid, entry);
    }
  }
  return [...members.values()];
}
