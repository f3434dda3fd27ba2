import type { Scope } from './ids.ts';

const ORG_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
// No attempt at RFC 5322: one @, no white space, control characters or quoting, at most 254 octets (RFC 5321, 4.5.3.1.3).
const EMAIL = /^[^\s@"<>()[\]\\,;:\p{C}]{1,64}@[^\s@"<>()[\]\\,;:\p{C}]{1,255}$/u;

/** Lower-cased address, or null when the text is not an e-mail address. */
export function normaliseEmail(text: string): string | null {
  const email = text.normalize('NFC').toLowerCase();
  return EMAIL.test(email) && Buffer.byteLength(email) <= 254 ? email : null;
}

/** Reads `user:<email>` or `org:<id>`; null when it is neither. An organisation id is a DNS label. */
export function parseScope(text: string): Scope | null {
  if (text.startsWith('user:')) {
    const email = normaliseEmail(text.slice(5));
    return email === null ? null : userScope(email);
  }
  if (text.startsWith('org:')) return ORG_ID.test(text.slice(4)) ? (text as Scope) : null;
  return null;
}

/** Scope of a person. `email` is normalised already. */
export function userScope(email: string): Scope {
  return `user:${email}` as Scope;
}
