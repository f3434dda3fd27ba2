import type { Revocation } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { Database } from './database.ts';
import { isDuplicate } from './fault.ts';
import { MAX_APPENDED, NUMBER_MS } from './limits.ts';

/** What ended access, before it has a number. `op` names the change: there is one revocation of each. */
export interface UnnumberedRevocation extends Omit<Revocation, 'number'> {
  readonly op: string;
}

/** A revocation that waits for its number, and who waits for it. */
export interface WaitingRevocation {
  readonly revocation: UnnumberedRevocation;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Number of the last revocation. The last one always stays in the database, hidden when it was deleted. */
export async function lastRevocation({ revocations }: Database): Promise<number> {
  const [last] = await revocations.find().sort({ _id: -1 }).limit(1).project({ _id: 1 }).toArray();
  return last?._id ?? 0;
}

/** Gives a revocation the next number. Those that wait at one time are written together. */
export function appendRevocation(database: Database, revocation: UnnumberedRevocation): Promise<void> {
  return new Promise((resolve, reject) => {
    const waiting = { revocation, resolve, reject };
    database.waiting.push(waiting);
    // Each has a turn of its own; the first one takes along what waits then, and the others find nothing.
    database.queue
      .run('revocations', () => appendWaiting(database))
      .catch((error: unknown) => {
        const at = database.waiting.indexOf(waiting);
        if (at !== -1) database.waiting.splice(at, 1);
        reject(error);
      });
  });
}

async function appendWaiting(database: Database): Promise<void> {
  let left: readonly WaitingRevocation[] = database.waiting.splice(0, MAX_APPENDED);
  const until = performance.now() + NUMBER_MS;
  try {
    while (left.length > 0) {
      if (performance.now() > until) throw taken();
      const done = await appendSome(database, left);
      for (const { resolve } of left.slice(0, done)) resolve();
      left = left.slice(done);
    }
  } catch (error) {
    for (const { reject } of left) reject(error);
  }
}

/**
 * Whoever inserts a number first has it; the other takes the next. A second one of the same change is refused by the index of `op`.
 * A number that is taken but not yet with a majority is not seen: then the same one is tried for again, and no number is left out.
 * Answers how many of them, from the first on, are there now: the server stops at the first that it refuses.
 */
async function appendSome(database: Database, waiting: readonly WaitingRevocation[]): Promise<number> {
  const number = (await lastRevocation(database)) + 1;
  const documents = waiting.map(({ revocation }, n) => ({ _id: number + n, ...revocation }));
  try {
    await database.revocations.insertMany(documents, { ordered: true });
    return documents.length;
  } catch (error) {
    if (!isDuplicate(error)) throw error;
    const inserted = (error as { readonly writeErrors?: readonly { readonly index: number }[] }).writeErrors?.[0]?.index ?? 0;
    const isThere = (await database.revocations.findOne({ op: waiting[inserted]!.revocation.op })) !== null;
    return isThere ? inserted + 1 : inserted;
  }
}

function taken(): TowlineError {
  return new TowlineError('store_failed', undefined, { detail: 'the next number of a revocation is taken, and not with a majority' });
}
