import type { Clock } from '@towline/contract';
import { createCallGate } from './call-gate.ts';
import { type Claims, findClaimFault, invalid, type Verdict } from './claims.ts';
import { asObject, type Issuer } from './issuer.ts';
import { audiencesOf, type OidcOptions } from './options.ts';
import type { ProviderClient } from './provider-client.ts';
import { providerFault } from './provider-fault.ts';
import { hashToken } from './token-hash.ts';

/** Largest answer, bytes. */
const MAX_ANSWER_BYTES = 64 * 1_024;
/** Statuses that tell nothing of the token; by the other ones below 500 the provider does not take it for one. */
const NOT_THE_TOKEN = [401, 403, 404, 405, 429];

/** Id and secret of the client that looks tokens up. */
export interface IntrospectionClient {
  readonly id: string;
  readonly secret: string;
}

/** What {@link createIntrospection} works with. */
export interface IntrospectionParts {
  readonly options: OidcOptions;
  readonly issuer: Issuer;
  readonly http: ProviderClient;
  readonly credential: IntrospectionClient;
  readonly clock: Clock;
  readonly closing: AbortSignal;
  readonly failed: (error: unknown) => void;
}

/**
 * Looks opaque tokens up at the provider (RFC 7662), each time anew, so that one it has revoked is refused at once. Null: the
 * provider does not know the token, or it has ended; somebody else may know it.
 */
export type Introspection = (token: string) => Promise<Verdict | null>;

/** Makes an {@link Introspection}. It throws TowlineError `provider_unavailable`. */
export function createIntrospection(parts: IntrospectionParts): Introspection {
  const { options, clock } = parts;
  const full = () => providerFault(options.issuer, 'has too many tokens to look up at once');
  const gate = createCallGate(full, parts.failed);
  return async (token) => {
    const answer = await gate.run(hashToken(token), () => ask(token, parts));
    return answer.active === true ? judge(answer, options, clock.now()) : null;
  };
}

async function ask(token: string, { options, issuer, http, credential, closing, failed }: IntrospectionParts): Promise<Claims> {
  const { introspection: url, postsSecret } = await issuer.metadata.get();
  if (url === null) throw providerFault(options.issuer, 'names no introspection_endpoint in its discovery document');
  const form = new URLSearchParams({ token, token_type_hint: 'access_token' });
  if (postsSecret) {
    form.set('client_id', credential.id);
    form.set('client_secret', credential.secret);
  }
  const headers = postsSecret ? {} : { authorization: basic(credential) };
  const { status, json } = await http.ask({ url, form, headers, maxBytes: MAX_ANSWER_BYTES, signal: closing });
  const fault = providerFault(options.issuer, `answers a look-up with status ${status}; check client_id and secret of introspection`);
  if (NOT_THE_TOKEN.includes(status)) throw fault;
  if (status !== 200) {
    failed(fault);
    return { active: false };
  }
  const answer = asObject(json);
  if (typeof answer?.active !== 'boolean')
    throw providerFault(options.issuer, 'answers a look-up without saying whether the token is active');
  return answer;
}

/** RFC 6749 section 2.3.1: both halves are encoded as in a form. */
function basic({ id, secret }: IntrospectionClient): string {
  const encode = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`;
}

function judge(answer: Claims, options: OidcOptions, now: number): Verdict {
  if (answer.iss !== undefined && answer.iss !== options.issuer) return invalid('was issued by somebody else');
  // Providers look refresh tokens up as well, and then leave the type out or name another.
  if (typeof answer.token_type !== 'string' || answer.token_type.toLowerCase() !== 'bearer')
    return invalid('is no access token, by what the provider says');
  if (!isForUs(answer, options))
    return invalid(`is made for others: neither audience nor client is one of ${audiencesOf(options).join(', ')}`);
  return findClaimFault(answer, options, now) ?? { claims: answer };
}

/** A token without audience belongs to the client it was issued to. */
function isForUs({ aud, client_id }: Claims, options: OidcOptions): boolean {
  if (aud === undefined || aud === null) return client_id === options.client_id;
  return [aud].flat().some((one) => typeof one === 'string' && audiencesOf(options).includes(one));
}
