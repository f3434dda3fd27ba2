import { afterEach, describe, expect, it } from 'vitest';
import type { OidcFault } from '../../../test/support/oidc-faults.ts';
import { OIDC_PATHS, startOidcProvider, type TestOidcProvider } from '../../../test/support/oidc-provider.ts';
import { type OpenPlugin, openPlugin } from './oidc-set-up.ts';

const ANN = { sub: 'ann', email: 'ann@example.com', email_verified: true };
const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function setUp(options: object = {}): Promise<{ provider: TestOidcProvider; plugin: OpenPlugin }> {
  const provider = await startOidcProvider({ accounts: [ANN] });
  const plugin = await openPlugin(provider, options);
  open.push(provider, plugin);
  return { provider, plugin };
}

const start = ({ auth }: OpenPlugin) => auth.start!(AbortSignal.timeout(20_000));
const count = (provider: TestOidcProvider, path: string) => provider.requests.filter((line) => line.endsWith(` ${path}`)).length;
const reasons = ({ lines }: OpenPlugin) => lines.map(({ fields }) => String(fields.reason)).join('\n');
const unavailable = (provider: TestOidcProvider) => ({
  outcome: 'rejected',
  code: 'provider_unavailable',
  message: `The identity provider ${provider.url} cannot be asked by the relay now.`,
});

describe('a provider that is down', () => {
  it('at the start stops nothing, and is found when it comes up', async () => {
    const { provider, plugin } = await setUp();
    const { access_token } = await provider.login('ann');
    await provider.stop();
    await start(plugin);
    expect(reasons(plugin)).toContain(`cannot be reached at ${provider.url}: 127.0.0.1 refuses connections`);
    expect(await plugin.ask(access_token)).toEqual(unavailable(provider));
    await provider.start();
    expect(await plugin.ask(access_token)).toEqual(unavailable(provider));
    plugin.clock.shift += 5_000;
    expect(await plugin.principal(access_token)).toMatchObject({ email: ANN.email });
  });

  it('is not asked more often than every five seconds', async () => {
    const { provider, plugin } = await setUp();
    const { access_token } = await provider.login('ann');
    provider.faults.set('*', 'error');
    const before = count(provider, OIDC_PATHS.discovery);
    for (let turn = 0; turn < 50; turn += 1) expect(await plugin.ask(access_token)).toEqual(unavailable(provider));
    expect(count(provider, OIDC_PATHS.discovery) - before).toBe(1);
    expect(plugin.lines.length).toBeLessThanOrEqual(2);
  });

  it('midway leaves the known keys in use, and says what it is when a token needs a new one', async () => {
    const { provider, plugin } = await setUp();
    const old = await provider.login('ann');
    expect(await plugin.principal(old.access_token)).toMatchObject({ id: `${provider.url}|ann` });
    provider.rotateKeys({ keepOld: true });
    const renewed = await provider.login('ann');
    await provider.stop();
    plugin.clock.shift += 1_200_000;
    expect(await plugin.principal(old.access_token)).toMatchObject({ email: ANN.email });
    expect(await plugin.ask(renewed.access_token)).toEqual(unavailable(provider));
    await provider.start();
    plugin.clock.shift += 30_000;
    expect(await plugin.principal(renewed.access_token)).toMatchObject({ email: ANN.email });
  });

  it('comes too late for the end of the plugin, which waits for nothing', async () => {
    const { provider, plugin } = await setUp();
    provider.faults.set('*', 'hang');
    const asked = plugin.ask(await makeToken(provider));
    await plugin.auth[Symbol.asyncDispose]!();
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('keeps a caller that leaves from nothing, and the others from nothing either', async () => {
    const { provider, plugin } = await setUp();
    const { access_token } = await provider.login('ann');
    provider.faults.set(OIDC_PATHS.jwks, 'hang');
    const leaving = AbortSignal.timeout(200);
    const left = plugin.auth.authenticate({ scheme: 'bearer', token: access_token }, leaving);
    await expect(left).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(await plugin.ask(access_token)).toEqual(unavailable(provider));
  });
});

/** A token of the provider, made without its pages. */
async function makeToken(provider: TestOidcProvider): Promise<string> {
  const faults = [...provider.faults];
  provider.faults.clear();
  const { access_token } = await provider.login('ann');
  for (const [path, fault] of faults) provider.faults.set(path, fault);
  return access_token;
}

describe('a provider that answers wrongly', () => {
  const inside = 'https://127.0.0.1:1/inside';
  const rows: readonly (readonly [what: string, path: string, fault: OidcFault, reason: RegExp])[] = [
    ['HTML for its discovery document', OIDC_PATHS.discovery, 'html', /answers with text\/html.* where JSON is expected/],
    ['HTML for its keys', OIDC_PATHS.jwks, 'html', /answers with text\/html.* where JSON is expected/],
    ['an error', OIDC_PATHS.discovery, 'error', /answers with status 500/],
    ['nothing', OIDC_PATHS.discovery, 'hang', /did not answer within 5 s/],
    ['byte by byte', OIDC_PATHS.jwks, 'drip', /did not answer within 5 s/],
    ['without end', OIDC_PATHS.discovery, 'endless', /answers with more than 1048576 bytes/],
    ['keys without end', OIDC_PATHS.jwks, 'endless', /answers with more than 1048576 bytes/],
    ['by closing the connection', OIDC_PATHS.jwks, 'reset', /closed the connection|cannot be reached/],
    ['with a redirect', OIDC_PATHS.discovery, { redirect: inside }, /a redirect to https:\/\/127.0.0.1:1\/inside, which is not followed/],
    ['with a redirect of its keys', OIDC_PATHS.jwks, { redirect: inside }, /is not followed/],
    ['that there is no such page', OIDC_PATHS.discovery, { json: {}, status: 404 }, /answers with status 404/],
    ['with a list', OIDC_PATHS.discovery, { json: [] }, /is no JSON object/],
    ['with another issuer', OIDC_PATHS.discovery, { json: { issuer: 'https://evil.example' } }, /calls itself https:\/\/evil.example/],
    ['keys that are no list', OIDC_PATHS.jwks, { json: { keys: {} } }, /no list of at most 100 keys/],
    ['too many keys', OIDC_PATHS.jwks, { json: { keys: Array(101).fill({ kty: 'RSA' }) } }, /no list of at most 100 keys/],
    ['a secret for a key', OIDC_PATHS.jwks, { json: { keys: [{ kty: 'oct', k: 'AAAA' }] } }, /without any public key/],
    ['with nesting that breaks parsers', OIDC_PATHS.jwks, { json: JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`) }, /not JSON/],
  ];
  it.each(rows)('%s is told apart in the log, not to the caller', async (_what, path, fault, reason) => {
    const { provider, plugin } = await setUp();
    const { access_token } = await provider.login('ann');
    provider.faults.set(path, fault);
    expect(await plugin.ask(access_token)).toEqual(unavailable(provider));
    expect(reasons(plugin)).toMatch(reason);
    expect(JSON.stringify(plugin.lines)).not.toContain(access_token.slice(0, 30));
    provider.faults.clear();
    plugin.clock.shift += 5_000;
    expect(await plugin.principal(access_token)).toMatchObject({ email: ANN.email });
  });

  it.each([
    ['a plain one', 'http://id.example.com/jwks'],
    ['a loopback one without TLS beside an issuer with', 'http://127.0.0.1:80/jwks'],
    ['a file', 'file:///etc/passwd'],
    ['one with a password', 'https://u:p@id.example.com/jwks'],
    ['no text', 7],
  ])('by naming %s as address of its keys is not followed there', async (_what, jwks_uri) => {
    const { provider, plugin } = await setUp();
    const { access_token } = await provider.login('ann');
    provider.faults.set(OIDC_PATHS.discovery, { json: { issuer: provider.url, jwks_uri } });
    expect(await plugin.ask(access_token)).toEqual(unavailable(provider));
    expect(reasons(plugin)).toMatch(/as jwks_uri, where an https:\/\/ URL is expected/);
  });

  it('is not believed without its CA', async () => {
    const { provider } = await setUp();
    const stranger = await openPlugin(await setUp().then((other) => ({ ...provider, url: provider.url, caPem: other.provider.caPem })));
    open.push(stranger);
    expect(await stranger.ask((await provider.login('ann')).access_token)).toEqual(unavailable(provider));
    expect(reasons(stranger)).toMatch(/The certificate of the provider is signed by a CA that is not trusted here/);
  });
});

describe('keys that change', () => {
  it('are fetched when a token needs them, and withdrawn ones end with the next refresh', async () => {
    const { provider, plugin } = await setUp();
    const old = await provider.login('ann');
    await plugin.principal(old.access_token);
    provider.rotateKeys();
    expect(await plugin.principal(old.access_token)).toMatchObject({ email: ANN.email });
    const renewed = await provider.login('ann');
    expect(await plugin.principal(renewed.access_token)).toMatchObject({ email: ANN.email });
    expect(await plugin.ask(old.access_token)).toMatchObject({
      code: 'token_invalid',
      message: expect.stringContaining('does not publish'),
    });
  });

  it('that are withdrawn are believed for ten minutes at most while the provider is up', async () => {
    const { provider, plugin } = await setUp();
    const { access_token } = await provider.login('ann');
    await plugin.principal(access_token);
    provider.rotateKeys();
    plugin.clock.shift += 599_000;
    expect(await plugin.principal(access_token)).toMatchObject({ email: ANN.email });
    plugin.clock.shift += 1_000;
    expect(await plugin.ask(access_token)).toMatchObject({ code: 'token_invalid' });
  });
});

describe('a clock that is off', () => {
  it('by minutes refuses with words about clocks, and an end that has come by it', async () => {
    const { provider, plugin } = await setUp();
    const { access_token } = await provider.login('ann');
    plugin.clock.shift = -20_000;
    expect(await plugin.ask(access_token)).toMatchObject({ outcome: 'accepted' });
    plugin.clock.shift = -300_000;
    expect(await plugin.ask(access_token)).toMatchObject({ code: 'token_invalid', message: expect.stringContaining('compare the clocks') });
    plugin.clock.shift = 3_600_000;
    expect(await plugin.ask(access_token)).toEqual({ outcome: 'rejected', code: 'token_expired' });
  });

  it('by more than clock_leeway allows is told by the configured leeway', async () => {
    const { provider, plugin } = await setUp({ clock_leeway: '5m' });
    const { access_token } = await provider.login('ann');
    plugin.clock.shift = -290_000;
    expect(await plugin.ask(access_token)).toMatchObject({ outcome: 'accepted' });
  });
});
