import { utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isTowlineError, printable, TowlineError } from '@towline/protocol';
import type { FoundLock, LockRecord } from './lock-record.ts';
import { isOurs, removeLock, takeLock } from './take-lock.ts';

/** How often a held lock says that it still is, milliseconds. */
const REFRESH_MS = 5_000;
/** Pause between two attempts to get a lock that is waited for, milliseconds: half of it, to all of it. */
const WAIT_MS = 20;

/** A lock that this process holds until it disposes of it or dies. */
export interface ProcessLock extends AsyncDisposable {
  readonly path: string;
  /** Aborts with `data_in_use` when the lock was lost: its file was deleted, or another machine took it over after this one slept. */
  readonly lost: AbortSignal;
}

/** Settings of a lock; the defaults are right but for tests. */
export interface ProcessLockOptions {
  /** Unix time, milliseconds. Compared with the times of files. */
  readonly now?: () => number;
  readonly refreshMs?: number;
}

/**
 * Takes the lock at `path`, a file in the folder it stands for, which must exist. The lock of a process that
 * is gone, killed or not, is taken over.
 * @throws TowlineError `data_in_use` naming the holder and the folder; `data_unwritable` when the file cannot be made.
 */
export async function acquireProcessLock(path: string, options: ProcessLockOptions = {}): Promise<ProcessLock> {
  const attempt = await takeLock(path, options.now ?? Date.now).catch((cause: NodeJS.ErrnoException) => {
    throw new TowlineError('data_unwritable', `The lock file ${path} cannot be made (${cause.code ?? cause.message}).`, { cause });
  });
  if (!attempt.taken) throw inUse(path, attempt.found);
  return holdLock(path, attempt.record, options.refreshMs ?? REFRESH_MS);
}

/**
 * Waits for the lock, runs `work` under it and gives it back. For work of milliseconds.
 * @throws TowlineError `data_in_use` after `deadlineMs`; what the signal aborts with; whatever `work` throws.
 */
export async function withProcessLock<Result>(
  path: string,
  work: () => Promise<Result>,
  { deadlineMs = 10_000, signal }: { readonly deadlineMs?: number; readonly signal?: AbortSignal } = {},
): Promise<Result> {
  await using _lock = await waitForLock(path, performance.now() + deadlineMs, signal);
  return await work();
}

async function waitForLock(path: string, until: number, signal: AbortSignal | undefined): Promise<ProcessLock> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await acquireProcessLock(path);
    } catch (error) {
      if (!isTowlineError(error) || error.code !== 'data_in_use' || performance.now() >= until) throw error;
    }
    await delay(WAIT_MS * (0.5 + Math.random() / 2), undefined, signal ? { signal } : {});
  }
}

function holdLock(path: string, record: LockRecord, refreshMs: number): ProcessLock {
  const lost = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const refresh = async () => {
    if (await isOurs(path, record)) return touch(path);
    clearInterval(timer);
    lost.abort(new TowlineError('data_in_use', `The lock ${path} is no longer this process's own.`));
  };
  const timer = setInterval(() => {
    // A folder that cannot be read for a moment is no lost lock; the next round looks again.
    running = running.then(refresh).catch(() => undefined);
  }, refreshMs);
  timer.unref();
  let released: Promise<unknown> | undefined;
  const release = async () => {
    clearInterval(timer);
    await running;
    await removeLock(path, record);
  };
  return { path, lost: lost.signal, [Symbol.asyncDispose]: async () => void (await (released ??= release())) };
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}

function inUse(path: string, found: FoundLock): TowlineError {
  const folder = dirname(path);
  if (!('record' in found))
    return new TowlineError('data_in_use', `Another process is about to use the folder ${folder}.`, { detail: path });
  const { pid, host } = found.record;
  return new TowlineError('data_in_use', `Process ${pid} on ${printable(host)} uses the folder ${folder}.`, { detail: path });
}
