import type { Database } from 'better-sqlite3';
import type { SchemaChange } from '../thread-messages.ts';
import { StoreFault } from './fault.ts';
import type { Migration } from './migrations/migration.ts';

/** What a database is told when it is brought up to date. */
export interface MigrationPlan {
  readonly migrations: readonly Migration[];
  /** Unix time in milliseconds, noted with each step. */
  readonly now: number;
}

/**
 * Applies the steps that are missing, all or nothing, under the lock of the file: a second process that starts waits
 * and then finds nothing to do.
 * Answers the numbers of the schema before and after.
 * @throws StoreFault `store_schema` when the database has steps that this version does not know.
 */
export function migrate(database: Database, { migrations, now }: MigrationPlan): SchemaChange {
  let from = schemaNumber(database);
  const to = migrations.length;
  if (from === to) return { from, to };
  const applyMissing = database.transaction(() => {
    const present = schemaNumber(database);
    from = present;
    if (present > migrations.length) throw newerSchema(database.name, present, migrations.length);
    if (present === 0) createBookkeeping(database);
    const note = database.prepare('INSERT INTO schema_migration (number, name, applied_at) VALUES (?, ?, ?)');
    for (const migration of migrations.slice(present)) {
      migration.apply(database);
      note.run(migration.number, migration.name, now);
    }
  });
  applyMissing.exclusive();
  return { from, to };
}

/** Marks the file as ours, so that `file` and a later start recognise it: the letters "twln". */
export const APPLICATION_ID = 0x74_77_6c_6e;

function createBookkeeping(database: Database): void {
  database.pragma(`application_id = ${APPLICATION_ID}`);
  database.exec(
    'CREATE TABLE schema_migration (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT',
  );
}

function schemaNumber(database: Database): number {
  const exists = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'schema_migration'`).get();
  if (!exists) return 0;
  return database.prepare('SELECT coalesce(max(number), 0) FROM schema_migration').pluck().get() as number;
}

function newerSchema(path: string, present: number, known: number): StoreFault {
  return new StoreFault(
    'store_schema',
    `The database ${path} was written by a newer version: it has schema ${present}, and this version knows up to ${known}.`,
  );
}
