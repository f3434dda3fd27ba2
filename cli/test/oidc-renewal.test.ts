import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { makeOidcUser, type OidcUser } from './oidc-user.ts';

const AGES_MS = 60_000;
const PAST = 1_700_000_000;

/** Logged in without the terminal: the tokens are the provider's own, put where a login puts them. */
async function makeLoggedIn(): Promise<OidcUser> {
  const at = await makeOidcUser();
  onTestFinished(() => at[Symbol.asyncDispose]());
  const { access_token, refresh_token } = await at.provider.login('alice');
  const member = { access_token, refresh_token, issuer: at.provider.url, client_id: at.provider.clientId, expires_at: PAST };
  await mkdir(at.user.dir, { mode: 0o700 });
  await writeFile(join(at.user.dir, 'config.json'), JSON.stringify({ relay: at.peer.url }), { mode: 0o600 });
  await writeFile(join(at.user.dir, 'credentials.json'), JSON.stringify({ credentials: { OAuth2Token: member, relay: at.peer.url } }), {
    mode: 0o600,
  });
  return at;
}

const consumed = ({ provider }: OidcUser) => provider.events.filter((event) => event === 'refresh_token.consumed').length;

describe('a login whose token has ended', { timeout: AGES_MS }, () => {
  let at: OidcUser;
  beforeEach(async () => {
    at = await makeLoggedIn();
  });

  it('is renewed once by several programs at the same moment, with refresh tokens that work once', async () => {
    const before = await at.stored();
    await at.change({ expires_at: PAST, extra: 'kept' });
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => at.run(['whoami'])));
    expect(outcomes.map(({ code, stderr }) => [code, stderr])).toEqual([1, 2, 3, 4].map(() => [0, '']));
    expect(consumed(at)).toBe(1);
    expect(at.provider.events).not.toContain('grant.revoked');
    const after = await at.stored();
    expect(after).toMatchObject({ relay: at.peer.url, OAuth2Token: { extra: 'kept', issuer: at.provider.url } });
    expect(after.OAuth2Token!.access_token).not.toBe(before.OAuth2Token!.access_token);
    expect(after.OAuth2Token!.refresh_token).not.toBe(before.OAuth2Token!.refresh_token);
    expect(new Set(at.peer.requests.slice(-4).map(({ headers }) => headers.authorization))).toEqual(
      new Set([`Bearer ${after.OAuth2Token!.access_token}`]),
    );
    // And once more, by the token that was got.
    await at.change({ expires_at: PAST });
    expect(await at.run(['whoami'])).toMatchObject({ code: 0 });
    expect(consumed(at)).toBe(2);
  });

  it('is over when the provider refuses to renew it', async () => {
    await at.change({ expires_at: PAST });
    at.provider.forgetTokens();
    const outcome = await at.run(['--json', 'whoami']);
    expect(outcome).toMatchObject({ code: 3, stdout: '' });
    expect(JSON.parse(outcome.stderr)).toMatchObject({ error: { code: 'token_expired', hint: expect.stringContaining('towline login') } });
  });

  it('waits for a provider that is down, and works on while the token lasts', async () => {
    await at.provider.stop();
    await at.change({ expires_at: PAST });
    const down = await at.run(['--json', 'whoami']);
    expect(down.code).toBe(1);
    expect(JSON.parse(down.stderr)).toMatchObject({ error: { code: 'provider_unavailable' } });
    await at.change({ expires_at: Math.floor(Date.now() / 1_000) + 45 });
    expect(await at.run(['whoami'])).toMatchObject({ code: 0, stderr: expect.stringContaining('could not be renewed') });
    await at.provider.start();
    expect(await at.run(['whoami'])).toMatchObject({ code: 0, stderr: '' });
    expect(consumed(at)).toBe(1);
  });

  it('keeps its refresh token when the provider answers nonsense', async () => {
    await at.change({ expires_at: PAST });
    const { refresh_token: before } = (await at.stored()).OAuth2Token!;
    for (const fault of ['html', 'error', { json: { token_type: 'bearer' } }] as const) {
      at.provider.faults.set('/token', fault);
      expect(await at.run(['whoami'])).toMatchObject({ code: 1, stderr: expect.stringContaining('dentity provider') });
    }
    expect((await at.stored()).OAuth2Token!.refresh_token).toBe(before);
    at.provider.faults.clear();
    expect(await at.run(['whoami'])).toMatchObject({ code: 0 });
  });

  it('cannot be renewed without a refresh token', async () => {
    await at.change({ expires_at: PAST, refresh_token: undefined });
    const before = at.peer.requests.length;
    expect(await at.run(['whoami'])).toMatchObject({ code: 3, stderr: expect.stringContaining('login has expired') });
    expect(at.peer.requests).toHaveLength(before);
  });

  it('is not sent anywhere from a file that others can read, or that holds other types', async () => {
    const before = at.provider.requests.length;
    await at.change({ expires_at: 'soon' });
    expect(await at.run(['whoami'])).toMatchObject({ code: 1, stderr: expect.stringContaining('"expires_at" that is no number') });
    await at.change({ expires_at: PAST });
    await chmod(join(at.user.dir, 'credentials.json'), 0o640);
    expect(await at.run(['whoami'])).toMatchObject({ code: 1, stderr: expect.stringContaining('chmod 600') });
    expect(at.provider.requests).toHaveLength(before);
  });
});

describe('logout', { timeout: AGES_MS }, () => {
  it('revokes the tokens at the provider', async () => {
    const at = await makeLoggedIn();
    const { refresh_token, client_id } = (await at.stored()).OAuth2Token!;
    expect(await at.run(['logout', '--json'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/"logged_out": true,\s+"revoked": true/),
      stderr: '',
    });
    expect(await at.stored()).toBeUndefined();
    const again = await at.provider.token({ grant_type: 'refresh_token', refresh_token: refresh_token!, client_id: client_id! });
    expect(again).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(await at.run(['logout'])).toMatchObject({ code: 0, stdout: 'nobody was logged in\n' });
  });

  it('forgets the login all the same when the provider is away', async () => {
    const at = await makeLoggedIn();
    await at.provider.stop();
    const outcome = await at.run(['logout']);
    expect(outcome).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('logged out'),
      stderr: expect.stringContaining('was not revoked'),
    });
    expect(await at.stored()).toBeUndefined();
  });
});
