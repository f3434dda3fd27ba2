import {
  type AuthOutcome,
  type AuthProvider,
  type Credential,
  type Principal,
  type Role,
  type Store,
  TowlineError,
} from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { OrgId, Scope } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthenticator } from '../src/access/authenticate.ts';
import { requireOwnDomains } from '../src/access/email-domains.ts';
import { adminSet } from '../src/access/settle.ts';
import { createKeptLog, openStoreHere, type StoreHere, withFault } from './store-here.ts';

let here: StoreHere;
beforeAll(async () => {
  here = await openStoreHere();
});
afterAll(() => here[Symbol.asyncDispose]());

const clock = { now: Date.now };
const signal = AbortSignal.timeout(60_000);
const scopeRole = (scope: string, role: Role) => ({ scope: scope as Scope, role });
const principalOf = (email: string, parts: Partial<Principal> = {}): Principal => ({
  ...{ kind: 'user', id: `idp|${email}`, label: email, email, scopes: [], admin: false, provider: 'test' },
  ...parts,
});
/** A provider that answers tokens that begin with its name, and asks for no others. */
const provider = (name: string, answer: (token: string) => AuthOutcome | Promise<AuthOutcome>) => {
  const asked: string[] = [];
  const made: AuthProvider = {
    async authenticate(credential: Credential) {
      const token = credential.scheme === 'bearer' ? credential.token : '';
      asked.push(token);
      return token.startsWith(name) ? answer(token) : { outcome: 'skipped' };
    },
  };
  return { name, provider: made, asked };
};
const chain = (
  providers: readonly { name: string; provider: AuthProvider }[],
  store: Store = here.store,
  admins: readonly string[] = [],
) => {
  const log = createKeptLog();
  const authenticator = createAuthenticator(providers, { store, admins: adminSet(admins), clock, log });
  return { log, authenticate: (token: string) => authenticator.authenticate({ authorization: `Bearer ${token}` }, signal) };
};
const accepting = (principal: Principal) => provider('a', () => ({ outcome: 'accepted', principal }));

describe('the chain', () => {
  it('asks in order, ends at the first that knows the credential, and asks nobody after a rejection', async () => {
    const first = provider('first', () => ({ outcome: 'rejected', code: 'token_expired', message: 'Too late.' }));
    const second = provider('second', () => ({ outcome: 'accepted', principal: principalOf('sec@example.com') }));
    const { authenticate } = chain([first, second]);
    await expect(authenticate('first-token')).rejects.toMatchObject({ code: 'token_expired', message: 'Too late.' });
    expect(second.asked).toEqual([]);
    expect((await authenticate('second-token')).principal.id).toBe('idp|sec@example.com');
    expect(first.asked).toEqual(['first-token', 'second-token']);
    await expect(authenticate('third-token')).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('is not led on to the next provider by one that is broken', async () => {
    const broken = provider('', () => {
      throw new TowlineError('provider_unavailable');
    });
    const next = accepting(principalOf('next@example.com'));
    await expect(chain([broken, next]).authenticate('a')).rejects.toMatchObject({ code: 'provider_unavailable' });
    expect(next.asked).toEqual([]);
  });
});

describe('a principal', () => {
  it('is given as claimed and as it counts: own scope, memberships, nothing of deleted organisations', async () => {
    const { organisations } = here.store;
    const org = { createdAt: 1, createdBy: 'test', revision: 1 };
    for (const id of ['here', 'gone']) await organisations.insert({ ...org, id: id as OrgId, name: id });
    await organisations.setMember(
      { org: 'here' as OrgId, email: 'ann@example.com', role: 'operator', addedAt: 1, addedBy: 'test' },
      SYSTEM_SCOPE,
    );
    await organisations.delete('gone' as OrgId, { at: 1, code: 'org_deleted', message: 'Deleted.' }, SYSTEM_SCOPE);
    const claimed = principalOf('ann@example.com', { scopes: [scopeRole('org:gone', 'admin'), scopeRole('org:other', 'viewer')] });
    const answer = await chain([accepting(claimed)]).authenticate('a');
    expect(answer.claimed).toEqual(claimed);
    expect(answer.principal.scopes.toSorted((a, b) => (a.scope < b.scope ? -1 : 1))).toEqual([
      scopeRole('org:here', 'operator'),
      scopeRole('org:other', 'viewer'),
      scopeRole('user:ann@example.com', 'admin'),
    ]);
  });

  it('with an address of admin_emails is a platform admin, without a limit only, and never without an address', async () => {
    const admin = async (parts: Partial<Principal>) => {
      const { authenticate } = chain([accepting(principalOf('Root@example.com'.toLowerCase(), parts))], here.store, ['Root@Example.com']);
      return (await authenticate('a')).principal.admin;
    };
    expect(await admin({})).toBe(true);
    expect(await admin({ streams: ['exec'] })).toBe(false);
    expect(await admin({ devices: [] })).toBe(false);
    const { email: _email, ...unverified } = principalOf('root@example.com', { id: 'idp|unverified' });
    expect((await chain([accepting(unverified)], here.store, ['root@example.com']).authenticate('a')).principal.admin).toBe(false);
  });

  it('who is disabled is refused, whatever the provider says', async () => {
    const { authenticate } = chain([accepting(principalOf('dis@example.com'))]);
    await authenticate('a');
    await here.store.users.disable('idp|dis@example.com', 'test', { at: 1, code: 'user_disabled', message: 'Disabled.' });
    await expect(authenticate('a')).rejects.toMatchObject({ code: 'user_disabled' });
  });

  it('that has expired is refused with what expired', async () => {
    const at = Date.now() - 1;
    const codeOf = (parts: Partial<Principal>) =>
      chain([accepting(principalOf('exp@example.com', { expiresAt: at, ...parts }))])
        .authenticate('a')
        .catch((error: TowlineError) => error.code);
    const keyId = '0123456789abcdef' as NonNullable<Principal['keyId']>;
    expect(await codeOf({})).toBe('token_expired');
    expect(await codeOf({ keyId })).toBe('key_expired');
    expect(await codeOf({ keyId, derived: true })).toBe('token_expired');
  });
});

describe('a login', () => {
  it('of a new user is on record when it is answered; a change of address is taken over', async () => {
    const { authenticate } = chain([accepting(principalOf('new@example.com'))]);
    await authenticate('a');
    expect(await here.store.users.get('idp|new@example.com')).toMatchObject({ email: 'new@example.com', provider: 'test' });
    const moved = principalOf('moved@example.com', { id: 'idp|new@example.com' });
    const { principal } = await chain([accepting(moved)]).authenticate('a');
    expect(principal.scopes).toEqual([scopeRole('user:moved@example.com', 'admin')]);
    await expect.poll(async () => (await here.store.users.get('idp|new@example.com'))?.email).toBe('moved@example.com');
  });

  it('of a new user fails when it cannot be noted; of a known one it goes on, and the log has it', async () => {
    const failing = withFault(here.store, 'users', 'note', () => {
      throw new TowlineError('store_failed');
    });
    await expect(chain([accepting(principalOf('never@example.com'))], failing).authenticate('a')).rejects.toMatchObject({
      code: 'store_failed',
    });
    await chain([accepting(principalOf('known@example.com'))]).authenticate('a');
    const { authenticate, log } = chain([accepting(principalOf('known@example.com', { label: 'another label' }))], failing);
    expect((await authenticate('a')).principal.label).toBe('another label');
    await expect.poll(() => log.lines).toEqual(['a login could not be noted']);
  });

  it('is not noted again within a minute', async () => {
    let notes = 0;
    const counting = withFault(here.store, 'users', 'note', () => {
      notes += 1;
    });
    const { authenticate } = chain([accepting(principalOf('often@example.com'))], counting);
    for (let round = 0; round < 5; round += 1) await authenticate('a');
    expect(notes).toBe(1);
  });
});

describe('providers that vouch for e-mail addresses', () => {
  const vouching = (name: string, emailDomains?: AuthProvider['emailDomains']) => {
    const made = accepting(principalOf('x@example.com')).provider;
    return { name, provider: emailDomains === undefined ? made : { ...made, emailDomains } };
  };

  it.each([
    ['one domain', ['a.example', 'b.example'], ['B.example'], 'b.example'],
    ['any domain and one', 'any', ['a.example'], 'a.example'],
    ['any domain', 'any', 'any', 'any domain'],
  ] as const)('for %s each stop the start, and both are named', (_what, one, other, domain) => {
    const at = { file: '/etc/towline.yaml', line: 7 };
    const check = () => requireOwnDomains([vouching('oidc', one), vouching('apikey'), { ...vouching('basic', other), at }]);
    expect(check).toThrow(
      expect.objectContaining({
        code: 'config_invalid',
        message: `/etc/towline.yaml:7: auth[0] (oidc) and auth[2] (basic) may both vouch for e-mail addresses of ${domain}.`,
        hint: expect.stringContaining('email_domains'),
      }),
    );
  });

  it('for domains of their own, or for none, may stand beside each other', () => {
    requireOwnDomains([
      vouching('oidc', ['a.example']),
      vouching('apikey'),
      vouching('basic', ['b.example']),
      vouching('empty', []),
      vouching('jwt'),
    ]);
    requireOwnDomains([vouching('oidc', 'any'), vouching('apikey'), vouching('empty', [])]);
  });
});
