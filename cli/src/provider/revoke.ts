import { type Configuration, tokenRevocation } from 'openid-client';
import { discoverProvider, explainProviderFault, refusalOf } from './discover.ts';
import type { ProviderNetwork } from './provider-fetch.ts';
import type { StoredToken } from './token.ts';

/** What came of a revocation: `not_offered` where the provider has no such endpoint, or is not known. */
export type Revoked = 'revoked' | 'not_offered';

/** Revokes the tokens of a login at their provider. @throws TowlineError as {@link discoverProvider}. */
export async function revokeToken(token: StoredToken, network: ProviderNetwork): Promise<Revoked> {
  const { issuer, client_id, refresh_token, access_token } = token;
  if (issuer === undefined || client_id === undefined) return 'not_offered';
  const provider = await discoverProvider({ issuer, client_id }, network);
  if (provider.serverMetadata().revocation_endpoint === undefined) return 'not_offered';
  if (refresh_token !== undefined) await revoke(provider, refresh_token, 'refresh_token');
  await revoke(provider, access_token, 'access_token');
  return 'revoked';
}

async function revoke(provider: Configuration, token: string, kind: 'refresh_token' | 'access_token'): Promise<void> {
  try {
    await tokenRevocation(provider, token, { token_type_hint: kind });
  } catch (error) {
    // RFC 7009 section 2.2.1: a token that the provider itself does not look up ends by itself.
    if (refusalOf(error) !== 'unsupported_token_type') throw explainProviderFault(error, provider.serverMetadata().issuer);
  }
}
