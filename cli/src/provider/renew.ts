import { readCredentials, type UserCredentials, updateCredentials } from '@towline/config/user-files';
import { isTowlineError, TowlineError } from '@towline/protocol';
import { type Configuration, customFetch, refreshTokenGrant } from 'openid-client';
import { isSameRelay } from '../relay/settings.ts';
import { discoverProvider, explainProviderFault, refusalOf } from './discover.ts';
import { createProviderFetch } from './provider-fetch.ts';
import {
  audienceParameters,
  endOfToken,
  isDue,
  isRenewable,
  type RenewableToken,
  type StoredToken,
  type TokenPlace,
  tokenOfAnswer,
} from './token.ts';

/**
 * The stored token, renewed first when it is about to end. It is renewed under the lock of credentials.json and looked at
 * again there, so that of several programs one asks the provider and the others take what it got.
 * @throws TowlineError `token_expired` when it is over or its renewal was refused; `provider_unavailable` when it is over and
 * nobody can be asked.
 */
export async function freshToken(token: StoredToken, place: TokenPlace): Promise<StoredToken> {
  if (!isDue(token, place)) return token;
  if (!isRenewable(token)) return stillValid(token, place, () => new TowlineError('token_expired'));
  try {
    // Outside of the lock: only the request that spends the refresh token has to be made within.
    const provider = await discoverProvider(token, { env: place.env, ...(place.signal ? { signal: place.signal } : {}) });
    return await renewLocked(provider, token, place);
  } catch (error) {
    if (!isTowlineError(error) || !['provider_unavailable', 'data_in_use'].includes(error.code)) throw error;
    const latest = (await storedToken(place)) ?? token;
    if (!isDue(latest, place)) return latest;
    return stillValid(latest, place, () => (error.code === 'data_in_use' ? busy(error) : error), error.message);
  }
}

/** A token that could not be renewed is used as long as it lasts. */
function stillValid(token: StoredToken, { now, warn }: TokenPlace, over: () => TowlineError, why?: string): StoredToken {
  if (endOfToken(token) <= now()) throw over();
  if (why !== undefined) warn(`the login could not be renewed, and is used as it is: ${why}`);
  return token;
}

/** The token that is stored at this moment. */
async function storedToken({ dir, url }: TokenPlace): Promise<StoredToken | undefined> {
  return tokenFor(url, (await readCredentials(dir)).credentials);
}

/** The token, unless it is for another relay. What names no relay was found to be for this one before. */
function tokenFor(url: URL, credentials: UserCredentials | undefined): StoredToken | undefined {
  const { relay, OAuth2Token } = credentials ?? {};
  return relay === undefined || isSameRelay(relay, url) ? OAuth2Token : undefined;
}

async function renewLocked(provider: Configuration, found: RenewableToken, place: TokenPlace): Promise<StoredToken> {
  let renewed: StoredToken = found;
  let spent = false;
  try {
    await updateCredentials(place.dir, async (present) => {
      const token = tokenFor(place.url, present.credentials);
      if (token === undefined) throw loginRemoved();
      renewed = token;
      // Another program has renewed it in between, or somebody has logged in anew.
      if (!isDue(token, place) || !isRenewable(token) || !isOfSameClient(token, found)) return null;
      place.signal?.throwIfAborted();
      renewed = await askProvider(provider, token, place);
      spent = true;
      return { ...present, credentials: { ...present.credentials, OAuth2Token: renewed } };
    });
  } catch (error) {
    if (!spent || !isTowlineError(error)) throw error;
    // The old refresh token is spent, and the new one goes with this program; what it has got is used all the same.
    place.warn(`${error.message} The renewed login could not be kept: log in again.`);
  }
  return renewed;
}

/** The provider was found for this issuer and client; a refresh token of another one would be spent in vain. */
function isOfSameClient(token: RenewableToken, { issuer, client_id }: RenewableToken): boolean {
  return token.issuer === issuer && token.client_id === client_id;
}

/** The signal has no part in it: whoever cuts this off may lose the only refresh token that works. */
async function askProvider(provider: Configuration, token: RenewableToken, { env, now }: TokenPlace): Promise<StoredToken> {
  provider[customFetch] = createProviderFetch({ env });
  const askedAt = now();
  try {
    const answer = await refreshTokenGrant(provider, token.refresh_token, audienceParameters(token));
    return tokenOfAnswer(answer, token, askedAt);
  } catch (error) {
    if (refusalOf(error) !== 'invalid_grant') throw explainProviderFault(error, token.issuer);
    throw new TowlineError('token_expired', 'The login has ended: the identity provider does not renew it any more.', { cause: error });
  }
}

function loginRemoved(): TowlineError {
  return new TowlineError('unauthenticated', 'The login was removed by another program just now.');
}

function busy(cause: TowlineError): TowlineError {
  return new TowlineError('provider_unavailable', 'The login has ended, and another program is still renewing it.', { cause });
}
