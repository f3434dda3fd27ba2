import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyId } from './ids.ts';

/** What an API key is for. The text of a key tells it, so that a key in the wrong place can be named. */
export type ApiKeyKind = 'user' | 'device' | 'enrolment';

/** The parts of the text of an API key. */
export interface ApiKeyParts {
  readonly kind: ApiKeyKind;
  /** Public part, by which the key is looked up and listed. */
  readonly id: KeyId;
  /** 64 hex digits (256 random bits). Never stored, never logged. */
  readonly secret: string;
}

/** A key that was just made: the only moment in which its text is known to the relay. */
export interface NewApiKey extends ApiKeyParts {
  /** What the holder is given: `twl_u_<id>_<secret>`. */
  readonly text: string;
  /** What is stored. */
  readonly hash: string;
}

/** How the text of every API key begins, whatever its kind. */
export const API_KEY_PREFIX = 'twl_';

const LETTERS = Object.freeze({ user: 'u', device: 'd', enrolment: 'e' } as const satisfies Record<ApiKeyKind, string>);
const KINDS = Object.freeze({ u: 'user', d: 'device', e: 'enrolment' } as const satisfies Record<string, ApiKeyKind>);
const FORM = /^twl_([ude])_([0-9a-f]{16})_([0-9a-f]{64})$/;

/** Makes a key: 64 random bits of id and 256 of secret. */
export function createApiKeyText(kind: ApiKeyKind): NewApiKey {
  const id = randomBytes(8).toString('hex') as KeyId;
  const secret = randomBytes(32).toString('hex');
  return { kind, id, secret, text: `${API_KEY_PREFIX}${LETTERS[kind]}_${id}_${secret}`, hash: hashApiKeySecret(secret) };
}

/** Reads the text of a key; null when it has not exactly that form. Says nothing of whether the key exists. */
export function parseApiKey(text: string): ApiKeyParts | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  return { kind: KINDS[match[1] as keyof typeof KINDS], id: match[2] as KeyId, secret: match[3]! };
}

/** SHA-256 of the secret part as hex. The secret has 256 random bits, so no slow hash is needed. */
export function hashApiKeySecret(secret: string): string {
  return digest(secret).toString('hex');
}

/** Whether a secret belongs to a stored hash; takes the same time for every answer. */
export function apiKeyMatches(secret: string, hash: string): boolean {
  const stored = Buffer.alloc(32);
  const whole = stored.write(hash, 'hex') === 32 && hash.length === 64;
  return timingSafeEqual(digest(secret), stored) && whole;
}

function digest(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest();
}
