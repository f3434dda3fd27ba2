import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { machineName, processStart } from './process-start.ts';

/** A lock on another machine counts as held while its file is younger, milliseconds: three refreshes. */
export const FOREIGN_LOCK_MS = 15_000;

/** What a lock file says about its holder. */
export interface LockRecord {
  /** Random for each time that a lock is taken. */
  readonly token: string;
  readonly pid: number;
  /** See {@link processStart}; empty when it could not be learnt. */
  readonly started: string;
  readonly host: string;
  /** See {@link machineName}. */
  readonly machine: string;
}

/** A lock file as it was found. */
export type FoundLock =
  | { readonly state: 'absent' }
  /** `id` stands for this very file; it is used in file names. */
  | { readonly state: 'held' | 'stale'; readonly id: string; readonly record: LockRecord }
  /** Its content is no record: it is being written, or its writer was killed in between. */
  | { readonly state: 'unreadable'; readonly id: string; readonly abandoned: boolean };

/** A record of this process. */
export async function createLockRecord(): Promise<LockRecord> {
  const started = await processStart(process.pid);
  return {
    token: randomBytes(16).toString('hex'),
    pid: process.pid,
    started: started ?? '',
    host: hostname(),
    machine: await machineName(),
  };
}

/** Looks at a lock file and whether its holder lives. `now`: Unix time, milliseconds. */
export async function findLock(path: string, now: () => number): Promise<FoundLock> {
  const file = await readWithStat(path);
  if (file === undefined) return { state: 'absent' };
  // A clock that was set back (a board without one, after a power cut) must not make a lock young for days.
  const recent = Math.abs(now() - file.mtimeMs) <= FOREIGN_LOCK_MS;
  const record = parseRecord(file.content);
  if (record === undefined) return { state: 'unreadable', id: `${file.ino}-${Math.trunc(file.mtimeMs)}`, abandoned: !recent };
  return { state: (await isHeld(record, recent)) ? 'held' : 'stale', id: record.token, record };
}

/** Content and age of one and the same file, even while the path gets another. */
async function readWithStat(path: string): Promise<{ content: string; mtimeMs: number; ino: number } | undefined> {
  try {
    await using handle = await open(path);
    const { mtimeMs, ino } = await handle.stat();
    return { content: await handle.readFile('utf8'), mtimeMs, ino };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** On this machine the holder is looked for; elsewhere only its refreshing tells that it lives. */
async function isHeld(record: LockRecord, recent: boolean): Promise<boolean> {
  if (record.machine !== (await machineName())) return recent;
  const started = await processStart(record.pid);
  if (started === null) return false;
  // What cannot be learnt is taken as held: two holders are worse than none.
  return started === undefined || record.started === '' || started === record.started;
}

function parseRecord(content: string): LockRecord | undefined {
  try {
    const { token, pid, started, host, machine } = JSON.parse(content) as Record<string, unknown>;
    const whole = /^[0-9a-f]{32}$/.test(String(token)) && Number.isSafeInteger(pid) && Number(pid) > 0;
    const texts = [started, host, machine].every((text) => typeof text === 'string');
    return whole && texts ? ({ token, pid, started, host, machine } as LockRecord) : undefined;
  } catch {
    return undefined;
  }
}
