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

/** The scopes to look under when those of one owner are asked for; `undefined`: under all. */
export function scopesToSearch(caller: WireCaller, owner: string | undefined): readonly string[] | undefined {
  if (caller === 'system') return owner === undefined ? undefined : [owner];
  return owner === undefined ? caller : caller.filter((scope) => scope === owner);
}
