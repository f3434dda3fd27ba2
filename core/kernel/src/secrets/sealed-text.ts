import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { TowlineError } from '@towline/contract';

/** Version of the format, the first part of every sealed text. */
export const SEALED_VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Version, key id, check of the key; then nonce, ciphertext and tag. */
const SEALED = /^(v1\.([a-z0-9][a-z0-9-]{0,31})\.([0-9a-f]{16}))\.([A-Za-z0-9_-]+)$/;

/** Instead of a scope: of the relay itself. */
export const SYSTEM = 'system';

/** Where a secret belongs. A sealed text opens nowhere else. */
export interface SecretPlace {
  /** What it is for: `grant secrets`. */
  readonly purpose: string;
  /** Whose it is: {@link SYSTEM}, or a scope as `org:acme`. */
  readonly scope: string;
  readonly name: string;
}

/** A sealed text in its parts. */
export interface SealedParts {
  /** All but the last part, which is authenticated with the rest. */
  readonly head: string;
  readonly keyId: string;
  readonly check: string;
  /** Base64url of nonce, ciphertext and tag. */
  readonly body: string;
}

/** The place as it is bound: no two places have the same text. */
export function placeText({ purpose, scope, name }: SecretPlace): string {
  return JSON.stringify([purpose, scope, name]);
}

/** The record of a place, for people. */
export function describePlace({ purpose, scope, name }: SecretPlace): string {
  return `The record ${scope === SYSTEM ? name : `${scope}/${name}`} (${purpose})`;
}

/** Whether a text says of itself that it is sealed. */
export function looksSealed(text: string): boolean {
  return text.startsWith(`${SEALED_VERSION}.`);
}

/** Takes a sealed text apart. @throws TowlineError `secret_damaged`. */
export function parseSealed(sealed: string, place: SecretPlace): SealedParts {
  const [, head, keyId, check, body] = SEALED.exec(sealed) ?? [];
  if (head !== undefined && keyId !== undefined && check !== undefined && body !== undefined) return { head, keyId, check, body };
  // What is left of the id helps to find the right backup.
  const near = /^v1\.([a-z0-9][a-z0-9-]{0,31})\./.exec(sealed)?.[1];
  throw damaged(place, near === undefined ? 'an unknown key' : `key ${near}`);
}

interface Seal {
  readonly secret: Uint8Array;
  /** Authenticated with the text, not part of it. */
  readonly bound: string;
}

/** Base64url of a fresh nonce, the ciphertext and its tag. */
export function encrypt(text: string, { secret, bound }: Seal): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, secret, nonce, { authTagLength: TAG_BYTES }).setAAD(Buffer.from(bound));
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url');
}

/** The text again. @throws TowlineError `secret_damaged` when anything was changed. */
export function decrypt(body: string, { secret, bound }: Seal, at: { readonly keyId: string; readonly place: SecretPlace }): string {
  const bytes = Buffer.from(body, 'base64url');
  // The last digit of base64url has bits that mean nothing: one text for one record.
  if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== body) throw damaged(at.place, `key ${at.keyId}`);
  const decipher = createDecipheriv(CIPHER, secret, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(bound)).setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    throw damaged(at.place, `key ${at.keyId}`);
  }
}

function damaged(place: SecretPlace, key: string): TowlineError {
  return new TowlineError('secret_damaged', `${describePlace(place)}, encrypted with ${key}, is damaged or lies where it does not belong.`);
}
