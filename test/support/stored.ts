import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRecord } from '@towline/contract';
import SQLite, { type Database } from 'better-sqlite3';

/** The audit trail as it lies in the database of a relay, running or not: oldest first, every field. */
export function storedTrail(dataDir: string): AuditRecord[] {
  return inDatabase(dataDir, (database) => {
    const rows = database.prepare<[], { record: string }>('SELECT record FROM audit ORDER BY number').all();
    return rows.map(({ record }) => JSON.parse(record) as AuditRecord);
  });
}

/** A value of the relay in its database. */
export function storedMeta(dataDir: string, name: string): string {
  return inDatabase(dataDir, (database) => {
    const row = database.prepare<[string], { value: string }>('SELECT value FROM meta WHERE name = ?').get(name);
    if (row === undefined) throw new Error(`the database has no value ${name}`);
    return row.value;
  });
}

/** Changes a value of the relay in its database, as a restored backup would have. */
export function replaceMeta(dataDir: string, name: string, value: string): void {
  const changes = inDatabase(dataDir, (database) => database.prepare('UPDATE meta SET value = ? WHERE name = ?').run(value, name).changes);
  if (changes !== 1) throw new Error(`the database has no value ${name}`);
}

/** Lets the next start of a relay take values in the clear, as on the data of a version that did not encrypt. */
export function forgetEncryption(dataDir: string): void {
  rmSync(join(dataDir, 'encryption.done'));
}

/** Changes the end of what a secret is encrypted as, as a failing disk would have. */
export function damageSecret(dataDir: string, name: string): void {
  const statement = "UPDATE secret SET sealed = substr(sealed, 1, length(sealed) - 8) || 'AAAAAAAA' WHERE name = ?";
  const changes = inDatabase(dataDir, (database) => database.prepare(statement).run(name).changes);
  if (changes !== 1) throw new Error(`the database has no secret ${name}`);
}

function inDatabase<Result>(dataDir: string, work: (database: Database) => Result): Result {
  const database = new SQLite(join(dataDir, 'towline.db'), { fileMustExist: true });
  try {
    return work(database);
  } finally {
    database.close();
  }
}
