import SQLite, { type Database } from 'better-sqlite3';
import { BUSY_TIMEOUT_MS, CHECKPOINT_PAGES, MAX_IDLE_LOG_BYTES } from '../limits.ts';
import type { SchemaChange, ThreadRole, ThreadSettings } from '../thread-messages.ts';
import { prepareFile } from './database-file.ts';
import { StoreFault } from './fault.ts';
import { APPLICATION_ID, migrate } from './migrate.ts';
import { MIGRATIONS } from './migrations/index.ts';

/** A connection; with what became of the schema where it is the writer's. */
export interface OpenedDatabase {
  readonly database: Database;
  readonly schema: SchemaChange | null;
}

/**
 * Opens a connection. The writer makes, checks and migrates the file; the others come after it.
 * @throws StoreFault that names the file and what to do.
 */
export function openDatabase({ role, path, now }: ThreadSettings): OpenedDatabase {
  if (role === 'writer') prepareFile(path);
  const database = explained(path, () => new SQLite(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: true }));
  try {
    return { database, schema: explained(path, () => prepare(database, role, now)) };
  } catch (error) {
    database.close();
    throw error;
  }
}

function prepare(database: Database, role: ThreadRole, now: number): SchemaChange | null {
  database.pragma('trusted_schema = OFF');
  if (role !== 'writer' && role !== 'importer') {
    database.pragma('query_only = ON');
    return null;
  }
  if (role === 'writer') {
    checkOwnership(database);
    checkPages(database);
    useLog(database);
  }
  prepareWriting(database);
  return role === 'writer' ? migrate(database, { migrations: MIGRATIONS, now }) : null;
}

function prepareWriting(database: Database): void {
  // FULL: a commit waits until the log is on the disk. The default of this build for such a log is less.
  database.pragma('synchronous = FULL');
  database.pragma('foreign_keys = ON');
  // What is deleted or replaced is zeroed: secrets must not lie on between the records.
  database.pragma('secure_delete = ON');
  database.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  database.pragma(`journal_size_limit = ${MAX_IDLE_LOG_BYTES}`);
}

/** A new file is empty; any other must be one of ours. */
function checkOwnership(database: Database): void {
  // One statement, so that another process that makes the tables at this moment is seen wholly or not at all.
  const { id, tables } = database
    .prepare<[], { id: number; tables: number }>(
      'SELECT (SELECT application_id FROM pragma_application_id) AS id, (SELECT count(*) FROM sqlite_schema) AS tables',
    )
    .get()!;
  if (id === APPLICATION_ID || (id === 0 && tables === 0)) return;
  throw new StoreFault('file_damaged', `${database.name} is a database of another program.`, {
    hint: 'Choose another path for the database of the relay.',
  });
}

function checkPages(database: Database): void {
  const fault = database.pragma('quick_check(1)', { simple: true });
  if (fault !== 'ok') throw damaged(database.name, fault);
}

/** Switching to the write-ahead log needs the file alone for a moment, and SQLite does not wait for that by itself. */
function useLog(database: Database): void {
  const deadline = performance.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      const mode = database.pragma('journal_mode = WAL', { simple: true });
      if (mode === 'wal') return;
      throw new StoreFault('store_failed', `The file system of ${database.name} cannot hold a database that two processes use.`, {
        hint: 'Choose a folder on a local disk.',
        cause: `journal mode ${String(mode)}`,
      });
    } catch (error) {
      if (!sqliteCode(error).startsWith('SQLITE_BUSY') || performance.now() > deadline) throw error;
      pause(20);
    }
  }
}

/** Blocks this thread, which has nothing else to do yet. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

function explained<Value>(path: string, open: () => Value): Value {
  try {
    return open();
  } catch (error) {
    const code = sqliteCode(error);
    if (code === 'SQLITE_NOTADB' || code.startsWith('SQLITE_CORRUPT')) throw damaged(path, error);
    if (code.startsWith('SQLITE_CANTOPEN') || code.startsWith('SQLITE_READONLY')) {
      throw new StoreFault('data_unwritable', `The database ${path} cannot be opened for writing (${code}).`, { cause: error });
    }
    if (code.startsWith('SQLITE_BUSY')) {
      throw new StoreFault('data_in_use', `Another process holds the database ${path}.`, {
        hint: 'Wait until it is done, or stop it.',
        cause: error,
      });
    }
    throw error;
  }
}

function damaged(path: string, cause: unknown): StoreFault {
  return new StoreFault('file_damaged', `The database ${path} is damaged.`, {
    hint: 'Restore it from a backup. Keep the damaged file: what is in it can often be saved with the sqlite3 command .recover.',
    cause,
  });
}

function sqliteCode(error: unknown): string {
  return error instanceof SQLite.SqliteError ? error.code : '';
}
