import { randomUUID } from 'node:crypto';
import {
  type AuthOutcome,
  type AuthProvider,
  type Clock,
  type Credential,
  type IssuedToken,
  type Principal,
  TowlineError,
} from '@towline/contract';
import { API_KEY_PREFIX } from '@towline/protocol';
import { SignJWT } from 'jose';
import { MAX_TOKEN, readOwnToken, TOKEN_TYPE } from './own-token.ts';
import type { SigningKey } from './signing-key.ts';
import { claimsOf, principalOf } from './token-payload.ts';
import { verifyToken } from './verify-token.ts';

/** What a provider of tokens works with. */
export interface JwtProviderParts {
  /** At least one, the newest first: it signs, all of them verify. */
  readonly keys: readonly SigningKey[];
  readonly expirationMs: number;
  /** Issuer and audience. */
  readonly issuer: string;
  readonly clock: Clock;
}

const SKIPPED: AuthOutcome = Object.freeze({ outcome: 'skipped' });

/** Makes and judges tokens that the relay signs itself (HS256). It is no way to log in: a token is made from another credential. */
export function createJwtProvider(parts: JwtProviderParts): AuthProvider {
  return {
    authenticate: (credential) => authenticate(credential, parts),
    issueToken: (principal) => issueToken(principal, parts),
  };
}

async function authenticate(credential: Credential, { keys, issuer, clock }: JwtProviderParts): Promise<AuthOutcome> {
  if (credential.scheme !== 'bearer' || credential.token.startsWith(API_KEY_PREFIX)) return SKIPPED;
  const own = readOwnToken(credential.token, issuer);
  if (own === null) return SKIPPED;
  const verdict = await verifyToken(own, { keys, issuer, now: clock.now() });
  if ('payload' in verdict) return { outcome: 'accepted', principal: principalOf(verdict.payload) };
  return { outcome: 'rejected', ...verdict };
}

/** @throws TowlineError `forbidden`, `token_expired`, `key_expired`, `too_large`. */
async function issueToken(principal: Principal, { keys, expirationMs, issuer, clock }: JwtProviderParts): Promise<IssuedToken> {
  refuseUnfit(principal);
  const now = clock.now();
  const issuedAt = Math.floor(now / 1_000);
  const expiresAt = Math.floor(Math.min(now + expirationMs, principal.expiresAt ?? Number.POSITIVE_INFINITY) / 1_000);
  if (expiresAt <= issuedAt) throw new TowlineError(principal.keyId === undefined ? 'token_expired' : 'key_expired');
  const [{ id, key }] = keys as readonly [SigningKey];
  const token = await new SignJWT(claimsOf(principal))
    .setProtectedHeader({ alg: 'HS256', typ: TOKEN_TYPE, kid: id })
    .setIssuer(issuer)
    .setAudience(issuer)
    .setSubject(principal.id)
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .setJti(randomUUID())
    .sign(key);
  if (token.length > MAX_TOKEN)
    throw new TowlineError('too_large', `The token would have ${token.length} characters, where ${MAX_TOKEN} are allowed.`, {
      hint: 'Make it from an API key that is limited to fewer scopes or devices.',
    });
  return { token, expiresAt: expiresAt * 1_000 };
}

/** A token made from a token would live on for ever, and a device or an enrolment acts by its key alone. */
function refuseUnfit({ kind, derived }: Principal): void {
  if (kind !== 'user')
    throw new TowlineError('forbidden', 'A token is made for a person, not for a device or an enrolment.', {
      hint: 'Use the API key itself.',
    });
  if (derived)
    throw new TowlineError('forbidden', 'A token is not made from another token.', {
      hint: 'Ask for it with the API key or the password that the first one was made from.',
    });
}
