import { secretWeakness } from './secret-strength.ts';

/** What a fault says where an encryption key was expected. */
export const ENCRYPTION_KEY = '32 characters, or base64 of 32 bytes';
/** Bytes of a key that is written as base64, and characters of one that is written plainly. */
const KEY_LENGTH = 32;
/** Base64 of 32 bytes, by either alphabet. */
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;

/** A key that what the relay keeps is encrypted with. */
export interface EncryptionKey {
  /** Its name in the ring; absent for a key alone, which is named by what it is. */
  readonly id?: string;
  /** What the key is made from: the characters in UTF-8, or the decoded bytes. */
  readonly bytes: Uint8Array;
}

/** The bytes that the text of a key stands for; null when it is no key. */
export function encryptionKeyBytes(text: string): Uint8Array | null {
  if ([...text].length === KEY_LENGTH) return Buffer.from(text, 'utf8');
  if (!BASE64.test(text)) return null;
  const bytes = Buffer.from(text, 'base64');
  return bytes.length === KEY_LENGTH ? bytes : null;
}

/** What is wrong with the text of a key, without showing it; null when nothing is. */
export function encryptionKeyWeakness(text: string): string | null {
  if (encryptionKeyBytes(text) === null) return text === '' ? 'an empty text' : `a text of ${[...text].length} characters`;
  return secretWeakness(text);
}
