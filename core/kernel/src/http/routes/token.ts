import type { IssuedToken, Principal, TokenView } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import { userScope } from '@towline/protocol';
import type { NamedProvider } from '../../access/authenticate.ts';
import { type ChangeParts, doerOf, recordChange } from '../../people/change.ts';
import { claimedOf, type HttpServer } from '../server.ts';

/** Tokens that one address may have made in a minute. */
const TOKENS_PER_MINUTE = 120;
/** Time for a provider to make a token, milliseconds. */
const ISSUE_MS = 10_000;

/** What the route of tokens works with. */
export type TokenParts = Pick<ChangeParts, 'audit' | 'clock'> & { readonly providers: readonly NamedProvider[] };

/** The route that makes a token of the credential that the request came with. */
export function tokenRoutes(app: HttpServer, parts: TokenParts): void {
  const config = { rateLimit: { max: TOKENS_PER_MINUTE, timeWindow: 60_000 } };
  app.post('/v1/auth/token', { config }, async (request): Promise<TokenView> => {
    const principal = claimedOf(request);
    const { token, expiresAt } = await issue(parts.providers, principal);
    await recordChange(parts, doerOf({ principal, address: request.ip }), {
      action: 'auth.token_issued',
      ...(principal.email === undefined ? {} : { owner: userScope(principal.email) }),
      detail: { expires_at: new Date(expiresAt).toISOString() },
    });
    return { token, expires_at: new Date(expiresAt).toISOString() };
  });
}

/** By the first provider that makes any: the token says what the credential proved, and what that counts for is seen at each use. */
function issue(providers: readonly NamedProvider[], principal: Principal): Promise<IssuedToken> {
  const issuing = providers.find(({ provider }) => provider.issueToken !== undefined);
  if (issuing === undefined) {
    throw new TowlineError('unavailable', 'This relay makes no tokens.', {
      hint: 'Use the credential itself, or have the operator of the relay switch the auth provider jwt on.',
    });
  }
  return issuing.provider.issueToken!(principal, AbortSignal.timeout(ISSUE_MS));
}
