import type { Row, SqlValue, Statements } from './statements.ts';

/** How a field is kept in its column. */
export type ColumnType = 'text' | 'integer' | 'boolean' | 'json';

/** The fields of a type with their columns; a field that is missing here is a type error. */
export type Columns<Item> = { readonly [Field in keyof Item]-?: ColumnType };

/** Maps objects to rows of a table. A field `lastSeenAt` has the column `last_seen_at`; an absent field is NULL. */
export class Table<Item extends object> {
  readonly name: string;
  /** Names of all columns. */
  readonly columns: readonly string[];
  /** The same as a list for SELECT and RETURNING. */
  readonly columnList: string;
  readonly #mapping: readonly { readonly field: string; readonly column: string; readonly type: ColumnType }[];
  readonly #insertSql: string;

  /** `key`: the columns that tell rows apart. */
  constructor(name: string, columns: Columns<Item>, key: readonly string[] = ['id']) {
    this.name = name;
    this.#mapping = Object.entries<ColumnType>(columns).map(([field, type]) => ({ field, column: columnName(field), type }));
    this.columns = this.#mapping.map(({ column }) => column);
    this.columnList = this.columns.join(', ');
    const marks = this.#mapping.map(() => '?').join(', ');
    this.#insertSql = `INSERT INTO ${name} (${this.columnList}) VALUES (${marks}) ON CONFLICT (${key.join(', ')}) DO NOTHING`;
  }

  /** Adds a row. False when there is one with its key. */
  insert(statements: Statements, item: Item): boolean {
    const values = this.#mapping.map(({ field, type }) => toColumn(item[field as keyof Item], type));
    return statements.run(this.#insertSql, ...values) === 1;
  }

  /** `column = ?` for those of the named fields that the change holds, with their values. Other fields are passed over. */
  assignments(change: object, fields: readonly (keyof Item & string)[]): { readonly sql: string[]; readonly values: SqlValue[] } {
    const given = new Map<string, unknown>(Object.entries(change).filter(([, value]) => value !== undefined));
    const columns = this.#mapping.filter(({ field }) => given.has(field) && (fields as readonly string[]).includes(field));
    return {
      sql: columns.map(({ column }) => `${column} = ?`),
      values: columns.map(({ field, type }) => toColumn(given.get(field), type)),
    };
  }

  /** The object a row stands for. */
  fromRow(row: Row): Item {
    const entries = this.#mapping
      .map(({ field, column, type }) => [field, fromColumn(row[column] ?? null, type)] as const)
      .filter(([, value]) => value !== undefined);
    return Object.fromEntries(entries) as Item;
  }
}

function columnName(field: string): string {
  return field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function toColumn(value: unknown, type: ColumnType): SqlValue {
  if (value === undefined || value === null) return null;
  if (type === 'json') return JSON.stringify(value);
  if (type === 'boolean') return value ? 1 : 0;
  return value as SqlValue;
}

function fromColumn(value: SqlValue, type: ColumnType): unknown {
  if (value === null) return undefined;
  if (type === 'json') return JSON.parse(value as string);
  if (type === 'boolean') return value !== 0;
  return value;
}
