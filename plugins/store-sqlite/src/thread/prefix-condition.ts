import type { Condition } from './visibility.ts';

/** The last code point: no text that begins with a prefix sorts behind the prefix followed by it, but for texts that hold it. */
const LAST = '\u{10FFFF}';

/** Texts that begin with a prefix, as a range: an index serves it, and no character of the prefix has a meaning of its own. */
export function prefixCondition(column: string, prefix: string): Condition {
  return { sql: `${column} >= ? AND ${column} < ?`, values: [prefix, `${prefix}${LAST}`] };
}
