import type { Database } from 'better-sqlite3';

/** One step of the schema. Steps are never changed once released; the next change is the next number. */
export interface Migration {
  /** Grows by one from 1, without gaps. */
  readonly number: number;
  readonly name: string;
  /** Runs inside the transaction of all steps that are applied together. */
  apply(database: Database): void;
}
