import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { OidcFault } from '../../../test/support/oidc-faults.ts';
import { OIDC_PATHS, startOidcProvider, type TestOidcProvider } from '../../../test/support/oidc-provider.ts';
import { openPlugin } from './oidc-set-up.ts';

const ANN = { sub: 'ann', email: 'ann@example.com', email_verified: true, name: 'Ann', claims: { groups: ['org:acme'] } };
let provider: TestOidcProvider;
beforeAll(async () => {
  provider = await startOidcProvider({ accounts: [ANN], accessTokens: 'opaque', emailInTokens: false });
});
afterEach(() => {
  provider.faults.clear();
  vi.unstubAllEnvs();
});
afterAll(() => provider?.[Symbol.asyncDispose]());

const open = (options: object = {}) => openPlugin(provider, { introspection: provider.introspection, ...options });
const count = (path: string) => provider.requests.filter((line) => line.endsWith(` ${path}`)).length;
const invalid = (message: RegExp) => ({ outcome: 'rejected', code: 'token_invalid', message: expect.stringMatching(message) });
const fault = (path: string, value: OidcFault) => void provider.faults.set(path, value);
const answered = (more: object) => ({
  json: { active: true, token_type: 'Bearer', sub: 'ann', client_id: 'towline', exp: Date.now() / 1_000 + 600, ...more },
});

describe('an opaque token', () => {
  it('is looked up, and the address is asked for once', async () => {
    await using plugin = await open({ scopes_claim: 'groups' });
    const { access_token } = await provider.login('ann');
    const before = [count(OIDC_PATHS.introspection), count(OIDC_PATHS.userinfo)];
    for (let turn = 0; turn < 3; turn += 1) {
      expect(await plugin.principal(access_token)).toMatchObject({
        id: `${provider.url}|ann`,
        email: ANN.email,
        scopes: [{ scope: 'org:acme', role: 'viewer' }],
        expiresAt: expect.closeTo(Date.now() + 3_600_000, -4),
      });
    }
    expect([count(OIDC_PATHS.introspection), count(OIDC_PATHS.userinfo)]).toEqual([before[0]! + 3, before[1]! + 1]);
    plugin.clock.shift += 601_000;
    await plugin.principal(access_token);
    expect(count(OIDC_PATHS.userinfo)).toBe(before[1]! + 2);
  });

  it('that is unknown or was revoked is left to others', async () => {
    await using plugin = await open();
    expect(await plugin.ask('no-such-token')).toEqual({ outcome: 'skipped' });
    const { access_token } = await provider.login('ann');
    await plugin.principal(access_token);
    await provider.revoke(access_token);
    expect(await plugin.ask(access_token)).toEqual({ outcome: 'skipped' });
  });

  it('is left to others, unasked, where no look-up is configured', async () => {
    await using plugin = await openPlugin(provider);
    const before = provider.requests.length;
    expect(await plugin.ask('some-opaque-token')).toEqual({ outcome: 'skipped' });
    expect(provider.requests.length).toBe(before);
  });

  it('of another client is refused', async () => {
    await using plugin = await open();
    const { access_token } = await provider.login('ann', { clientId: provider.otherClientId });
    expect(await plugin.ask(access_token)).toEqual(invalid(/neither audience nor client is one of towline/));
  });

  it('for an audience counts by that', async () => {
    await using plugin = await open({ audience: ['https://relay.example'] });
    const ours = await provider.login('ann', { resource: 'https://relay.example' });
    expect(await plugin.ask(ours.access_token)).toMatchObject({ outcome: 'accepted' });
    const theirs = await provider.login('ann', { resource: 'https://other.example' });
    expect(await plugin.ask(theirs.access_token)).toEqual(invalid(/made for others/));
  });

  it('that is a refresh token is refused', async () => {
    await using plugin = await open();
    const { refresh_token } = await provider.login('ann');
    expect(await plugin.ask(refresh_token!)).toEqual(invalid(/no access token, by what the provider says/));
  });

  it.each<[string, object, RegExp]>([
    ['by another issuer', { iss: 'https://evil.example' }, /issued by somebody else/],
    ['without end', { exp: undefined }, /nothing in exp/],
    ['without subject', { sub: undefined }, /subject/],
    ['not valid yet', { nbf: Date.now() / 1_000 + 600 }, /not valid yet/],
    ['bound to a key', { cnf: { jkt: 'x' } }, /bound to a key/],
    ['of type DPoP', { token_type: 'DPoP' }, /no access token/],
    ['for other audiences', { aud: ['a', 'b'] }, /made for others/],
  ])('looked up as %s is refused', async (_what, more, message) => {
    await using plugin = await open();
    fault(OIDC_PATHS.introspection, answered(more));
    expect(await plugin.ask('a-token')).toEqual(invalid(message));
  });

  it('that has ended by our clock is refused by its own code', async () => {
    await using plugin = await open();
    fault(OIDC_PATHS.introspection, answered({ exp: Date.now() / 1_000 - 1 }));
    expect(await plugin.ask('a-token')).toEqual({ outcome: 'rejected', code: 'token_expired' });
  });

  it.each<[string, OidcFault, RegExp]>([
    ['HTML', 'html', /text\/html/],
    ['an error', 'error', /status 500/],
    ['nothing', 'hang', /within 5 s/],
    ['without end', 'endless', /more than 65536 bytes/],
    ['a redirect', { redirect: 'https://127.0.0.1:1/' }, /not followed/],
    ['that the client is wrong', { json: {}, status: 401 }, /status 401; check client_id and secret/],
    ['active as a text', { json: { active: 'true' } }, /without saying whether the token is active/],
    ['a list', { json: [] }, /without saying whether/],
  ])('is refused for now when the provider answers %s', async (_what, value, reason) => {
    await using plugin = await open();
    fault(OIDC_PATHS.introspection, value);
    expect(await plugin.ask('a-token')).toMatchObject({ outcome: 'rejected', code: 'provider_unavailable' });
    expect(String(plugin.lines[0]?.fields.reason)).toMatch(reason);
    expect(JSON.stringify(plugin.lines)).not.toContain(provider.introspection.client_secret);
  });

  it('that the provider does not take for one is left to others', async () => {
    await using plugin = await open();
    fault(OIDC_PATHS.introspection, { json: {}, status: 400 });
    expect(await plugin.ask('a-token')).toEqual({ outcome: 'skipped' });
    expect(String(plugin.lines[0]?.fields.reason)).toMatch(/status 400/);
  });

  it('is refused for now when the secret is wrong', async () => {
    await using plugin = await open({ introspection: { ...provider.introspection, client_secret: 'wrong-secret-of-the-relay' } });
    expect(await plugin.ask('a-token')).toMatchObject({ code: 'provider_unavailable' });
    expect(JSON.stringify(plugin.lines)).not.toContain('wrong-secret-of-the-relay');
  });

  it('comes by the hundred without as many requests at once', async () => {
    await using plugin = await open();
    await plugin.ask('warm-up');
    fault(OIDC_PATHS.introspection, 'hang');
    const before = count(OIDC_PATHS.introspection);
    const asked = Array.from({ length: 200 }, (_none, number) => plugin.ask(`token-${number}`));
    expect((await Promise.all(asked)).every((outcome) => outcome.outcome === 'rejected' && outcome.code === 'provider_unavailable')).toBe(
      true,
    );
    expect(count(OIDC_PATHS.introspection) - before).toBeLessThanOrEqual(32);
    expect(plugin.lines.length).toBe(1);
  });

  it('is looked up with a secret from a file', async () => {
    const path = join(tmpdir(), `towline-oidc-secret-${process.pid}`);
    writeFileSync(path, `${provider.introspection.client_secret}\n`, { mode: 0o600 });
    await using plugin = await open({ introspection: { client_id: provider.introspection.client_id, client_secret_file: path } });
    expect(await plugin.ask((await provider.login('ann')).access_token)).toMatchObject({ outcome: 'accepted' });
    rmSync(path);
    await using other = await open({ introspection: { client_id: 'x', client_secret_file: '/no/such/file' } });
    await expect(other.auth.start!(AbortSignal.timeout(1_000))).rejects.toMatchObject({ code: 'config_invalid' });
  });
});

describe('userinfo', () => {
  it('about another person refuses the token', async () => {
    await using plugin = await open();
    fault(OIDC_PATHS.userinfo, { json: { sub: 'bob', email: 'bob@example.com', email_verified: true } });
    expect(await plugin.ask((await provider.login('ann')).access_token)).toEqual(invalid(/about another person/));
  });

  it.each<[string, OidcFault]>([
    ['HTML', 'html'],
    ['an error', 'error'],
    ['no object', { json: 'ann' }],
    ['that there are too many requests', { json: {}, status: 429 }],
  ])('that answers %s refuses for now, and takes nobody the address', async (_what, value) => {
    await using plugin = await open();
    const { access_token } = await provider.login('ann');
    fault(OIDC_PATHS.userinfo, value);
    expect(await plugin.ask(access_token)).toMatchObject({ code: 'provider_unavailable' });
    provider.faults.clear();
    plugin.clock.shift += 1_000;
    expect(await plugin.principal(access_token)).toMatchObject({ email: ANN.email });
  });

  it('that does not answer to this token leaves a person without address', async () => {
    await using plugin = await open({ audience: ['https://relay.example'] });
    const { access_token } = await provider.login('ann', { resource: 'https://relay.example' });
    const principal = await plugin.principal(access_token);
    expect(principal).toMatchObject({ emailNote: 'The identity provider names no e-mail address.' });
  });

  it('does not lend its word to the address of the token', async () => {
    await using plugin = await open();
    fault(OIDC_PATHS.introspection, answered({ email: 'root@example.com' }));
    fault(OIDC_PATHS.userinfo, { json: { sub: 'ann', email_verified: true } });
    expect(await plugin.principal('a-token')).not.toHaveProperty('email');
  });
});

describe('the way to the provider', () => {
  it('goes through the proxy of HTTPS_PROXY unless NO_PROXY names it', async () => {
    const targets: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request: IncomingMessage, socket) => {
      targets.push(request.url ?? '');
      const onward = connect(provider.port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      onward.on('error', () => socket.destroy());
      socket.on('error', () => onward.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    const { access_token } = await provider.login('ann');
    await using through = await open();
    expect(await through.ask(access_token)).toMatchObject({ outcome: 'accepted' });
    expect(new Set(targets)).toEqual(new Set([`127.0.0.1:${provider.port}`]));
    vi.stubEnv('NO_PROXY', '127.0.0.1');
    const before = targets.length;
    await using around = await open();
    expect(await around.ask(access_token)).toMatchObject({ outcome: 'accepted' });
    expect(targets.length).toBe(before);
    proxy.closeAllConnections();
    proxy.close();
  });

  it('is trusted by SSL_CERT_FILE as links are', async () => {
    const path = join(tmpdir(), `towline-oidc-roots-${process.pid}.pem`);
    writeFileSync(path, provider.caPem);
    const { access_token } = await provider.login('ann');
    await using without = await open({ ca_file: undefined });
    expect(await without.ask(access_token)).toMatchObject({ code: 'provider_unavailable' });
    vi.stubEnv('SSL_CERT_FILE', path);
    await using by = await open({ ca_file: undefined });
    expect(await by.ask(access_token)).toMatchObject({ outcome: 'accepted' });
    rmSync(path);
  });
});
