import type { PageRequest } from '@towline/contract';
import { z } from 'zod';

/** Query of every list: `limit` 1 to 500 (100), `cursor` of the page before. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(1_024).optional(),
};

/** The page a query asks for. */
export function pageOf({ limit, cursor }: { readonly limit: number; readonly cursor?: string | undefined }): PageRequest {
  return cursor === undefined ? { limit } : { limit, cursor };
}
