import { afterAll, beforeAll, expect, it } from 'vitest';
import { OIDC_PATHS, startOidcProvider, type TestOidcProvider } from '../../../test/support/oidc-provider.ts';
import { openPlugin } from './oidc-set-up.ts';

let provider: TestOidcProvider;
beforeAll(async () => {
  provider = await startOidcProvider({ accounts: [{ sub: 'ann' }], accessTokens: 'opaque', emailInTokens: false });
});
afterAll(() => provider?.[Symbol.asyncDispose]());

it('strangers with made-up tokens make the relay ask the provider, 32 at once and no more', async () => {
  await using plugin = await openPlugin(provider, { introspection: provider.introspection });
  const count = () => provider.requests.filter((line) => line.endsWith(` ${OIDC_PATHS.introspection}`)).length;
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => plugin.ask(`made-up-token-${at}`)));
  expect(count()).toBeLessThanOrEqual(32);
  expect(answers.filter(({ outcome }) => outcome === 'skipped')).toHaveLength(count());
  expect(answers.filter((answer) => answer.outcome === 'rejected' && answer.code === 'provider_unavailable')).toHaveLength(100 - count());
  // Nothing of it stays: who comes next is judged.
  await plugin.principal((await provider.login('ann')).access_token);
});
