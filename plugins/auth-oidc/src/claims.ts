import type { AuthOutcome } from '@towline/contract';
import type { OidcOptions } from './options.ts';

/** Claims that the provider vouches for, by a signature or by its own answer. */
export type Claims = Readonly<Record<string, unknown>>;
/** A credential that was judged and found wrong. */
export type Refused = Extract<AuthOutcome, { outcome: 'rejected' }>;
/** Claims in a wrapping, so that no claim can pass for a judgement; or why there are none. */
export type Verdict = { readonly claims: Claims } | Refused;

/** Tells the two apart. */
export function isRefused(verdict: Verdict): verdict is Refused {
  return !('claims' in verdict);
}

/** Longest subject (OpenID Connect Core, section 2), characters. */
const MAX_SUBJECT = 255;
/** Last second of the year 9999: beyond, no date can be shown. */
const MAX_TIME_S = 253_402_300_799;

/** A refusal. `what` completes "The token …" and never repeats a part of the token. */
export function invalid(what: string): Refused {
  return { outcome: 'rejected', code: 'token_invalid', message: `The token ${what}.` };
}

/** Whether a text can be the subject of a token. */
export function isSubject(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_SUBJECT && !/\p{C}/u.test(value);
}

/** What is wrong with claims of any token: subject, times, and a key that whoever brings it would have to prove. */
export function findClaimFault(claims: Claims, options: OidcOptions, now: number): Refused | undefined {
  const { sub, exp, iat, nbf } = claims;
  const latest = (now + options.clock_leeway) / 1_000;
  if (!isSubject(sub)) return invalid(`has a subject (sub) that is no text of at most ${MAX_SUBJECT} printable characters`);
  if (!isTime(exp)) return invalid('says nothing in exp that is a time');
  // The end has no leeway: a principal whose time is over would be sent away at the next step all the same.
  if (exp * 1_000 <= now) return { outcome: 'rejected', code: 'token_expired' };
  if (nbf !== undefined && !(isTime(nbf) && nbf <= latest))
    return invalid('is not valid yet (nbf); compare the clocks of the relay and the provider');
  if (iat !== undefined && !(isTime(iat) && iat <= latest))
    return invalid('was made in the future (iat); compare the clocks of the relay and the provider');
  if (claims.cnf !== undefined) return invalid('is bound to a key (cnf), which a bearer token must not be');
  return undefined;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value > 0 && value <= MAX_TIME_S;
}
