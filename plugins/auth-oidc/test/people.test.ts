import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OidcAccount, startOidcProvider, type TestOidcProvider } from '../../../test/support/oidc-provider.ts';
import { openPlugin } from './oidc-set-up.ts';

let provider: TestOidcProvider;
beforeAll(async () => {
  provider = await startOidcProvider();
});
afterAll(() => provider?.[Symbol.asyncDispose]());

/** Who the plugin takes a person for who logs in at the provider; and what it logged. */
async function logIn(account: Partial<OidcAccount>, options: object = {}) {
  provider.accounts.set('ann', { sub: 'ann', ...account });
  await using plugin = await openPlugin(provider, options);
  return { principal: await plugin.principal((await provider.login('ann')).access_token), lines: plugin.lines };
}

describe('a person', () => {
  it('is known by issuer and subject, and ends with the token', async () => {
    const { principal } = await logIn({ email: 'Ann@Example.COM', email_verified: true });
    expect(principal).toEqual({
      kind: 'user',
      id: `${provider.url}|ann`,
      label: 'ann@example.com',
      email: 'ann@example.com',
      scopes: [],
      admin: false,
      provider: 'oidc',
      expiresAt: expect.closeTo(Date.now() + 3_600_000, -4),
    });
  });

  it('stays the same with another address, which counts from the next token on', async () => {
    const before = await logIn({ email: 'ann@example.com', email_verified: true });
    const after = await logIn({ email: 'ann@other.example', email_verified: true });
    expect(after.principal).toMatchObject({ id: before.principal.id, email: 'ann@other.example' });
    const lost = await logIn({ email: 'ann@other.example', email_verified: false });
    expect(lost.principal).toMatchObject({ id: before.principal.id });
    expect(lost.principal).not.toHaveProperty('email');
  });

  it('is no admin of the relay, whatever the token says', async () => {
    const claims = { admin: true, is_admin: 'true', role: 'admin', roles: ['admin'], scopes: ['org:acme:admin'] };
    expect((await logIn({ claims })).principal).toMatchObject({ admin: false, scopes: [] });
  });

  it.each([
    ['the name chosen', { preferred_username: 'annie', name: 'Ann Example' }, 'annie'],
    ['the name, where the one chosen reads as an address', { preferred_username: 'root@example.com', name: 'Ann' }, 'Ann'],
    ['the subject, where all names read as addresses', { preferred_username: 'a@b.c', name: 'x@y.z' }, 'ann'],
    ['no control and no turning characters', { name: '\u001b[31m\u202eAnn\u0000\u2028' }, '[31mAnn'],
    ['at most 320 characters', { name: 'a'.repeat(400) }, 'a'.repeat(320)],
  ])('without verified address is shown by %s', async (_what, claims, label) => {
    const { principal } = await logIn({ claims });
    expect(principal.label).toBe(label);
  });
});

describe('an e-mail address', () => {
  const example = { email_domains: ['example.com', 'bücher.example'] };
  it.each<[string, Partial<OidcAccount>, object, string]>([
    ['that is verified', { email: 'ann@example.com', email_verified: true }, {}, 'ann@example.com'],
    ['that is verified by the word', { email: 'ann@example.com', email_verified: 'true' }, {}, 'ann@example.com'],
    ['of an allowed domain', { email: 'ann@EXAMPLE.com', email_verified: true }, example, 'ann@example.com'],
    ['of an allowed domain in Unicode', { email: 'ann@bücher.example', email_verified: true }, example, 'ann@bücher.example'],
    [
      'of an allowed domain in its ASCII form',
      { email: 'ann@xn--bcher-kva.example', email_verified: true },
      example,
      'ann@xn--bcher-kva.example',
    ],
  ])('%s counts', async (_what, account, options, email) => {
    expect((await logIn(account, options)).principal).toMatchObject({ email, label: email });
  });

  it.each<[string, Partial<OidcAccount>, object, RegExp]>([
    [
      'that is not verified',
      { email: 'ann@example.com', email_verified: false },
      {},
      /has not verified the e-mail address ann@example.com/,
    ],
    ['of which nothing is said', { email: 'ann@example.com' }, {}, /has not verified/],
    ['verified by another word', { email: 'ann@example.com', email_verified: 'yes' }, {}, /has not verified/],
    ['that is missing', {}, {}, /names no e-mail address/],
    ['that is empty', { email: '', email_verified: true }, {}, /names no e-mail address/],
    ['that is none', { email: 'ann', email_verified: true }, {}, /something that is no e-mail address/],
    ['that is two', { email: 'ann@example.com, bob@example.com', email_verified: true }, {}, /something that is no e-mail address/],
    ['that is a list', { claims: { email: ['ann@example.com'], email_verified: true } }, {}, /something that is no e-mail address/],
    ['of another domain', { email: 'ann@example.org', email_verified: true }, example, /not of a domain that this relay takes/],
    ['of a domain below', { email: 'ann@mail.example.com', email_verified: true }, example, /not of a domain/],
    ['of a domain that ends alike', { email: 'ann@badexample.com', email_verified: true }, example, /not of a domain/],
    ['of a domain with a dot behind', { email: 'ann@example.com.', email_verified: true }, example, /not of a domain/],
    ['with a Cyrillic letter in its domain', { email: 'ann@exаmple.com', email_verified: true }, example, /not of a domain/],
    ['with full-width letters in its domain', { email: 'ann@ｅxample.com', email_verified: true }, example, /not of a domain/],
    ['with an ideographic full stop', { email: 'ann@example。com', email_verified: true }, example, /not of a domain/],
    ['with a Kelvin sign for a k', { email: 'mi\u212ae@example.com', email_verified: true }, example, /look like those of another/],
    [
      'with a Kelvin sign for a k, all domains allowed',
      { email: 'mi\u212ae@example.com', email_verified: true },
      {},
      /look like those of another/,
    ],
    ['with a dotted capital I', { email: 'm\u0130ke@example.com', email_verified: true }, {}, /look like those of another/],
  ])('%s does not count, and it is said why', async (_what, account, options, note) => {
    const { principal } = await logIn(account, options);
    expect(principal).not.toHaveProperty('email');
    expect(principal.emailNote).toMatch(note);
    expect(principal.label).toBe('ann');
  });
});

describe('scopes from claims', () => {
  const named = { scopes_claim: 'groups', roles_claim: 'level' };
  it.each<[string, Record<string, unknown>, object, readonly string[]]>([
    ['nothing where none is configured', { groups: ['org:acme:admin'] }, {}, []],
    ['the least role where none is said', { groups: ['org:acme'] }, { scopes_claim: 'groups' }, ['org:acme viewer']],
    ['a role of their own', { groups: ['org:acme:operator', 'org:lab'], level: 'admin' }, named, ['org:acme operator', 'org:lab admin']],
    ['the strongest of several roles', { groups: ['org:acme'], level: ['viewer', 'admin', 'operator'] }, named, ['org:acme admin']],
    ['the strongest of one named twice', { groups: ['org:acme:admin', 'org:acme', 'org:acme:operator'] }, named, ['org:acme admin']],
    ['a text with spaces', { groups: 'org:acme  org:lab:admin' }, named, ['org:acme viewer', 'org:lab admin']],
    ['a path', { realm: { groups: ['org:acme:admin'] } }, { scopes_claim: 'realm.groups' }, ['org:acme admin']],
    ['a name with dots before a path', { 'a.b': ['org:acme'], a: { b: ['org:lab'] } }, { scopes_claim: 'a.b' }, ['org:acme viewer']],
    ['nothing of an inherited member', {}, { scopes_claim: 'constructor.name' }, []],
  ])('give %s', async (_what, claims, options, expected) => {
    const { principal, lines } = await logIn({ claims, email: 'ann@example.com', email_verified: true }, options);
    expect(principal.scopes.map(({ scope, role }) => `${scope} ${role}`)).toEqual(expected);
    expect(lines).toEqual([]);
  });

  it('give nothing for values that mean nothing, and for scopes of people, with one warning each', async () => {
    const bad = [
      'user:bob@example.com',
      'user:bob@example.com:admin',
      'org:',
      'org:A',
      'org:acme:owner',
      'org:acme:admin:x',
      'ops\u001b[2J',
      7,
      null,
      { org: 'acme' },
    ];
    provider.accounts.set('ann', {
      sub: 'ann',
      email: 'ann@example.com',
      email_verified: true,
      claims: { groups: [...bad, 'org:lab'], level: ['root'] },
    });
    await using plugin = await openPlugin(provider, named);
    for (let turn = 0; turn < 3; turn += 1) {
      expect((await plugin.principal((await provider.login('ann')).access_token)).scopes).toEqual([{ scope: 'org:lab', role: 'viewer' }]);
    }
    const shown = plugin.lines.map(({ fields }) => `${fields.claim}=${fields.value}`);
    expect(shown).toContain('groups=user:bob@example.com');
    expect(shown).toContain('groups=ops\\u{1b}[2J');
    expect(shown).toContain('level=root');
    expect(new Set(shown).size).toBe(shown.length);
    expect(shown.length).toBeLessThanOrEqual(10);
  });
});
