import { createHash } from 'node:crypto';
import type { Page, PageRequest } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { MAX_PAGE_LIMIT } from './limits.ts';

/** Where a page ended: the values of the fields that order the list. */
export type Position = readonly (string | number)[];

/** Checks the size of a page. @throws TowlineError `invalid_request`. */
export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE_LIMIT) return;
  throw new TowlineError('invalid_request', `The limit of a page is a whole number from 1 to ${MAX_PAGE_LIMIT}.`);
}

/** Packs a position as text for the caller. `list` names the list and its order, so that no other list accepts it. */
export function encodeCursor(list: string, position: Position): string {
  const text = JSON.stringify(position);
  return Buffer.from(`${checksum(list, text)}${text}`).toString('base64url');
}

/** Reads back what {@link encodeCursor} made. @throws TowlineError `invalid_request` for anything else. */
export function decodeCursor(list: string, cursor: string): Position {
  const text = Buffer.from(cursor, 'base64url').toString('utf8');
  const body = text.slice(CHECKSUM_LENGTH);
  const exact = Buffer.from(text).toString('base64url') === cursor;
  if (exact && text.slice(0, CHECKSUM_LENGTH) === checksum(list, body)) return JSON.parse(body) as Position;
  throw new TowlineError('invalid_request', 'The cursor is not one of this list.', {
    hint: 'Pass the `next` of the page before unchanged, or leave the cursor out to begin anew.',
  });
}

const CHECKSUM_LENGTH = 12;

/** Against mistakes, not against forgery: a position grants nothing, every page is filtered for its caller. */
function checksum(list: string, text: string): string {
  return createHash('sha256').update(`${list}\n${text}`).digest('hex').slice(0, CHECKSUM_LENGTH);
}

/** Where the page asked for begins; undefined: at the first item. Checks the limit too. @throws TowlineError `invalid_request`. */
export function startOf(list: string, { cursor, limit }: PageRequest): Position | undefined {
  checkLimit(limit);
  return cursor === undefined ? undefined : decodeCursor(list, cursor);
}

/** The page of items of which one more than the limit was read. */
export function cutPage<Item>(list: string, items: readonly Item[], limit: number, positionOf: (item: Item) => Position): Page<Item> {
  if (items.length <= limit) return { items, next: null };
  const kept = items.slice(0, limit);
  return { items: kept, next: encodeCursor(list, positionOf(kept.at(-1)!)) };
}
