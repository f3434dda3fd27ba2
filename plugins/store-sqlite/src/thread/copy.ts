import SQLite, { type Database } from 'better-sqlite3';
import { BACKUP_PAGES } from '../limits.ts';
import { StoreFault } from './fault.ts';
import { APPLICATION_ID } from './migrate.ts';

/** Copies the database, some pages at a time. */
export function copyOperations(database: Database) {
  return {
    /**
     * Copies all of it, as it is at the call, into an empty file, and looks the copy through.
     * @throws StoreFault `data_unwritable`, `file_damaged`.
     */
    'copy.all': async (file: string): Promise<void> => {
      const pages = holdState(database);
      await explained(() => database.backup(file, { progress: () => BACKUP_PAGES }));
      database.exec('ROLLBACK');
      checkCopy(file, pages, database.name);
    },
  };
}

/** Begins to read, and with that stays at one state: without it a copy would begin anew at each write of another connection. Answers its size. */
function holdState(database: Database): number {
  database.exec('BEGIN');
  return pagesOf(database);
}

function checkCopy(file: string, pages: number, source: string): void {
  const copy = new SQLite(file, { fileMustExist: true });
  try {
    copy.pragma('trusted_schema = OFF');
    const whole = copy.pragma('application_id', { simple: true }) === APPLICATION_ID && pagesOf(copy) === pages;
    const fault = whole ? copy.pragma('integrity_check(1)', { simple: true }) : 'it is not whole';
    if (fault !== 'ok') throw damagedCopy(source, fault);
  } catch (error) {
    throw error instanceof SQLite.SqliteError ? damagedCopy(source, error) : error;
  } finally {
    copy.close();
  }
}

function pagesOf(database: Database): number {
  // Unlike the pragma for it this reads the state of the transaction.
  return database.prepare<[], number>('SELECT page_count FROM pragma_page_count').pluck().get()!;
}

async function explained(copy: () => Promise<unknown>): Promise<void> {
  try {
    await copy();
  } catch (error) {
    const code = error instanceof SQLite.SqliteError ? error.code : '';
    if (!/^SQLITE_(FULL|CANTOPEN|READONLY)/.test(code)) throw error;
    throw new StoreFault('data_unwritable', `The backup cannot be written (${code}).`, {
      hint: 'Make room, or choose another place. Nothing was left behind.',
      cause: error,
    });
  }
}

function damagedCopy(source: string, cause: unknown): StoreFault {
  return new StoreFault('file_damaged', `The copy of ${source} is damaged, and was not kept.`, {
    hint: 'Try it again to another disk. If it stays, the database is damaged: restore an earlier backup, and keep the damaged file.',
    cause,
  });
}
