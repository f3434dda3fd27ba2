import { decodeJson } from '@towline/protocol';
import { hasDuplicateMembers } from './duplicate-members.ts';
import { asObject } from './issuer.ts';

/** Longest token, characters. */
export const MAX_TOKEN_LENGTH = 16_384;
/** Longest token that is looked up; those in use have some dozen characters. */
const MAX_OPAQUE_LENGTH = 4_096;
const MAX_KID_LENGTH = 200;
/** Characters of a bearer token (RFC 6750 section 2.1). */
const BEARER_TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
/** Types of a header by which a token may be an access token; absent is allowed too, since many providers say none. */
const ACCESS_TOKEN_TYPES = ['at+jwt', 'jwt'];

/** What can be said of a bearer token without any key. `fault` completes "The token …". */
export type TokenForm =
  /** Of somebody else. */
  | { readonly form: 'foreign' }
  /** No JWT of this issuer, but it may be one that its introspection knows. */
  | { readonly form: 'opaque' }
  /** As a JWE: whose it is cannot be seen. */
  | { readonly form: 'encrypted' }
  | { readonly form: 'faulty'; readonly fault: string }
  /** In the form of a JWT of this issuer. */
  | { readonly form: 'jwt'; readonly isAccessToken: boolean };

const FOREIGN: TokenForm = Object.freeze({ form: 'foreign' });
const OPAQUE: TokenForm = Object.freeze({ form: 'opaque' });
const ENCRYPTED: TokenForm = Object.freeze({ form: 'encrypted' });
const faulty = (fault: string): TokenForm => ({ form: 'faulty', fault });

/** Looks at the form of a bearer token. Nothing in it is believed. */
export function readTokenForm(token: string, issuer: string): TokenForm {
  const parts = token.split('.', 7);
  if (token.length > MAX_TOKEN_LENGTH)
    return parts.length === 3 ? faulty(`is longer than ${MAX_TOKEN_LENGTH.toLocaleString('en')} characters`) : FOREIGN;
  const [header, payload] = parts.map(readPart);
  if (header && parts.length === 5 && header.json.enc !== undefined) return ENCRYPTED;
  if (!payload) return BEARER_TOKEN.test(token) && parts.length !== 3 && token.length <= MAX_OPAQUE_LENGTH ? OPAQUE : FOREIGN;
  if (payload.json.iss !== issuer) return FOREIGN;
  if (parts.length !== 3) return faulty(`has ${parts.length === 7 ? 'too many' : parts.length} parts, where a signed one has three`);
  if (!header) return faulty('has a header that is not JSON');
  const fault = findFault(header, payload);
  return fault === undefined ? { form: 'jwt', isAccessToken: readType(header.json.typ) === 'at+jwt' } : faulty(fault);
}

interface Part {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** A part of a token as JSON object; null when it is none. */
function readPart(part: string): Part | null {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) return null;
  const bytes = Buffer.from(part, 'base64url');
  try {
    const json = asObject(decodeJson(bytes, MAX_TOKEN_LENGTH));
    return json === null ? null : { json, text: bytes.toString('utf8') };
  } catch {
    return null;
  }
}

function findFault({ text, json: header }: Part, payload: Part): string | undefined {
  const { kid, typ } = header;
  if (hasDuplicateMembers(text)) return 'names a member of its header twice';
  if (hasDuplicateMembers(payload.text)) return 'names a claim twice';
  if (header.crit !== undefined || header.b64 !== undefined) return 'demands a critical extension (crit), of which none is understood here';
  if (header.enc !== undefined) return 'claims to be encrypted and signed at once';
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID_LENGTH || /\p{C}/u.test(kid)))
    return `has a key id (kid) that is no text of at most ${MAX_KID_LENGTH} printable characters`;
  if (typ !== undefined && !ACCESS_TOKEN_TYPES.includes(readType(typ))) return 'is of another type (typ) than an access token';
  return undefined;
}

/** Media types are compared without case, and `application/` may be left out (RFC 7515 section 4.1.9). */
function readType(typ: unknown): string {
  return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : '';
}
