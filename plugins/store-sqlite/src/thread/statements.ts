import type { Database, Statement } from 'better-sqlite3';

/** A value that can be bound to a statement. */
export type SqlValue = string | number | null;
/** A row as it comes. */
export type Row = Readonly<Record<string, SqlValue>>;

/** Prepared statements of a connection, each prepared once. The number of texts is limited by the shapes of the queries. */
export class Statements {
  readonly #database: Database;
  readonly #prepared = new Map<string, Statement<SqlValue[], Row>>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** The first row, if there is one. */
  get(sql: string, ...values: SqlValue[]): Row | undefined {
    return this.#prepare(sql).get(...values);
  }

  /** All rows. */
  all(sql: string, ...values: SqlValue[]): Row[] {
    return this.#prepare(sql).all(...values);
  }

  /** Rows one by one. While it is not at its end, the connection can change nothing and not be closed. */
  iterate(sql: string, ...values: SqlValue[]): IterableIterator<Row> {
    return this.#prepare(sql).iterate(...values);
  }

  /** Runs a change and answers how many rows it changed. */
  run(sql: string, ...values: SqlValue[]): number {
    return this.#prepare(sql).run(...values).changes;
  }

  #prepare(sql: string): Statement<SqlValue[], Row> {
    let statement = this.#prepared.get(sql);
    if (!statement) this.#prepared.set(sql, (statement = this.#database.prepare<SqlValue[], Row>(sql)));
    return statement;
  }
}
