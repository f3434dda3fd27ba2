import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { readCredentials, type UserCredentials, updateCredentials } from '@towline/config/user-files';
import { toTowlineError } from '@towline/protocol';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Host } from '../src/host.ts';
import { readSecretFromStdin } from '../src/login/ask-secret.ts';
import { errorText } from '../src/output/report-error.ts';
import { parseProviderUrl } from '../src/provider/provider-fetch.ts';
import { freshToken } from '../src/provider/renew.ts';
import { revokeToken } from '../src/provider/revoke.ts';

/** A provider on this machine whose token endpoint answers with any text; `posted` are the forms it was sent. */
async function startProvider(answer: string) {
  const posted: URLSearchParams[] = [];
  const server = createServer((request, response) => {
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    response.setHeader('content-type', 'application/json');
    if (request.method === 'GET') return response.end(JSON.stringify({ issuer, token_endpoint: `${issuer}/token` }));
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      posted.push(new URLSearchParams(body));
      response.end(answer);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return { posted, issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

async function makePlace(stored: UserCredentials) {
  const dir = await mkdtemp(join(tmpdir(), 'towline-review-'));
  onTestFinished(() => rm(dir, { recursive: true }));
  await updateCredentials(dir, () => ({ credentials: stored }));
  return { dir, url: new URL('https://relay.example'), env: {}, now: () => Date.now(), warn: () => {} };
}

describe('a provider', () => {
  it.each([
    'https://login.example@evil.example/',
    'https://u:p@id.example/',
    'http://id.example/',
    'ftp://id.example/',
    'javascript:alert(1)',
  ])('is not reached, nor shown, by %s', (text) => {
    expect(() => parseProviderUrl(text)).toThrow(/no https:\/\/ URL/);
  });

  it('that answers with a broken text has no part of it repeated, not even to -v', async () => {
    const { issuer } = await startProvider('{"access_token":SECRETSECRET}');
    const token = { access_token: 'old', refresh_token: 'r', issuer, client_id: 'c', expires_at: 1_700_000_000 };
    const place = await makePlace({ OAuth2Token: token });
    const error = toTowlineError(await freshToken(token, place).catch((thrown: unknown) => thrown));
    expect(error.code).toBe('provider_unavailable');
    expect(errorText(error, { json: false, verbose: true })).not.toContain('SECRET');
  });

  it('is not sent a refresh token of another client that was stored meanwhile', async () => {
    const { issuer, posted } = await startProvider('{}');
    const token = { access_token: 'old', refresh_token: 'r', issuer, client_id: 'c', expires_at: 1_700_000_000 };
    const place = await makePlace({ OAuth2Token: { ...token, client_id: 'other' } });
    await freshToken(token, place).catch(() => undefined);
    expect(posted).toEqual([]);
    expect((await readCredentials(place.dir)).credentials!.OAuth2Token!.refresh_token).toBe('r');
  });

  it('without an end of its own for tokens is asked nothing', async () => {
    const { issuer, posted } = await startProvider('{}');
    expect(await revokeToken({ access_token: 'a', refresh_token: 'r', issuer, client_id: 'c' }, { env: {} })).toBe('not_offered');
    expect(posted).toEqual([]);
  });
});

it('a secret on stdin whose characters come in pieces stays whole', async () => {
  const stdin = new PassThrough();
  const bytes = Buffer.from('ann:käse-пароль-秘密\n');
  const input = { name: 'The login', hint: '' };
  const read = readSecretFromStdin(stdin as unknown as Host['stdin'], input);
  for (const byte of bytes) {
    stdin.write(Buffer.from([byte]));
    await new Promise((later) => setImmediate(later));
  }
  expect(await read).toBe('ann:käse-пароль-秘密');
});
