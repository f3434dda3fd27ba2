import { z } from 'zod';

/** `typ` in the header of our tokens, so that no other kind of token is taken for one. */
export const TOKEN_TYPE = 'towline+jwt';
/** Longest token of ours, characters. Node takes 16 KiB of headers in all. */
export const MAX_TOKEN = 8_192;
/** Longest header that is decoded to see whose token it is, characters of base64url. Ours has 100. */
const MAX_HEADER = 1_024;

/** A token that says it is ours, not verified. */
export interface OwnToken {
  readonly token: string;
  /** The header as it was decoded. */
  readonly header: Readonly<Record<string, unknown>>;
}

const object = z.record(z.string(), z.unknown());

/**
 * Reads whose token it is. Null: no JWT, or of another type or issuer, so it is for another provider. That decides nothing
 * but who judges it; a payload that cannot be read is left to the judgement.
 */
export function readOwnToken(token: string, issuer: string): OwnToken | null {
  const [head = '', body = '', ...rest] = token.split('.', 4);
  if (rest.length !== 1 || head.length > MAX_HEADER) return null;
  const header = decodePart(head);
  if (header?.typ !== TOKEN_TYPE) return null;
  const named = token.length > MAX_TOKEN ? undefined : decodePart(body)?.iss;
  return typeof named === 'string' && named !== issuer ? null : { token, header };
}

function decodePart(part: string): Readonly<Record<string, unknown>> | null {
  try {
    return object.safeParse(JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))).data ?? null;
  } catch {
    return null;
  }
}
