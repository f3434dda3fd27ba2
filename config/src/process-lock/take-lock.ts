import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createLockRecord, type FoundLock, findLock, type LockRecord } from './lock-record.ts';

/**
 * Locks on locks: a process killed while it took over a lock leaves one that is taken over in the same way.
 * Each level needs a kill within the same millisecond of work; the names still fit into 255 bytes.
 */
const MAX_LEVELS = 4;
/** Attempts to take a lock while another process is writing it or taking it over, and the pause between two, milliseconds. */
const MAX_ATTEMPTS = 100;
const PAUSE_MS = 10;
/** What link(2) answers on FAT, some network file systems and Android. */
const WITHOUT_LINKS: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** Outcome of an attempt to take a lock: ours, or whose it is. */
export type TakenLock = { readonly taken: true; readonly record: LockRecord } | { readonly taken: false; readonly found: FoundLock };

/**
 * Takes a lock unless a living process holds it.
 *
 * A lock that nobody has is made exclusively. One whose holder is gone is replaced by rename, and only by whoever
 * holds the guard of exactly that stale file (PATH.ID, a lock made in the same way) and then still finds that file.
 * Ids are never used again, so a process that was slow finds another file there and gives up its guard:
 * of any number of processes that saw one stale lock, one gets it.
 */
export async function takeLock(path: string, now: () => number, level = 0): Promise<TakenLock> {
  const record = await createLockRecord();
  let found: FoundLock = { state: 'absent' };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    found = await findLock(path, now);
    if (found.state === 'absent' && (await createExclusively(path, record))) return { taken: true, record };
    if (found.state === 'held' || level >= MAX_LEVELS) break;
    if (isLeft(found) && (await replaceGuarded(path, found.id, { record, now, level }))) return { taken: true, record };
    await delay(PAUSE_MS);
  }
  return { taken: false, found };
}

/** Removes a lock file that is still this record's. Whether it was. */
export async function removeLock(path: string, record: LockRecord): Promise<boolean> {
  if (!(await isOurs(path, record))) return false;
  return unlink(path).then(() => true, ignoreAbsent);
}

/** Whether the lock file still holds this record. */
export async function isOurs(path: string, record: LockRecord): Promise<boolean> {
  const content = await readFile(path, 'utf8').catch(ignoreAbsent);
  return content === encode(record);
}

interface Taker {
  readonly record: LockRecord;
  readonly level: number;
  now(): number;
}

/** Replaces the stale file of this id under its guard. False when somebody else is at it, or was. */
async function replaceGuarded(path: string, id: string, taker: Taker): Promise<boolean> {
  const guard = `${path}.${id}`;
  const guarded = await takeLock(guard, taker.now, taker.level + 1);
  if (!guarded.taken) return false;
  try {
    const found = await findLock(path, taker.now);
    if (!isLeft(found) || found.id !== id) return false;
    const temporary = temporaryName(path, taker.record);
    await writeFile(temporary, encode(taker.record), { flag: 'wx', mode: 0o600 });
    await rename(temporary, path);
    return true;
  } finally {
    await removeLock(guard, guarded.record);
  }
}

/** Whether a lock file is there that nobody holds. */
function isLeft(found: FoundLock): found is Exclude<FoundLock, { state: 'absent' }> {
  return found.state === 'stale' || (found.state === 'unreadable' && found.abandoned);
}

/** Makes the lock file unless there is one. It appears with its content, so that no kill leaves an empty one. */
async function createExclusively(path: string, record: LockRecord): Promise<boolean> {
  const temporary = temporaryName(path, record);
  await writeFile(temporary, encode(record), { flag: 'wx', mode: 0o600 });
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (WITHOUT_LINKS.has(code)) return await createByWriting(path, record);
    throw error;
  } finally {
    await unlink(temporary);
  }
}

/** For file systems without hard links. Killed between the making and the writing it leaves a file that blocks for 15 s. */
async function createByWriting(path: string, record: LockRecord): Promise<boolean> {
  try {
    await writeFile(path, encode(record), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function temporaryName(path: string, record: LockRecord): string {
  return `${path}.${record.token}.new`;
}

function encode(record: LockRecord): string {
  return `${JSON.stringify(record)}\n`;
}

function ignoreAbsent(error: NodeJS.ErrnoException): false {
  if (error.code === 'ENOENT') return false;
  throw error;
}
