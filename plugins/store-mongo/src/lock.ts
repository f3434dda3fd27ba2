import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { TowlineError } from '@towline/protocol';
import type { Database } from './database.ts';
import { isInserted } from './fault.ts';
import { LOCK_MS, LOCK_WAIT_MS } from './limits.ts';

const LOCK = 'lock';
const RETRY_MS = 250;

/** Holds the lock of the database; `renew` keeps it, and fails when another took it because it had run out. */
export interface HeldLock {
  renew(): Promise<void>;
}

/**
 * Runs what changes the database as a whole while nobody else does. A lock whose holder died runs out.
 * @throws TowlineError `data_in_use` when another holds it for too long.
 */
export async function withLock<Value>(database: Database, signal: AbortSignal, work: (lock: HeldLock) => Promise<Value>): Promise<Value> {
  const holder = randomUUID();
  await acquire(database, holder, signal);
  const renew = async () => {
    const renewed = await database.schema.updateOne({ _id: LOCK, holder }, { $set: { until: Date.now() + LOCK_MS } });
    if (renewed.matchedCount === 0) throw inUse();
  };
  try {
    return await work({ renew });
  } finally {
    await database.schema.deleteOne({ _id: LOCK, holder });
  }
}

async function acquire({ schema }: Database, holder: string, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + LOCK_WAIT_MS;
  for (;;) {
    const taken = { holder, until: Date.now() + LOCK_MS };
    if (await isInserted(schema.insertOne({ _id: LOCK, ...taken }))) return;
    const over = await schema.updateOne({ _id: LOCK, until: { $lt: Date.now() } }, { $set: taken });
    if (over.matchedCount === 1) return;
    if (Date.now() > deadline) throw inUse();
    await wait(RETRY_MS, undefined, { signal });
  }
}

function inUse(): TowlineError {
  return new TowlineError('data_in_use', 'Another process is changing the database as a whole.', {
    hint: 'Wait until the import or the start of the other relay is done.',
  });
}
