import type { ListView } from '@towline/contract';
import type { ApiClient } from '@towline/link';
import { TowlineError } from '@towline/protocol';
import { checkAnswer, type Shape } from './answer-shape.ts';

/** Items asked for at once: the most that the API gives. */
const PAGE = 500;
/** Most items held for one command: a relay that never stops answering must not fill the memory. */
const MOST = 100_000;
/** Most pages read for one command, so that empty ones come to an end too. */
const MOST_PAGES = 1_000;

/** What of a list is wanted. */
export interface ListRequest {
  readonly path: string;
  readonly shape: Shape;
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Of how many items at most; everything when absent, as far as it can be held. */
  readonly limit?: number;
  readonly cursor?: string;
  readonly signal: AbortSignal;
}

/** Reads a list page by page up to the limit; `next` continues it. */
export async function readList<Item>(api: ApiClient, request: ListRequest): Promise<ListView<Item>> {
  const limit = request.limit ?? MOST;
  const items: Item[] = [];
  const seen = new Set<string>();
  let next: string | null = request.cursor ?? null;
  do {
    const page: ListView<Item> = await readPage(api, request, { cursor: next, limit: Math.min(PAGE, limit - items.length) });
    items.push(...page.items.slice(0, limit - items.length));
    next = page.next;
    if (next !== null && (seen.has(next) || seen.size >= MOST_PAGES))
      throw new TowlineError('protocol_error', 'The list of the relay goes round in circles.');
    if (next !== null) seen.add(next);
  } while (next !== null && items.length < limit);
  return { items, next };
}

async function readPage<Item>(
  api: ApiClient,
  request: ListRequest,
  page: { readonly cursor: string | null; readonly limit: number },
): Promise<ListView<Item>> {
  const query = { ...request.query, limit: page.limit, cursor: page.cursor ?? undefined };
  const answer = await api.request<ListView<Item>>('GET', request.path, { query, signal: request.signal });
  const { items, next } = checkAnswer<ListView<Item>>(answer, { items: 'any', next: { orNull: 'text' } });
  if (!Array.isArray(items)) throw new TowlineError('protocol_error', 'The relay sent something else than a list.');
  for (const item of items) checkAnswer(item, request.shape);
  return { items, next: next || null };
}
