import { isPlugin } from '@towline/contract';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startOidcProvider } from '../../../test/support/oidc-provider.ts';
import { plugin } from '../src/index.ts';
import { faultsOf, openPlugin } from './oidc-set-up.ts';

const LEAST = { issuer: 'https://id.example.com', client_id: 'towline' };

describe('the plugin', () => {
  it('is of kind auth, named oidc, and its options have a JSON Schema', () => {
    expect(isPlugin(plugin)).toBe(true);
    expect(plugin).toMatchObject({ kind: 'auth', name: 'oidc', needs: ['baseDir'] });
    const schema = z.toJSONSchema(plugin.options as unknown as z.ZodType, { io: 'input', unrepresentable: 'any' });
    expect(schema).toMatchObject({ additionalProperties: false, required: ['issuer', 'client_id'] });
  });

  it('tells how to log in, and for which domains it vouches', async () => {
    const at = { url: 'https://id.example.com/realms/a', caPem: '', clientId: 'towline' };
    const scopes = ['openid', 'offline_access', 'email', 'profile'];
    await using least = await openPlugin(at);
    expect(least.auth.loginMethod).toEqual({
      method: 'device_flow',
      label: 'id.example.com',
      issuer: at.url,
      client_id: 'towline',
      scopes,
    });
    expect(least.auth.emailDomains).toBe('any');
    await using more = await openPlugin(at, {
      label: 'Acme',
      audience: 'https://relay',
      scopes: ['openid', 'x'],
      email_domains: ['Example.COM', '@bücher.example'],
    });
    expect(more.auth.loginMethod).toMatchObject({ label: 'Acme', audience: 'https://relay', scopes: ['openid', 'x'] });
    expect(more.auth.emailDomains).toEqual(['example.com', 'xn--bcher-kva.example']);
    await using both = await openPlugin(at, { audience: ['https://relay', 'towline'] });
    expect(both.auth.loginMethod).not.toHaveProperty('audience');
  });

  it('does not start with a CA file that cannot be used', async () => {
    const at = { url: 'https://id.example.com', caPem: 'no certificate', clientId: 'towline' };
    await using damaged = await openPlugin(at);
    await expect(damaged.auth.start!(AbortSignal.timeout(1_000))).rejects.toMatchObject({ code: 'config_invalid' });
    await using missing = await openPlugin(at, { ca_file: 'missing.pem' });
    await expect(missing.auth.start!(AbortSignal.timeout(1_000))).rejects.toMatchObject({
      message: expect.stringContaining('ca_file names missing.pem'),
    });
  });
});

describe('options', () => {
  it.each<[string, object]>([
    ['the least', {}],
    ['plain HTTP on this machine', { issuer: 'http://127.0.0.1:3000' }],
    ['an issuer with a slash at its end', { issuer: 'https://acme.example.com/' }],
    ['a leeway in seconds', { clock_leeway: 60 }],
    ['a leeway as duration', { clock_leeway: '5m' }],
    ['fewer algorithms', { algorithms: ['ES256'] }],
  ])('with %s are taken', async (_what, more) => {
    expect(await faultsOf({ ...LEAST, ...more })).toBeUndefined();
  });

  it.each<[string, object, RegExp]>([
    ['no issuer', { issuer: undefined }, /issuer/],
    ['plain HTTP', { issuer: 'http://id.example.com' }, /issuer: expected the https:\/\/ URL/],
    ['a name that begins as this machine', { issuer: 'http://localhost.evil.example' }, /issuer: expected the https/],
    ['an issuer with a query', { issuer: 'https://id.example.com/?a=b' }, /issuer: expected the https/],
    ['an issuer with a bar', { issuer: 'https://id.example.com/a|b' }, /issuer: expected the https/],
    ['an issuer with a password', { issuer: 'https://u:p@id.example.com' }, /issuer: expected the https/],
    ['an issuer that is no URL', { issuer: 'id.example.com' }, /issuer: expected the https/],
    ['an algorithm with a shared secret', { algorithms: ['HS256'] }, /algorithms/],
    ['no signature', { algorithms: ['none'] }, /algorithms/],
    ['no algorithm', { algorithms: [] }, /algorithms/],
    ['scopes without openid', { scopes: ['email'] }, /expected openid among the scopes/],
    ['too much leeway', { clock_leeway: '6m' }, /clock_leeway: expected at most 5m/],
    ['a leeway of hours', { clock_leeway: '1h' }, /expected seconds as a number, or a duration/],
    ['a negative leeway', { clock_leeway: -1 }, /clock_leeway/],
    ['a domain that is none', { email_domains: ['*.example.com'] }, /expected a domain such as example.com/],
    ['no domain', { email_domains: [] }, /email_domains/],
    ['no audience', { audience: [] }, /audience/],
    [
      'two secrets',
      { introspection: { client_id: 'a', client_secret: 'b', client_secret_file: 'c' } },
      /either client_secret or client_secret_file/,
    ],
    ['no secret', { introspection: { client_id: 'a' } }, /either client_secret or client_secret_file/],
    ['an unknown key', { client_secret: 'x' }, /client_secret/],
  ])('with %s are refused', async (_what, more, fault) => {
    expect((await faultsOf({ ...LEAST, ...more }))?.join('\n')).toMatch(fault);
  });
});

describe('algorithms, side by side', () => {
  it('of every allowed kind are verified, and providers leave the tokens of others alone', async () => {
    const account = { sub: 'ann', email: 'ann@example.com', email_verified: true };
    for (const algorithm of ['RS256', 'PS256', 'ES256', 'EdDSA'] as const) {
      await using provider = await startOidcProvider({ algorithm, accounts: [account], host: 'localhost', audience: ['towline', 'more'] });
      await using plugin = await openPlugin(provider);
      await using other = await openPlugin({ ...provider, url: 'https://127.0.0.1:1' });
      await using narrow = await openPlugin(provider, { algorithms: [algorithm === 'ES256' ? 'EdDSA' : 'ES256'] });
      const { access_token } = await provider.login('ann');
      expect(await plugin.principal(access_token)).toMatchObject({ id: `${provider.url}|ann` });
      expect(await other.ask(access_token)).toEqual({ outcome: 'skipped' });
      expect(await narrow.ask(access_token)).toMatchObject({
        code: 'token_invalid',
        message: expect.stringContaining('another algorithm'),
      });
    }
  });
});
