import type { Revocation, Store } from '@towline/contract';
import type { Document } from 'mongodb';
import { lastRevocation } from './append-revocation.ts';
import type { Database } from './database.ts';
import { MAX_REVOCATIONS } from './limits.ts';
import { settleAll } from './outbox.ts';

const SHOWN = { hidden: { $exists: false } };

/** What ended access. A look first ends what another process left half done, so that nothing is missed. */
export function revocationRepository(database: Database): Store['revocations'] {
  const { revocations } = database;
  return {
    last: async () => {
      await settleAll(database);
      return lastRevocation(database);
    },
    listAfter: async (number) => {
      await settleAll(database);
      const found = revocations.find({ _id: { $gt: number }, ...SHOWN }).sort({ _id: 1 });
      return (await found.limit(MAX_REVOCATIONS).toArray()).map(fromRevocationDocument);
    },
    deleteBefore: (at) => database.queue.run('revocations', () => deleteBefore(database, at)),
  };
}

/** The revocation in a document. */
export function fromRevocationDocument({ _id, at, kind, id, code, message }: Document): Revocation {
  return { number: _id, at, kind, id, code, message };
}

/** The last one is hidden instead: from it the next number follows. */
async function deleteBefore(database: Database, at: number): Promise<number> {
  const { revocations } = database;
  const last = await lastRevocation(database);
  const deleted = await revocations.deleteMany({ _id: { $lt: last }, at: { $lt: at }, ...SHOWN });
  await revocations.deleteMany({ _id: { $lt: last }, hidden: true });
  const hidden = await revocations.updateOne({ _id: last, at: { $lt: at }, ...SHOWN }, { $set: { hidden: true } });
  return deleted.deletedCount + hidden.matchedCount;
}
