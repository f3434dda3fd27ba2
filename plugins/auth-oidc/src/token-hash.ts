import { createHash } from 'node:crypto';

/** What a token is remembered by, so that none is kept. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
