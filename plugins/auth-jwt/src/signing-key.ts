import { createHash, createSecretKey, type KeyObject } from 'node:crypto';

/** Shortest secret, characters: 256 bits as hex have 64, as base64 43; shorter than this is typed by hand. */
export const MIN_SECRET_LENGTH = 32;
/** A random text of 32 hex digits has fewer kinds of characters than this less than once in 10^12 times. */
const MIN_KINDS = 6;
/** Keeps the name of a key apart from other hashes of the same secret. */
const KEY_ID_LABEL = 'towline token signing key\0';

/** A secret as the HMAC takes it. */
export interface SigningKey {
  /** Names the secret in the header of a token: 16 hex digits. */
  readonly id: string;
  readonly key: KeyObject;
}

/** Makes the key of a secret that is not weak. */
export function createSigningKey(secret: string): SigningKey {
  const id = createHash('sha256').update(KEY_ID_LABEL).update(secret).digest('hex').slice(0, 16);
  return { id, key: createSecretKey(secret, 'utf8') };
}

/** What is wrong with a secret, without showing it; null when nothing is. */
export function secretWeakness(secret: string): string | null {
  const { length } = [...secret];
  if (length === 0) return 'an empty text';
  if (length < MIN_SECRET_LENGTH) return `a text of ${length} characters`;
  return new Set(secret).size < MIN_KINDS || isRepetition(secret) ? 'a text that repeats itself' : null;
}

/** Whether the text is one part twice or more often, the last one possibly cut. */
function isRepetition(text: string): boolean {
  for (let period = 1; period <= text.length / 2; period += 1) {
    if (text.startsWith(text.slice(period))) return true;
  }
  return false;
}
