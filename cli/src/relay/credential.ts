import { apiKeyOfEnvironment, readCredentials, type UserCredentials } from '@towline/config/user-files';
import type { RelayCredential } from '@towline/link';
import { API_KEY_PREFIX, parseApiKey, TowlineError } from '@towline/protocol';
import type { Host } from '../host.ts';
import { endOfToken, isDue, isRenewable, type StoredToken, type TokenPlace } from '../provider/token.ts';
import { isSameRelay, type RelaySettings } from './settings.ts';

/** A credential and where it comes from. */
export interface UserCredential extends RelayCredential {
  readonly source: 'environment' | 'login';
  readonly kind: 'api_key' | 'token' | 'basic';
  /** When a token ends, Unix milliseconds; Infinity where nobody said, or it is none. */
  readonly endsAt: number;
  /** Whether the identity provider renews it. */
  readonly renewable: boolean;
}

/** How a token is renewed; left out: as the environment says, with nothing to interrupt it and no warnings. */
export type RenewOptions = Partial<Pick<TokenPlace, 'signal' | 'now' | 'warn' | 'replacing'>>;

/**
 * The credential of the user: that of the environment, else the stored one if it was stored for this very relay. A token that
 * is about to end is renewed first.
 * @throws TowlineError `unauthenticated`, `key_wrong_kind`, `token_expired`, `provider_unavailable`.
 */
export async function chooseCredential(env: Host['env'], settings: RelaySettings, renewing: RenewOptions = {}): Promise<UserCredential> {
  const given = apiKeyOfEnvironment(env);
  if (given !== undefined) return { ...keyCredential(given, 'The key in the environment'), source: 'environment' };
  const { APIKey, OAuth2Token, Basic } = await storedFor(settings);
  if (APIKey !== undefined) return keyCredential(APIKey.api_key, 'The stored key');
  if (OAuth2Token === undefined) return basicCredential(Basic!);
  const place: TokenPlace = { now: () => Date.now(), warn: () => {}, ...renewing, dir: settings.dir, url: settings.url, env };
  if (!isDue(OAuth2Token, place)) return tokenCredential(OAuth2Token);
  // What speaks with providers is loaded when it is needed.
  const { freshToken } = await import('../provider/renew.ts');
  return tokenCredential(await freshToken(OAuth2Token, place));
}

/** A key as it is sent. @throws TowlineError as {@link requireUserKey}. */
export function keyCredential(key: string, which: string): UserCredential {
  const value = requireUserKey(key, which);
  return { source: 'login', kind: 'api_key', header: 'X-API-Key', value, endsAt: Number.POSITIVE_INFINITY, renewable: false };
}

/** A token as it is sent. @throws TowlineError `unauthenticated` for what no header can carry. */
export function tokenCredential(token: StoredToken): UserCredential {
  if (!/^[\x21-\x7e]{1,15000}$/.test(token.access_token)) {
    throw new TowlineError('unauthenticated', 'The stored token holds odd characters, or is too long.', {
      hint: 'Run `towline login` again.',
    });
  }
  const value = `Bearer ${token.access_token}`;
  return { source: 'login', kind: 'token', header: 'Authorization', value, endsAt: endOfToken(token), renewable: isRenewable(token) };
}

/** User name and password as they are sent (RFC 7617). */
export function basicCredential({ username, password }: NonNullable<UserCredentials['Basic']>): UserCredential {
  const value = `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`;
  return { source: 'login', kind: 'basic', header: 'Authorization', value, endsAt: Number.POSITIVE_INFINITY, renewable: false };
}

/**
 * Refuses a key that is none of a user, before it is sent anywhere. Keys of other forms pass: an auth plugin may have its own.
 * @throws TowlineError `key_wrong_kind`, `unauthenticated` for the torso of a key of ours or what no header can carry.
 */
export function requireUserKey(text: string, which: string): string {
  if (!/^[\x21-\x7e]{1,4096}$/.test(text)) {
    throw new TowlineError(
      'unauthenticated',
      `${which} is not an API key: it is empty, too long, or holds spaces or other odd characters.`,
      {
        hint: 'Copy it again as a whole, without quotes or line breaks.',
      },
    );
  }
  if (!text.startsWith(API_KEY_PREFIX)) return text;
  const kind = /^twl_([de])_/.exec(text)?.[1];
  if (kind !== undefined) {
    throw new TowlineError(
      'key_wrong_kind',
      `${which} is that of ${kind === 'd' ? 'a device' : 'an enrolment'}, not of a user. It was not sent.`,
    );
  }
  if (parseApiKey(text) !== null) return text;
  throw new TowlineError('unauthenticated', `${which} is not whole: keys of users are twl_u_ with 16 and 64 hex digits.`, {
    hint: 'Copy it again as a whole.',
  });
}

async function storedFor({ dir, config, url }: RelaySettings): Promise<UserCredentials> {
  const { credentials } = await readCredentials(dir);
  const hint = `Run \`towline login --relay ${url.origin}\`, or set TOWLINE_API_KEY.`;
  if (credentials === undefined || (credentials.APIKey ?? credentials.OAuth2Token ?? credentials.Basic) === undefined)
    throw new TowlineError('unauthenticated', `Not logged in to ${url.origin}.`, { hint });
  const relay = credentials.relay ?? config.relay;
  if (isSameRelay(relay, url)) return credentials;
  throw new TowlineError(
    'unauthenticated',
    `Not logged in to ${url.origin}: the stored login is for ${relay ?? 'a relay that is not noted'}.`,
    { hint },
  );
}
