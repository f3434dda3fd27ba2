import type { Database } from 'better-sqlite3';
import type { Reply, Request } from '../thread-messages.ts';
import { encodeError } from './fault.ts';
import { type Operation, runOperation } from './operation.ts';

/** Works on a group of requests. */
export type Work = (requests: readonly Request[]) => { readonly replies: readonly Reply[]; readonly commits: number };

/**
 * Runs the writes of a group in one transaction, so that they share one wait for the disk. Each is atomic by itself
 * through a savepoint: one that fails leaves nothing and spoils none of the others. Answers are made after the commit.
 */
export function createGroupCommit(database: Database, operations: Readonly<Record<string, Operation>>): Work {
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  const runAlone = createSavepointRunner(database, operations);
  let commits = 0;

  return (requests) => {
    try {
      begin.run();
      const replies = requests.map(runAlone);
      commit.run();
      commits += 1;
      return { replies, commits };
    } catch (error) {
      // Nothing of the group is durable, so nothing of it may be acknowledged.
      if (database.inTransaction) database.exec('ROLLBACK');
      return { replies: requests.map(({ id }) => ({ id, error: encodeError(error) })), commits };
    }
  };
}

function createSavepointRunner(database: Database, operations: Readonly<Record<string, Operation>>): (request: Request) => Reply {
  const savepoint = database.prepare('SAVEPOINT one');
  const undo = database.prepare('ROLLBACK TO one');
  const release = database.prepare('RELEASE one');
  return (request) => {
    savepoint.run();
    try {
      const value = runOperation(operations, request);
      release.run();
      return { id: request.id, value };
    } catch (error) {
      // A full disk, for one, makes SQLite give up the whole transaction.
      if (!database.inTransaction) throw error;
      undo.run();
      release.run();
      return { id: request.id, error: encodeError(error) };
    }
  };
}
