import type { UserCredentials } from '@towline/config/user-files';
import { TowlineError } from '@towline/protocol';
import type { TokenEndpointResponse } from 'openid-client';
import type { Host } from '../host.ts';

/** A token as credentials.json keeps it. */
export type StoredToken = NonNullable<UserCredentials['OAuth2Token']>;
/** Of whom and for what a token is asked. */
export type TokenRequest = Pick<StoredToken, 'scopes' | 'audience'> & { readonly issuer: string; readonly client_id: string };

/** Longest token, characters: what a header of a request to the relay can carry. */
const LONGEST = 15_000;

/**
 * Parameters that name what the token is for: `audience`, as some providers want it, and `resource` (RFC 8707), which must
 * be an absolute URI without fragment and is left out where the audience is none.
 */
export function audienceParameters({ audience }: TokenRequest): Record<string, string> {
  if (audience === undefined) return {};
  const isUri = URL.canParse(audience) && !audience.includes('#');
  return { audience, ...(isUri ? { resource: audience } : {}) };
}

/** A token of an answer, over what is kept of the one before. `askedAt`: Unix milliseconds. @throws TowlineError `provider_unavailable`. */
export function tokenOfAnswer(answer: TokenEndpointResponse, before: TokenRequest & Partial<StoredToken>, askedAt: number): StoredToken {
  if (answer.token_type !== 'bearer' || !/^[\x21-\x7e]+$/.test(answer.access_token) || answer.access_token.length > LONGEST)
    throw new TowlineError('provider_unavailable', 'The identity provider issued a token that cannot be used here.', {
      hint: 'Tell the operator of the relay: a bearer token of at most 15,000 characters is needed.',
    });
  const { expires_at: _past, ...kept } = before;
  return {
    ...kept,
    access_token: answer.access_token,
    ...(answer.refresh_token === undefined ? {} : { refresh_token: answer.refresh_token }),
    ...(answer.expires_in === undefined ? {} : { expires_at: Math.floor(askedAt / 1_000 + answer.expires_in) }),
  };
}

/** When a token ends, Unix milliseconds; Infinity where nobody said. */
export function endOfToken({ expires_at }: StoredToken): number {
  return expires_at === undefined ? Number.POSITIVE_INFINITY : expires_at * 1_000;
}

/** A token is renewed when it ends within this time, milliseconds. */
export const RENEW_BEFORE_MS = 60_000;

/** Where a token is kept, and how its provider is reached. */
export interface TokenPlace {
  /** Folder of the user's files. */
  readonly dir: string;
  /** The relay it is for. */
  readonly url: URL;
  readonly env: Host['env'];
  readonly signal?: AbortSignal;
  now(): number;
  readonly warn: (text: string) => void;
  /** An access token that is to be replaced although it has not ended. */
  readonly replacing?: string;
}

/** A token with all that its renewal needs. */
export interface RenewableToken extends StoredToken {
  readonly issuer: string;
  readonly client_id: string;
  readonly refresh_token: string;
}

/** Whether a token is to be renewed now. */
export function isDue(token: StoredToken, { now, replacing }: Pick<TokenPlace, 'now' | 'replacing'>): boolean {
  return token.access_token === replacing || endOfToken(token) - now() < RENEW_BEFORE_MS;
}

/** Whether a token can be renewed at all. */
export function isRenewable(token: StoredToken): token is RenewableToken {
  return token.issuer !== undefined && token.client_id !== undefined && token.refresh_token !== undefined;
}
