import { decodeJwt, decodeProtectedHeader } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendForm } from '../../../test/support/oidc-device-login.ts';
import { startOidcProvider, type TestOidcProvider } from '../../../test/support/oidc-provider.ts';

const ANN = { sub: 'ann', email: 'ann@example.com', email_verified: true, name: 'Ann', claims: { groups: ['org:acme'] } };

describe('the provider of the tests', () => {
  let provider: TestOidcProvider;
  beforeAll(async () => {
    provider = await startOidcProvider({ accounts: [ANN] });
  });
  afterAll(() => provider?.[Symbol.asyncDispose]());

  it('issues signed access tokens by its real pages, and rotates refresh tokens', async () => {
    const tokens = await provider.login('ann');
    expect(decodeJwt(tokens.access_token)).toMatchObject({
      iss: provider.url,
      sub: 'ann',
      aud: 'towline',
      groups: ['org:acme'],
      email: ANN.email,
    });
    expect(decodeProtectedHeader(tokens.access_token)).toMatchObject({ alg: 'RS256', typ: 'at+jwt' });
    const refresh = () => provider.token({ grant_type: 'refresh_token', refresh_token: tokens.refresh_token!, client_id: 'towline' });
    const renewed = await refresh();
    expect(renewed.status).toBe(200);
    expect(decodeJwt(String(renewed.body.access_token))).toMatchObject({ aud: 'towline' });
    expect(renewed.body.refresh_token).not.toBe(tokens.refresh_token);
    expect(await refresh()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    expect(provider.events).toContain('grant.revoked');
  });

  it('ends a device login that is denied, and takes the code typed by hand', async () => {
    const start = () => sendForm(provider, '/device/auth', { client_id: 'towline', scope: 'openid' });
    const finish = (code: unknown) =>
      provider.token({ grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: String(code), client_id: 'towline' });
    const denied = (await start()).body;
    expect(await finish(denied.device_code)).toMatchObject({ body: { error: 'authorization_pending' } });
    await provider.confirm(String(denied.verification_uri_complete), { login: 'ann', deny: true });
    expect(await finish(denied.device_code)).toMatchObject({ status: 400, body: { error: 'access_denied' } });
    const typed = (await start()).body;
    await provider.confirm(String(typed.verification_uri), { login: 'ann', code: String(typed.user_code) });
    expect((await finish(typed.device_code)).status).toBe(200);
  });

  it('stops, starts again on its port and knows its tokens', async () => {
    const { refresh_token } = await provider.login('ann');
    await provider.stop();
    await expect(provider.token({})).rejects.toThrow();
    await provider.start();
    provider.rotateKeys();
    expect((await provider.token({ grant_type: 'refresh_token', refresh_token: refresh_token!, client_id: 'towline' })).status).toBe(200);
  });
});
