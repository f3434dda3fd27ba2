import type { OrgId, Scope } from './ids.ts';

const ORG_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
// No attempt at RFC 5322: one @, no white space, control characters or quoting, at most 254 octets (RFC 5321, 4.5.3.1.3).
const EMAIL = /^[^\s@"<>()[\]\\,;:\p{C}]{1,64}@[^\s@"<>()[\]\\,;:\p{C}]{1,255}$/u;

/** Lower-cased address, or null when the text is not an e-mail address. */
export function normaliseEmail(text: string): string | null {
  if (turnsIntoAscii(text)) return null;
  const email = text.normalize('NFC').toLowerCase();
  return EMAIL.test(email) && Buffer.byteLength(email) <= 254 ? email : null;
}

/** Letters that normalising turns into ASCII ones, as the Kelvin sign into k, would make one address of two. */
function turnsIntoAscii(text: string): boolean {
  return [...text].some((char) => char > '\x7f' && /[\x00-\x7f]/.test(char.normalize('NFC').toLowerCase()));
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

/** The text as the id of an organisation, or null when it is none. */
export function parseOrgId(text: string): OrgId | null {
  return ORG_ID.test(text) ? (text as OrgId) : null;
}

/** Scope of an organisation. */
export function orgScope(id: OrgId): Scope {
  return `org:${id}` as Scope;
}

/** The organisation of a scope; null for that of a person. */
export function orgOfScope(scope: Scope): OrgId | null {
  return scope.startsWith('org:') ? (scope.slice(4) as OrgId) : null;
}

/** Scope of a person. `email` is normalised already. */
export function userScope(email: string): Scope {
  return `user:${email}` as Scope;
}
