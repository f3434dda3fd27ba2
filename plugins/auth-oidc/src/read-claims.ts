import type { Clock } from '@towline/contract';
import type { Asking } from './asking.ts';
import { readClaim } from './claimed-scopes.ts';
import { type Claims, invalid, isRefused, type Verdict } from './claims.ts';
import type { OidcOptions } from './options.ts';
import { readTokenForm } from './token-form.ts';
import { verifyToken } from './verify-token.ts';

/** What {@link readClaims} and {@link completeClaims} go by. */
export interface ReadRequest {
  readonly options: OidcOptions;
  readonly clock: Clock;
  readonly asking: Asking;
}

/** The claims of a token, why it is refused, or null when it is for somebody else. */
export async function readClaims(token: string, { options, clock, asking }: ReadRequest): Promise<Verdict | null> {
  const { issuer, introspect } = asking;
  const read = readTokenForm(token, options.issuer);
  if (read.form === 'foreign') return null;
  if (read.form === 'faulty') return invalid(read.fault);
  if (read.form === 'jwt') return verifyToken(token, { options, issuer, now: clock.now(), isAccessToken: read.isAccessToken });
  if (introspect !== undefined) return introspect(token);
  if (read.form === 'opaque') return null;
  return invalid('is encrypted, and the relay has no key for it; have the provider sign tokens, or configure introspection');
}

/** Adds what the token does not say and the provider tells otherwise. The address and its being verified come from one place. */
export async function completeClaims(token: string, claims: Claims, { options, asking }: ReadRequest): Promise<Verdict> {
  const named = [options.scopes_claim, options.roles_claim].filter((claim) => claim !== undefined);
  const hasAddress = claims.email !== undefined && claims.email_verified !== undefined;
  const missing = named.filter((claim) => readClaim(claims, claim) === undefined);
  if (hasAddress && missing.length === 0) return { claims };
  const told = await asking.userinfo(token, claims);
  if (isRefused(told)) return told;
  const { email, email_verified, name, preferred_username } = told.claims;
  const address = !hasAddress && email !== undefined ? { email, email_verified } : {};
  const names = { name: claims.name ?? name, preferred_username: claims.preferred_username ?? preferred_username };
  return { claims: { ...claims, ...names, ...Object.fromEntries(missing.map((claim) => [claim, told.claims[claim]])), ...address } };
}
