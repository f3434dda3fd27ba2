import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { TowlineError } from '@towline/protocol';
import type { Database } from './database.ts';
import { isInserted } from './fault.ts';
import { LOCK_BEAT_MS, LOCK_LIFE_MS, LOCK_WAIT_MS } from './limits.ts';

const LOCK = 'lock';
const RETRY_MS = 250;

/** Holds the lock of the database, and keeps it while the process lives. */
export interface HeldLock {
  /** To be called before each write under the lock. @throws TowlineError `data_in_use` when another process took it, because this one stood still. */
  confirm(): Promise<void>;
}

/** How long things take, milliseconds. */
export interface LockTimes {
  readonly beatMs: number;
  readonly lifeMs: number;
  readonly waitMs: number;
}

const TIMES: LockTimes = { beatMs: LOCK_BEAT_MS, lifeMs: LOCK_LIFE_MS, waitMs: LOCK_WAIT_MS };

/**
 * Runs what changes the database as a whole while nobody else does. The holder counts a number on; a lock whose number stands
 * still for its life is that of a process that died. No clocks are compared, for those of two machines differ.
 * @throws TowlineError `data_in_use` when another holds it for too long.
 */
export async function withLock<Value>(
  database: Database,
  signal: AbortSignal,
  work: (lock: HeldLock) => Promise<Value>,
  times: LockTimes = TIMES,
): Promise<Value> {
  const holder = randomUUID();
  await acquire(database, { holder, signal, ...times });
  const confirm = async () => {
    const kept = await database.schema.updateOne({ _id: LOCK, holder }, { $inc: { beat: 1 } });
    if (kept.matchedCount === 0) throw inUse();
  };
  // One that fails is not told: the next `confirm` fails too, before anything is written.
  const timer = setInterval(() => void confirm().catch(() => undefined), times.beatMs);
  try {
    return await work({ confirm });
  } finally {
    clearInterval(timer);
    await database.schema.deleteOne({ _id: LOCK, holder });
  }
}

interface Acquiring extends LockTimes {
  readonly holder: string;
  readonly signal: AbortSignal;
}

async function acquire({ schema }: Database, { holder, signal, lifeMs, waitMs }: Acquiring): Promise<void> {
  const beganAt = performance.now();
  let seen = { holder: '', beat: -1, at: beganAt };
  for (;;) {
    if (await isInserted(schema.insertOne({ _id: LOCK, holder, beat: 0 }))) return;
    const held = await schema.findOne({ _id: LOCK });
    const now = performance.now();
    if (held && (held.holder !== seen.holder || held.beat !== seen.beat))
      seen = { holder: held.holder as string, beat: held.beat as number, at: now };
    if (held && now - seen.at > lifeMs) {
      const taken = await schema.updateOne({ _id: LOCK, holder: seen.holder, beat: seen.beat }, { $set: { holder, beat: 0 } });
      if (taken.matchedCount === 1) return;
    }
    if (now - beganAt > waitMs) throw inUse();
    await wait(RETRY_MS, undefined, { signal });
  }
}

function inUse(): TowlineError {
  return new TowlineError('data_in_use', 'Another process is changing the database as a whole.', {
    hint: 'Wait until the import or the start of the other relay is done.',
  });
}
