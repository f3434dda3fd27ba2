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
  /**
   * Another table that holds the keys, with its column for the id of a row; `i` is that one then. For lists in the order
   * of their ids. A row that is found by several keys comes once.
   */
  readonly through?: { readonly table: string; readonly id: string };
}

/** Fetches a page. */
export function fetchPage(statements: Statements, query: PageQuery, page: PageRequest): Page<Row> {
  checkLimit(page.limit);
  const after = page.cursor === undefined ? undefined : decodeCursor(query.list, page.cursor);
  return cutPage(query, fetchRows(statements, query, { after, count: page.limit + 1 }), page.limit);
}

/** Fetches a page of what several look-ups of one list find together, in the order of the ids, each row once. Ids are ASCII. */
export function fetchMergedPage(statements: Statements, queries: readonly PageQuery[], page: PageRequest): Page<Row> {
  const [first] = queries;
  if (!first) throw new Error('a page needs a look-up');
  checkLimit(page.limit);
  const after = page.cursor === undefined ? undefined : decodeCursor(first.list, page.cursor);
  const found = queries.map((query) => fetchRows(statements, query, { after, count: page.limit + 1 }));
  return cutPage(first, queries.length === 1 ? found[0]! : mergeById(found.flat(), first.id), page.limit);
}

function mergeById(rows: readonly Row[], id: string): Row[] {
  const byId = new Map(rows.map((row) => [row[id] as string, row]));
  return [...byId].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
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
  const { table, id, order } = innerTable(query);
  const conditions = after === undefined ? query.conditions : [...query.conditions, positionCondition({ ...query, order }, after)];
  const columnsOf = (name: string) => query.columns.map((column) => `${name}.${column}`).join(', ');
  const filter = conditions.map(({ sql }) => sql);
  const filterValues = conditions.flatMap(({ values }) => values);
  if (query.keys.length === 0) {
    const where = filter.length === 0 ? '' : ` WHERE ${filter.join(' AND ')}`;
    return {
      sql: `SELECT ${columnsOf('i')} FROM ${table} AS i${where} ${orderAndLimit(query, 'i')}`,
      values: [...filterValues, count],
    };
  }
  const sources = query.keys.map((_, at) => `json_each(?) AS k${at}`).join(', ');
  const matches = query.keys.map(({ column }, at) => `i.${column} = k${at}.value`);
  const inner = `SELECT i.${id} FROM ${table} AS i WHERE ${[...matches, ...filter].join(' AND ')} ${orderAndLimit({ ...query, order }, 'i')}`;
  const once = query.through === undefined ? '' : `GROUP BY r.${query.id} `;
  return {
    sql: `SELECT ${columnsOf('r')} FROM ${sources}, ${query.table} AS r WHERE r.${query.id} IN (${inner}) ${once}${orderAndLimit(query, 'r')}`,
    values: [...query.keys.map(({ values }) => JSON.stringify(values)), ...filterValues, count, count],
  };
}

/** Where the keys are. */
function innerTable({ table, id, order, through }: PageQuery): Pick<PageQuery, 'table' | 'id' | 'order'> {
  return through === undefined ? { table, id, order } : { ...through, order: [through.id] };
}

function positionCondition({ order, descending }: PageQuery, after: Position): Condition {
  const columns = order.map((column) => `i.${column}`).join(', ');
  const marks = order.map(() => '?').join(', ');
  return { sql: `(${columns}) ${descending ? '<' : '>'} (${marks})`, values: after };
}

function orderAndLimit({ order, descending }: PageQuery, table: string): string {
  return `ORDER BY ${order.map((column) => `${table}.${column}${descending ? ' DESC' : ''}`).join(', ')} LIMIT ?`;
}
