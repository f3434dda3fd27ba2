import type { WireCaller } from '../wire-caller.ts';
import type { SqlValue } from './statements.ts';

/** A part of a WHERE clause with the values of its marks. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

/** No condition. */
export const ALWAYS: Condition = Object.freeze({ sql: 'TRUE', values: Object.freeze([]) });

/** What the caller may see of a table with an owner column. An empty list of scopes sees nothing. */
export function visibleTo(caller: WireCaller, column = 'owner'): Condition {
  if (caller === 'system') return ALWAYS;
  return { sql: `${column} IN (SELECT value FROM json_each(?))`, values: [JSON.stringify(caller)] };
}

/** What the caller may see of devices, or of what belongs to them: by the owner, or by a share of the device that a column names. */
export function reachableBy(caller: WireCaller, columns: { readonly owner: string; readonly device: string }): Condition {
  if (caller === 'system') return ALWAYS;
  const own = visibleTo(caller, columns.owner);
  const share = visibleTo(caller, 'share.scope');
  return {
    sql: `(${own.sql} OR EXISTS (SELECT 1 FROM device_share AS share WHERE share.device_id = ${columns.device} AND ${share.sql}))`,
    values: [...own.values, ...share.values],
  };
}

/** The scopes to look under when those of one owner are asked for; `undefined`: under all. */
export function scopesToSearch(caller: WireCaller, owner: string | undefined): readonly string[] | undefined {
  if (caller === 'system') return owner === undefined ? undefined : [owner];
  return owner === undefined ? caller : caller.filter((scope) => scope === owner);
}

const ORG_PREFIX = 'org:';

/** Ids of the organisations among scopes. Not by `@towline/protocol`: a thread does not load it, see fault.ts. */
export function organisationsAmong(scopes: readonly string[]): string[] {
  return scopes.filter((scope) => scope.startsWith(ORG_PREFIX)).map((scope) => scope.slice(ORG_PREFIX.length));
}

/** The scope of an organisation, by its id. */
export function scopeOfOrganisation(id: string): string {
  return `${ORG_PREFIX}${id}`;
}

/** Whose organisations the caller may see, by id. */
export function organisationCaller(caller: WireCaller): WireCaller {
  return caller === 'system' ? caller : organisationsAmong(caller);
}
