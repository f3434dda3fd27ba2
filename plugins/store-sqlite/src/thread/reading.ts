import type { Database } from 'better-sqlite3';
import type { Reply, Request } from '../thread-messages.ts';
import { encodeError } from './fault.ts';
import type { Work } from './group-commit.ts';
import { type Operation, runOperation } from './operation.ts';

/** Runs reads, each in a transaction of its own: all statements of one see the same state. */
export function createReading(database: Database, operations: Readonly<Record<string, Operation>>): Work {
  const begin = database.prepare('BEGIN');
  const commit = database.prepare('COMMIT');
  const run = (request: Request): Reply => {
    try {
      begin.run();
      const value = runOperation(operations, request);
      commit.run();
      return { id: request.id, value };
    } catch (error) {
      if (database.inTransaction) database.exec('ROLLBACK');
      return { id: request.id, error: encodeError(error) };
    }
  };
  return (requests) => ({ replies: requests.map(run), commits: 0 });
}
