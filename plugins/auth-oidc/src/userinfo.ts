import type { Clock } from '@towline/contract';
import { createCallGate } from './call-gate.ts';
import { readClaim } from './claimed-scopes.ts';
import { type Claims, invalid, type Verdict } from './claims.ts';
import { asObject, type Issuer } from './issuer.ts';
import type { OidcOptions } from './options.ts';
import type { ProviderClient } from './provider-client.ts';
import { providerFault } from './provider-fault.ts';
import { hashToken } from './token-hash.ts';

/** Largest answer, bytes. */
const MAX_ANSWER_BYTES = 64 * 1_024;
/** How long an answer is believed at most, milliseconds. */
const MAX_AGE_MS = 600_000;
/** Answers remembered; beyond, the oldest is forgotten. */
const MAX_REMEMBERED = 10_000;
/** What is remembered of one answer at most, characters of JSON; a longer one is asked for each time. */
const MAX_REMEMBERED_LENGTH = 4_096;

/** What {@link createUserinfo} works with. */
export interface UserinfoParts {
  readonly options: OidcOptions;
  readonly issuer: Issuer;
  readonly http: ProviderClient;
  readonly clock: Clock;
  readonly closing: AbortSignal;
  readonly failed: (error: unknown) => void;
}

/**
 * What the provider tells of the person whom a verified token is about; empty where it tells nothing by this token.
 * `claims` are those of the token.
 */
export type Userinfo = (token: string, claims: Claims) => Promise<Verdict>;

/** Makes a {@link Userinfo}. Asks once per token, and again after ten minutes. It throws TowlineError `provider_unavailable`. */
export function createUserinfo(parts: UserinfoParts): Userinfo {
  const { options, clock } = parts;
  const known = new Map<string, { readonly claims: Claims; readonly until: number }>();
  const full = () => providerFault(options.issuer, 'has too many people to tell about at once');
  const gate = createCallGate(full, parts.failed);

  function remember(key: string, claims: Claims, exp: unknown): void {
    if (JSON.stringify(claims).length > MAX_REMEMBERED_LENGTH) return;
    known.delete(key);
    known.set(key, { claims, until: Math.min(clock.now() + MAX_AGE_MS, Number(exp) * 1_000) });
    const oldest = known.keys().next().value;
    if (known.size > MAX_REMEMBERED && oldest !== undefined) known.delete(oldest);
  }

  return async (token, claims) => {
    const key = hashToken(token);
    const before = known.get(key);
    const now = clock.now();
    if (before !== undefined && now < before.until && now >= before.until - MAX_AGE_MS) return { claims: before.claims };
    const answer = await gate.run(key, () => ask(token, parts));
    if (answer === null) return keep({});
    if (answer.sub !== claims.sub) return invalid('is about another person than the one whom the provider names for it (userinfo)');
    return keep(pick(answer, options));

    function keep(picked: Claims): Verdict {
      remember(key, picked, claims.exp);
      return { claims: picked };
    }
  };
}

/** Null when the provider tells nothing by this token, as for one that is made for the relay alone. */
async function ask(token: string, { options, issuer, http, closing }: UserinfoParts): Promise<Claims | null> {
  const { userinfo: url } = await issuer.metadata.get();
  if (url === null) return null;
  const headers = { authorization: `Bearer ${token}` };
  const { status, json } = await http.ask({ url, headers, maxBytes: MAX_ANSWER_BYTES, signal: closing });
  if (status === 429) throw providerFault(options.issuer, 'answers userinfo with status 429: too many requests');
  if (status !== 200) return null;
  const answer = asObject(json);
  if (answer === null) throw providerFault(options.issuer, 'answers userinfo with something that is no JSON object');
  return answer;
}

/** Only what is looked at later. */
function pick(answer: Claims, { scopes_claim, roles_claim }: OidcOptions): Claims {
  const { email, email_verified, name, preferred_username } = answer;
  const named = [scopes_claim, roles_claim].filter((claim) => claim !== undefined);
  return {
    email,
    email_verified,
    name,
    preferred_username,
    ...Object.fromEntries(named.map((claim) => [claim, readClaim(answer, claim)])),
  };
}
