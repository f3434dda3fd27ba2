import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { CompactEncrypt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startOidcProvider, type TestOidcProvider } from '../../../test/support/oidc-provider.ts';
import { forge, type OpenPlugin, openPlugin, part, rsaKeyOf } from './oidc-set-up.ts';

let provider: TestOidcProvider;
let plugin: OpenPlugin;
let good: { readonly header: Record<string, unknown>; readonly payload: Record<string, unknown> };

beforeAll(async () => {
  provider = await startOidcProvider({ accounts: [{ sub: 'ann', email: 'ann@example.com', email_verified: true }] });
  plugin = await openPlugin(provider);
  const now = Math.floor(Date.now() / 1_000);
  const claims = { sub: 'ann', email: 'ann@example.com', email_verified: true };
  good = {
    header: { alg: 'RS256', typ: 'at+jwt', kid: rsaKeyOf(provider).kid },
    payload: { iss: provider.url, aud: 'towline', ...claims, client_id: 'towline', scope: 'openid', iat: now, exp: now + 600 },
  };
});
afterAll(async () => {
  await plugin?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

/** Signed with the provider's own key; only what is given differs from a good token. */
const signed = (header: object = {}, payload: object = {}) =>
  forge(rsaKeyOf(provider).key, { ...good.header, ...header }, { ...good.payload, ...payload });
/** The JSON of a value with a text put behind its first brace. */
const withFirst = (value: object, text: string) => `{${text},${JSON.stringify(value).slice(1)}`;
const publicPem = () => createPublicKey(rsaKeyOf(provider).key).export({ type: 'spki', format: 'pem' });
const hmac = (key: string | Buffer) => {
  const input = `${part({ ...good.header, alg: 'HS256' })}.${part(good.payload)}`;
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
};
const unsigned = (alg: string) => `${part({ ...good.header, alg })}.${part(good.payload)}.`;
const seconds = (offset: number) => Math.floor(Date.now() / 1_000) + offset;
const cut = (token: string, at: number) => token.split('.')[at]!;

describe('a good token', () => {
  it.each([
    ['as the forged ones below would be if they were not', () => signed()],
    ['of the type JWT', () => signed({ typ: 'JWT' })],
    ['of the type application/at+jwt', () => signed({ typ: 'application/AT+JWT' })],
    ['of no type', () => signed({ typ: undefined })],
    ['with its audience in a list', () => signed({}, { aud: ['others', 'towline'] })],
    ['that is valid since a moment ago by a clock that is a little ahead', () => signed({}, { nbf: seconds(20), iat: seconds(20) })],
    ['with a claim that has the name of something within', () => signed({}, { outcome: 'rejected', claims: {}, code: 'internal' })],
    ['with equal names in different objects', () => signed({}, { a: { b: 1, c: { b: 2 } }, d: [{ b: 1 }, { b: '"b":' }] })],
  ])('%s is accepted', async (_what, make) => {
    expect(await plugin.principal(make())).toMatchObject({ id: `${provider.url}|ann`, email: 'ann@example.com', admin: false });
  });
});

describe('a forged token', () => {
  const other = generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey;
  const ps512 = () => {
    const input = `${part({ ...good.header, alg: 'PS512' })}.${part(good.payload)}`;
    const options = { key: rsaKeyOf(provider).key, padding: 6, saltLength: 64 };
    return `${input}.${sign('sha512', Buffer.from(input), options).toString('base64url')}`;
  };
  const forged: readonly (readonly [what: string, make: () => string | Promise<string>, message: RegExp])[] = [
    ['without signature (none)', () => unsigned('none'), /another algorithm than RS256, PS256, ES256, EdDSA/],
    ['with an algorithm named nOnE', () => unsigned('nOnE'), /another algorithm/],
    ['HS256 with the public key as secret', () => hmac(String(publicPem())), /another algorithm/],
    ['HS256 with an empty secret', () => hmac(''), /another algorithm/],
    ['signed by PS512, which is not allowed', ps512, /another algorithm/],
    ['without algorithm', () => signed({ alg: undefined }), /is damaged|another algorithm/],
    ['with an algorithm of another kind than its key', () => signed({ alg: 'ES256' }), /a key that the provider does not publish/],
    ['with an empty signature', () => unsigned('RS256'), /not by the provider/],
    ['with a truncated signature', () => signed().slice(0, -40), /not by the provider/],
    ['truncated to two parts', () => signed().split('.').slice(0, 2).join('.'), /has 2 parts/],
    ['with a dot too many', () => `${signed()}.`, /has 4 parts/],
    ['with many dots', () => `${signed()}${'.x'.repeat(50)}`, /too many parts/],
    ['signed with another key under the known id', () => forge(other, good.header, good.payload), /not by the provider/],
    ['signed with another key under its own id', () => forge(other, { ...good.header, kid: 'mine' }, good.payload), /does not publish/],
    [
      'bringing its key along (jwk)',
      () => forge(other, { ...good.header, jwk: createPublicKey(other).export({ format: 'jwk' }) }, good.payload),
      /not by the provider/,
    ],
    [
      'naming where its key is (jku)',
      () => forge(other, { ...good.header, jku: 'https://127.0.0.1:1/jwks', x5u: 'https://127.0.0.1:1' }, good.payload),
      /not by the provider/,
    ],
    [
      'with the claims of another under the signature',
      () => [cut(signed(), 0), part({ ...good.payload, sub: 'bob' }), cut(signed(), 2)].join('.'),
      /not by the provider/,
    ],
    ['for another audience', () => signed({}, { aud: 'another-app' }), /made for others: aud is none of towline/],
    ['for a list of other audiences', () => signed({}, { aud: ['a', 'towline2', 'Towline'] }), /made for others/],
    ['for no audience', () => signed({}, { aud: undefined }), /says nothing in aud/],
    ['for an audience that is an object', () => signed({}, { aud: { towline: true } }), /made for others/],
    ['not valid yet', () => signed({}, { nbf: seconds(300) }), /not valid yet \(nbf\); compare the clocks/],
    ['made in the future', () => signed({}, { iat: seconds(300) }), /made in the future \(iat\); compare the clocks/],
    ['that never ends', () => signed({}, { exp: undefined }), /says nothing in exp/],
    ['that ends at a text', () => signed({}, { exp: '9999999999' }), /exp that is not a time/],
    ['that ends after all time', () => signed({}, { exp: 1e300 }), /nothing in exp that is a time/],
    ['of nobody', () => signed({}, { sub: undefined }), /says nothing in sub/],
    ['of an empty subject', () => signed({}, { sub: '' }), /subject \(sub\)/],
    ['of a subject that is a number', () => signed({}, { sub: 7 }), /subject \(sub\)/],
    ['of a subject with a line break', () => signed({}, { sub: 'ann\nroot' }), /subject \(sub\)/],
    ['of a subject that is too long', () => signed({}, { sub: 'a'.repeat(256) }), /subject \(sub\)/],
    ['of another type', () => signed({ typ: 'logout+jwt' }), /another type \(typ\)/],
    ['of a type that is a number', () => signed({ typ: 1 }), /another type \(typ\)/],
    ['with a critical extension', () => signed({ crit: ['exp'], exp: 1 }), /critical extension/],
    ['with an unencoded payload (b64)', () => signed({ b64: false, crit: ['b64'] }), /critical extension/],
    ['with b64 alone', () => signed({ b64: false }), /critical extension/],
    ['with a claim twice', () => forge(rsaKeyOf(provider).key, good.header, withFirst(good.payload, '"sub":"bob"')), /names a claim twice/],
    [
      'with a claim twice, once escaped',
      () => forge(rsaKeyOf(provider).key, good.header, withFirst(good.payload, '"s\\u0075b":"bob"')),
      /names a claim twice/,
    ],
    [
      'with a claim twice further down',
      () =>
        signed({}, {}).replace(/.*/, () =>
          forge(rsaKeyOf(provider).key, good.header, withFirst(good.payload, '"x":[{"y":{"a":1,"a":2}}]')),
        ),
      /names a claim twice/,
    ],
    [
      'with a member of the header twice',
      () => forge(rsaKeyOf(provider).key, withFirst(good.header, '"alg":"none"'), good.payload),
      /member of its header twice/,
    ],
    ['with a path as key id', () => signed({ kid: '../../../../dev/null' }), /does not publish/],
    ['with a query as key id', () => signed({ kid: "x' OR 1=1 --" }), /does not publish/],
    ['with a control character in its key id', () => signed({ kid: 'a\u0000b' }), /key id \(kid\)/],
    ['with a key id of 201 characters', () => signed({ kid: 'k'.repeat(201) }), /key id \(kid\)/],
    ['with a key id that is a list', () => signed({ kid: ['a'] }), /key id \(kid\)/],
    ['with a header that is not JSON', () => [part('{alg:RS256'), cut(signed(), 1), cut(signed(), 2)].join('.'), /header that is not JSON/],
    ['encrypted and signed at once', () => signed({ enc: 'A256GCM' }), /encrypted and signed at once/],
    [
      'encrypted (JWE)',
      () =>
        new CompactEncrypt(Buffer.from(JSON.stringify(good.payload)))
          .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
          .encrypt(Buffer.alloc(32)),
      /is encrypted/,
    ],
    ['of 20,000 characters', () => signed({}, { pad: 'x'.repeat(20_000) }), /longer than 16,384 characters/],
    ['of a megabyte', () => signed({}, { pad: 'x'.repeat(1_000_000) }), /longer than 16,384 characters/],
    ['bound to a key of its holder', () => signed({}, { cnf: { jkt: 'x' } }), /bound to a key \(cnf\)/],
    ['that is an ID token by its hash', () => signed({ typ: 'JWT' }, { at_hash: 'x' }), /no access token/],
    ['that is an ID token by its nonce', () => signed({ typ: undefined }, { nonce: 'x' }), /no access token/],
    ['that shows in nothing what it is', () => signed({ typ: 'JWT' }, { client_id: undefined, scope: undefined }), /no access token/],
    ['that says it is an ID token', () => signed({ typ: undefined }, { token_use: 'id' }), /no access token/],
    ['that says it is a refresh token', () => signed({ typ: 'JWT' }, { typ: 'Refresh' }), /no access token/],
  ];

  it.each(forged)('%s is refused with a message that says so', async (_what, make, message) => {
    const token = await make();
    const outcome = await plugin.ask(token);
    expect(outcome).toEqual({ outcome: 'rejected', code: 'token_invalid', message: expect.stringMatching(message) });
    const text = JSON.stringify([outcome, plugin.lines]);
    for (const piece of token.split('.').filter(({ length }) => length > 20)) expect(text).not.toContain(piece.slice(0, 20));
    expect(await plugin.ask(signed())).toMatchObject({ outcome: 'accepted' });
  });

  it.each([
    ['a second ago', -1],
    ['within the leeway', -29],
    ['a day ago', -86_400],
  ])('that expired %s is refused by its own code', async (_what, offset) => {
    expect(await plugin.ask(signed({}, { exp: seconds(offset), iat: seconds(-90_000) }))).toEqual({
      outcome: 'rejected',
      code: 'token_expired',
    });
  });

  it('of another issuer is left to others, also with our name beside it', async () => {
    const foreign = [`${provider.url}/`, `${provider.url}.evil.example`, provider.url.toUpperCase(), [provider.url], undefined, ''];
    for (const iss of foreign) expect(await plugin.ask(signed({}, { iss }))).toEqual({ outcome: 'skipped' });
  });

  it.each([
    '',
    '.',
    '..',
    '...',
    'a.b.c',
    'twl_u_0123',
    'not a token',
    'ünïcode',
    'opaque-token',
    `a${'.'.repeat(100_000)}`,
    'x'.repeat(1_000_000),
  ])('in no form of ours is left to others: %#', async (token) => {
    expect(await plugin.ask(token)).toEqual({ outcome: 'skipped' });
  });

  it('in another scheme is left to others', async () => {
    const { auth } = plugin;
    const signal = AbortSignal.timeout(1_000);
    expect(await auth.authenticate({ scheme: 'api_key', key: signed() }, signal)).toEqual({ outcome: 'skipped' });
    expect(await auth.authenticate({ scheme: 'basic', username: 'a', password: signed() }, signal)).toEqual({ outcome: 'skipped' });
  });

  it('makes the relay ask for keys once in half a minute, however many come', async () => {
    const asked = () => provider.requests.filter((line) => line === 'GET /jwks').length;
    const before = asked();
    await Promise.all(
      Array.from({ length: 200 }, (_none, number) => plugin.ask(forge(other, { ...good.header, kid: `k${number}` }, good.payload))),
    );
    expect(asked() - before).toBeLessThanOrEqual(1);
  });

  it('of the provider itself, but an ID token, is refused', async () => {
    const { id_token, access_token } = await provider.login('ann');
    expect(await plugin.ask(id_token!)).toMatchObject({ code: 'token_invalid', message: expect.stringContaining('no access token') });
    expect(await plugin.ask(access_token)).toMatchObject({ outcome: 'accepted' });
  });
});
