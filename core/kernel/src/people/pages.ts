import type { Page, PageRequest } from '@towline/contract';
import { defined } from '@towline/protocol';

/** Most look-ups for one page. A page of which nearly nothing may be shown is given short, with its cursor. */
const MAX_LOOKUPS = 20;
/** Items of a page when a list is read to its end. */
const WHOLE_PAGE = 500;

/** Reads one page of a list. */
export type FetchPage<Item> = (request: PageRequest) => Promise<Page<Item>>;

/** A page of those items that are kept, full where there are enough of them. */
export async function filteredPage<Item>(fetch: FetchPage<Item>, request: PageRequest, keep: (item: Item) => boolean): Promise<Page<Item>> {
  const items: Item[] = [];
  let { cursor } = request;
  for (let lookup = 0; lookup < MAX_LOOKUPS; lookup += 1) {
    const page = await fetch({ limit: request.limit - items.length, ...defined({ cursor }) });
    items.push(...page.items.filter(keep));
    if (page.next === null || items.length === request.limit) return { items, next: page.next };
    cursor = page.next;
  }
  return { items, next: cursor ?? null };
}

/** Every item of a list, a page at a time. */
export async function* allPages<Item>(fetch: FetchPage<Item>): AsyncGenerator<Item> {
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page: Page<Item> = await fetch({ limit: WHOLE_PAGE, ...defined({ cursor }) });
    yield* page.items;
    cursor = page.next;
  }
}
