import { createHash } from 'node:crypto';
import { MAX_PAGE_LIMIT } from '../limits.ts';
import { StoreFault } from './fault.ts';
import type { SqlValue } from './statements.ts';

/** Where a page ended: the values of the columns that order the list. */
export type Position = readonly Exclude<SqlValue, null>[];

/** Checks the size of a page. @throws StoreFault `invalid_request`. */
export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE_LIMIT) return;
  throw new StoreFault('invalid_request', `The limit of a page is a whole number from 1 to ${MAX_PAGE_LIMIT}.`);
}

/** Packs a position as text for the caller. `list` names the list and its order, so that no other list accepts it. */
export function encodeCursor(list: string, position: Position): string {
  const text = JSON.stringify(position);
  return Buffer.from(`${checksum(list, text)}${text}`).toString('base64url');
}

/** Reads back what {@link encodeCursor} made. @throws StoreFault `invalid_request` for anything else. */
export function decodeCursor(list: string, cursor: string): Position {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const body = text.slice(CHECKSUM_LENGTH);
  const exact = Buffer.from(text).toString('base64url') === cursor;
  if (exact && text.slice(0, CHECKSUM_LENGTH) === checksum(list, body)) return JSON.parse(body) as Position;
  throw new StoreFault('invalid_request', 'The cursor is not one of this list.', {
    hint: 'Pass the `next` of the page before unchanged, or leave the cursor out to begin anew.',
  });
}

const CHECKSUM_LENGTH = 12;

/** Against mistakes, not against forgery: a position grants nothing, every page is filtered for its caller. */
function checksum(list: string, text: string): string {
  return createHash('sha256').update(`${list}\n${text}`).digest('hex').slice(0, CHECKSUM_LENGTH);
}
