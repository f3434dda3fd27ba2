import type { AuditFilter, Page } from '@towline/contract';
import type { WireCaller } from '../wire-caller.ts';
import { actionCondition, actionsUnder } from './audit-actions.ts';
import { type NumberRange, numberRange } from './audit-time-range.ts';
import type { AuditPageRequest } from './audit-trail.ts';
import { checkLimit, decodeCursor, type Position } from './page-cursor.ts';
import { cutPage, fetchRows, type PageQuery } from './page-query.ts';
import type { Row, Statements } from './statements.ts';
import { type Condition, visibleTo } from './visibility.ts';

type Access = Pick<PageQuery, 'keys' | 'conditions'>;

/** A page of the trail as JSON texts. Must run in one transaction: it takes several statements. */
export function fetchAuditPage(
  statements: Statements,
  { filter, page, caller }: { readonly filter: AuditFilter; readonly page: AuditPageRequest; readonly caller: WireCaller },
): Page<string> {
  checkLimit(page.limit);
  const base = {
    list: `audit.${page.order}`,
    table: 'audit',
    columns: ['number', 'record'],
    id: 'number',
    order: ['number'],
    descending: page.order === 'descending',
  };
  const range = numberRange(statements, filter);
  const { after, bound } = readingRange(
    base.descending,
    range,
    page.cursor === undefined ? undefined : decodeCursor(base.list, page.cursor),
  );
  const found = accesses(statements, filter, caller).map(({ keys, conditions }) =>
    fetchRows(statements, { ...base, keys, conditions: [...conditions, bound, ...range.conditions] }, { after, count: page.limit + 1 }),
  );
  const { items, next } = cutPage(base, merge(found, base.descending), page.limit);
  return { items: items.map((row) => row.record as string), next };
}

/** Where reading begins and ends. One bound for each end: given two, SQLite would follow either and read what the other excludes. */
function readingRange(
  descending: boolean,
  { first, last }: NumberRange,
  cursor: Position | undefined,
): { readonly after: Position; readonly bound: Condition } {
  const [place] = (cursor ?? []) as readonly number[];
  if (descending) return { after: [Math.min(place ?? last + 1, last + 1)], bound: { sql: 'i.number >= ?', values: [first] } };
  return { after: [Math.max(place ?? 0, first - 1)], bound: { sql: 'i.number <= ?', values: [last] } };
}

/** The index to go by is that of the narrowest thing asked for; the rest is checked on the rows found there. */
function accesses(statements: Statements, filter: AuditFilter, caller: WireCaller): readonly Access[] {
  const by = (column: string, value: string): Access => ({
    keys: [{ column, values: [value] }],
    conditions: remaining(filter, caller, column),
  });
  if (filter.session !== undefined) return [by('session', filter.session)];
  if (filter.deviceId !== undefined) return [by('device_id', filter.deviceId)];
  if (filter.actor !== undefined) return [by('actor_id', filter.actor), by('actor_email', filter.actor)];
  const owners = caller === 'system' ? [] : [{ column: 'owner', values: caller }];
  const actions = filter.action === undefined ? [] : [{ column: 'action', values: actionsUnder(statements, filter.action) }];
  return [{ keys: [...owners, ...actions], conditions: [] }];
}

/** The `+` keeps SQLite from going by another index than the one chosen. */
function remaining(filter: AuditFilter, caller: WireCaller, chosen: string): Condition[] {
  const conditions = [visibleTo(caller, '+i.owner')];
  if (filter.deviceId !== undefined && chosen !== 'device_id') conditions.push({ sql: '+i.device_id = ?', values: [filter.deviceId] });
  if (filter.actor !== undefined && !chosen.startsWith('actor_')) {
    conditions.push({ sql: '(+i.actor_id = ? OR +i.actor_email = ?)', values: [filter.actor, filter.actor] });
  }
  if (filter.action !== undefined) conditions.push(actionCondition('+i.action', filter.action));
  return conditions;
}

/** Rows of several look-ups in one order, each once: a record may name an actor by id and by e-mail alike. */
function merge(found: readonly Row[][], descending: boolean): Row[] {
  if (found.length === 1) return found[0]!;
  const rows = new Map(found.flat().map((row) => [row.number as number, row]));
  return [...rows].sort(([a], [b]) => (descending ? b - a : a - b)).map(([, row]) => row);
}
