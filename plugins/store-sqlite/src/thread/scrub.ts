import type { Database } from 'better-sqlite3';
import type { Reply } from '../thread-messages.ts';
import { encodeError, StoreFault } from './fault.ts';
import type { Work } from './group-commit.ts';
import type { Statements } from './statements.ts';

const SCRUB = 'scrub';
/** Tables of what is encrypted. */
const SCRUBBED = ['meta', 'secret'] as const;

/**
 * Writes the relay's own values and the secrets anew, into pages that were zeroed before. SQLite zeroes what is deleted, but not
 * what it copied within a page or to the next one when it split and merged pages, and earlier versions zeroed nothing: such
 * remains go with the old pages.
 */
export function scrubWrites(statements: Statements) {
  return {
    [SCRUB]: (): void => {
      for (const table of SCRUBBED) writeAnew(statements, table);
    },
  };
}

/** By a copy in the database: the secrets may be more than fits into memory. Deleting all rows of a table frees, and so zeroes, its pages. */
function writeAnew(statements: Statements, table: string): void {
  statements.run(`CREATE TABLE scrub_copy AS SELECT * FROM ${table}`);
  statements.run(`DELETE FROM ${table}`);
  statements.run(`INSERT INTO ${table} SELECT * FROM scrub_copy`);
  statements.run('DROP TABLE scrub_copy');
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
