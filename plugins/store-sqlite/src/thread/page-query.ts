import type { Page, PageRequest } from '@towline/contract';
import { checkLimit, decodeCursor, encodeCursor, type Position } from './page-cursor.ts';
import type { Row, SqlValue, Statements } from './statements.ts';
import type { Condition } from './visibility.ts';

/** One page of a table. Conditions and columns name the table `i`. */
export interface PageQuery {
  /** Name of the list, bound into its cursors. */
  readonly list: string;
  readonly table: string;
  readonly columns: readonly string[];
  /** Column that tells rows apart. */
  readonly id: string;
  /** Columns that order the list, the last one unique. */
  readonly order: readonly string[];
  readonly descending?: boolean;
  /** Columns of an index and the values wanted in them, each value once. Every column is followed in that index by those of `order`. */
  readonly keys: readonly { readonly column: string; readonly values: readonly string[] }[];
  readonly conditions: readonly Condition[];
}

/** Fetches a page. */
export function fetchPage(statements: Statements, query: PageQuery, page: PageRequest): Page<Row> {
  checkLimit(page.limit);
  const after = page.cursor === undefined ? undefined : decodeCursor(query.list, page.cursor);
  return cutPage(query, fetchRows(statements, query, { after, count: page.limit + 1 }), page.limit);
}

/** Makes a page of rows in order, of which there is one more than fits when another page follows. */
export function cutPage(query: Pick<PageQuery, 'list' | 'order'>, rows: readonly Row[], limit: number): Page<Row> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  if (rows.length <= limit || !last) return { items, next: null };
  return { items, next: encodeCursor(query.list, query.order.map((column) => last[column]) as unknown as Position) };
}

/** Fetches at most `count` rows after a position. */
export function fetchRows(
  statements: Statements,
  query: PageQuery,
  range: { readonly after: Position | undefined; readonly count: number },
): Row[] {
  const { sql, values } = pageSql(query, range);
  return statements.all(sql, ...values);
}

/**
 * The statement of a page. With keys, every combination of their values is looked up in the index by itself, in order
 * and cut to the page, and the few rows found so are merged: the cost is that of the page, however much the caller
 * may see. One statement with `owner IN (…)` would read and sort all of that for every page.
 */
export function pageSql(
  query: PageQuery,
  { after, count }: { readonly after: Position | undefined; readonly count: number },
): { readonly sql: string; readonly values: SqlValue[] } {
  const conditions = after === undefined ? query.conditions : [...query.conditions, positionCondition(query, after)];
  const columnsOf = (table: string) => query.columns.map((column) => `${table}.${column}`).join(', ');
  const filter = conditions.map(({ sql }) => sql);
  const filterValues = conditions.flatMap(({ values }) => values);
  if (query.keys.length === 0) {
    const where = filter.length === 0 ? '' : ` WHERE ${filter.join(' AND ')}`;
    return {
      sql: `SELECT ${columnsOf('i')} FROM ${query.table} AS i${where} ${orderAndLimit(query, 'i')}`,
      values: [...filterValues, count],
    };
  }
  const sources = query.keys.map((_, at) => `json_each(?) AS k${at}`).join(', ');
  const matches = query.keys.map(({ column }, at) => `i.${column} = k${at}.value`);
  const inner = `SELECT i.${query.id} FROM ${query.table} AS i WHERE ${[...matches, ...filter].join(' AND ')} ${orderAndLimit(query, 'i')}`;
  return {
    sql: `SELECT ${columnsOf('r')} FROM ${sources}, ${query.table} AS r WHERE r.${query.id} IN (${inner}) ${orderAndLimit(query, 'r')}`,
    values: [...query.keys.map(({ values }) => JSON.stringify(values)), ...filterValues, count, count],
  };
}

function positionCondition({ order, descending }: PageQuery, after: Position): Condition {
  const columns = order.map((column) => `i.${column}`).join(', ');
  const marks = order.map(() => '?').join(', ');
  return { sql: `(${columns}) ${descending ? '<' : '>'} (${marks})`, values: after };
}

function orderAndLimit({ order, descending }: PageQuery, table: string): string {
  return `ORDER BY ${order.map((column) => `${table}.${column}${descending ? ' DESC' : ''}`).join(', ')} LIMIT ?`;
}
