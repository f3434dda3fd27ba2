import type { Database } from 'better-sqlite3';
import type { Reply } from '../thread-messages.ts';
import { encodeError, StoreFault } from './fault.ts';
import type { Work } from './group-commit.ts';
import type { Statements } from './statements.ts';

const SCRUB = 'scrub';

/**
 * Writes the relay's own values anew, into pages that were zeroed before: what earlier versions, which did not zero what
 * they replaced, left between the records goes with the old pages.
 */
export function scrubWrites(statements: Statements) {
  return {
    [SCRUB]: (): void => {
      const rows = statements.all('SELECT name, value FROM meta');
      statements.run('DELETE FROM meta');
      for (const { name, value } of rows) statements.run('INSERT INTO meta (name, value) VALUES (?, ?)', name!, value!);
    },
  };
}

/** Empties the write-ahead log behind a group in which that was asked for: old pages lie there until others overwrite them. */
export function withEmptyLog(database: Database, work: Work): Work {
  return (requests) => {
    const { replies, commits } = work(requests);
    const asked = new Set(requests.filter(({ operation }) => operation === SCRUB).map(({ id }) => id));
    if (asked.size === 0) return { replies, commits };
    const error = emptyLog(database);
    const told = (reply: Reply): Reply => (error !== null && asked.has(reply.id) && 'value' in reply ? { id: reply.id, error } : reply);
    return { replies: replies.map(told), commits };
  };
}

function emptyLog(database: Database): ReturnType<typeof encodeError> | null {
  try {
    const [outcome] = database.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
    if (outcome?.busy === 0) return null;
    throw new StoreFault('data_in_use', 'Another process reads the database; what was replaced is still in its log.', {
      hint: 'Run it again in a moment.',
    });
  } catch (error) {
    return encodeError(error);
  }
}
