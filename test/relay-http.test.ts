import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STEP_MS } from './support/process.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  api = openApi(relay);
});
afterAll(async () => {
  api?.[Symbol.dispose]();
  await system[Symbol.asyncDispose]();
});

/** Sends bytes as they are and answers everything that came until the relay closed the connection, or `until` was seen. */
function raw(bytes: string | Buffer, until?: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: relay.port, host: '127.0.0.1', ca: readFileSync(join(relay.dir, 'ca.pem')) });
    let said = '';
    const timer = setTimeout(() => socket.destroy(new Error(`the connection stayed open: ${said}`)), STEP_MS);
    const done = () => {
      clearTimeout(timer);
      resolve(said);
    };
    socket.once('secureConnect', () => socket.write(bytes));
    socket.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
      if (until?.test(said)) socket.destroy();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? undefined : reject(error)));
    socket.once('close', done);
  });
}

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const upgrade = (path: string, ...lines: string[]) =>
  head(`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${relay.port}`, 'Connection: Upgrade', ...lines);

describe('routes for anyone', () => {
  it('tell that the relay lives and serves, without a credential', async () => {
    expect(bodyOf(await api.call('GET', '/healthz'))).toEqual({ status: 'ok' });
    expect(bodyOf(await api.call('GET', '/readyz'))).toEqual({ status: 'ready', transports: { quic: { status: 'up' } } });
    expect(bodyOf(await api.call('GET', '/v1/login-methods'))).toMatchObject({ items: [{ method: 'api_key' }] });
  });

  it('describe the API, and every other route of the description wants a credential', async () => {
    const { openapi, paths } = bodyOf<{ openapi: string; paths: Record<string, Record<string, unknown>> }>(
      await api.call('GET', '/openapi.json'),
    );
    expect(openapi).toBe('3.1.0');
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes).toEqual(
      expect.arrayContaining(['GET /v1/devices', 'GET /v1/audit', 'DELETE /v1/sessions/{id}', 'GET /v1/links/device']),
    );
    const anyone = ['GET /healthz', 'GET /readyz', 'GET /metrics', 'GET /v1/login-methods'];
    anyone.push('POST /v1/registrations', 'POST /v1/registrations/{id}/claim');
    const answers = await Promise.all(
      routes.map(async (route) => {
        const [method = '', path = ''] = route.split(' ');
        return [route, (await api.call(method, path.replace(/\{\w+\}/g, 'f'.repeat(32)))).code] as const;
      }),
    );
    const open = answers.filter(([, code]) => code !== 'unauthenticated').map(([route]) => route);
    expect(open.sort()).toEqual(anyone.sort());
  });
});

describe('a request that is not right', () => {
  it('is told so as JSON where there is no such path or method', async () => {
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/v1/nothing'],
      ['POST', '/v1/audit'],
      ['DELETE', '/healthz'],
      ['PUT', '/v1/devices/x'],
      ['GET', '/v1/devices/%00/../../etc/passwd'],
    ] as const) {
      const answer = await api.call(method, path, { key: relay.adminKey });
      expect(answer).toMatchObject({ status: 404, code: 'not_found' });
      expect(answer.body).toMatchObject({ error: { message: expect.stringMatching(/./), hint: expect.stringMatching(/./) } });
    }
  });

  it.each([
    ['no JSON', '{"name":', {}],
    ['JSON of another shape', '[]', {}],
    ['an unknown member', JSON.stringify({ name: 'x', admin: true }), {}],
    ['a member that would change every object', '{"__proto__":{"admin":true},"name":"x"}', {}],
    ['another type of content', 'name=x', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['nothing at all', '', {}],
  ])('is refused with a body that is %s', async (_what, body, headers) => {
    const answer = await api.call('POST', '/v1/registrations', { body, headers });
    expect(answer).toMatchObject({ status: 400, code: 'invalid_request' });
  });

  it('is refused with a body that is too large, before it is read', async () => {
    const answer = await api.call('POST', '/v1/registrations', { body: JSON.stringify({ name: 'x'.repeat(300_000) }) });
    expect(answer).toMatchObject({ status: 413, code: 'too_large' });
  });

  it.each([
    ['no HTTP at all', () => 'SSH-2.0-OpenSSH_9.6\r\n', /^HTTP\/1\.1 400 /],
    [
      'two ways to tell its length',
      () => head('POST /v1/registrations HTTP/1.1', 'Host: x', 'Content-Length: 4', 'Transfer-Encoding: chunked'),
      /^HTTP\/1\.1 400 /,
    ],
    ['two lengths', () => head('POST /v1/registrations HTTP/1.1', 'Host: x', 'Content-Length: 4', 'Content-Length: 5'), /^HTTP\/1\.1 400 /],
    [
      'a broken chunk',
      () => `${head('POST /v1/registrations HTTP/1.1', 'Host: x', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}zz\r\n`,
      /^HTTP\/1\.1 400 /,
    ],
    ['a control character in a header', () => head('GET /v1/me HTTP/1.1', 'Host: x', 'X-API-Key: a\u0001b'), /^HTTP\/1\.1 400 /],
    ['no host', () => head('GET /healthz HTTP/1.1', 'Connection: close'), /^HTTP\/1\.1 400 /],
    ['a head without end', () => `GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}`, /^HTTP\/1\.1 431 /],
  ])('loses its connection and nothing else with %s', async (_what, request, answer) => {
    expect(await raw(request())).toMatch(answer);
    expect((await api.call('GET', '/healthz')).status).toBe(200);
  });
});

describe('a credential', () => {
  it('must be the only one', async () => {
    const both = { authorization: `Bearer ${relay.adminKey}`, 'x-api-key': relay.adminKey };
    expect(await api.call('GET', '/v1/me', { headers: both })).toMatchObject({ status: 400, code: 'invalid_request' });
    const stranger = { ...both, authorization: `Basic ${Buffer.from('a:b').toString('base64')}` };
    expect(await api.call('GET', '/v1/me', { headers: stranger })).toMatchObject({ status: 400, code: 'invalid_request' });
    const twice = await raw(
      head('GET /v1/me HTTP/1.1', 'Host: x', 'Connection: close', `X-API-Key: ${relay.adminKey}`, `X-API-Key: ${relay.adminKey}`),
    );
    expect(twice).toMatch(/^HTTP\/1\.1 40[01] /);
  });

  it('is taken as Bearer and as X-API-Key, in any case of the scheme', async () => {
    for (const headers of [
      { 'x-api-key': relay.adminKey },
      { authorization: `Bearer ${relay.adminKey}` },
      { authorization: `bearer  ${relay.adminKey}` },
    ])
      expect(bodyOf(await api.call('GET', '/v1/me', { headers }))).toMatchObject({ admin: true });
  });

  it.each([
    ['unknown', `twl_u_${'0'.repeat(16)}_${'0'.repeat(64)}`],
    ['cut short', 'twl_u_0123'],
    ['empty', ''],
    ['of 8 KiB', `twl_u_${'a'.repeat(8_192)}`],
    ['something else', "' OR 1=1 --"],
  ])('that is %s is refused without saying more', async (_what, key) => {
    const answer = await api.call('GET', '/v1/me', { headers: { 'x-api-key': key } });
    expect(answer).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(JSON.stringify(answer.body)).not.toContain('0'.repeat(16));
  });

  it.each([
    ['that is too long', { 'x-api-key': 'a'.repeat(20_000) }, [413, 431]],
    ['of another scheme', { authorization: 'Digest username="x"' }, [400]],
    ['without a value', { authorization: 'Bearer' }, [400]],
    ['of Basic without a colon', { authorization: `Basic ${Buffer.from('nocolon').toString('base64')}` }, [400]],
  ])('%s is refused', async (_what, headers, statuses) => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const said = await raw(head('GET /v1/me HTTP/1.1', 'Host: x', 'Connection: close', ...lines));
    expect(statuses).toContain(Number(/^HTTP\/1\.1 (\d+)/.exec(said)?.[1]));
  });
});

describe('the paths of links', () => {
  const user = () => `X-API-Key: ${relay.adminKey}`;

  it('answer a plain GET with what they are for, and close nothing else', async () => {
    for (const path of ['/v1/links/client', '/v1/links/device']) expect(await api.call('GET', path)).toMatchObject({ status: 401 });
    expect(await api.call('GET', '/v1/links/client', { key: relay.adminKey })).toMatchObject({ status: 400, code: 'protocol_error' });
    expect(await api.call('GET', '/v1/links/device', { key: relay.adminKey })).toMatchObject({ status: 401, code: 'key_wrong_kind' });
  });

  it('are opened by an upgrade with a credential', async () => {
    expect(await raw(upgrade('/v1/links/client', 'Upgrade: towline/1', user()), /\r\n\r\n/)).toMatch(/^HTTP\/1\.1 101 /);
  });

  it('are opened for the page of the relay itself, and not for one of another site, whatever it knows', async () => {
    const from = (origin: string) => raw(upgrade('/v1/links/client', 'Upgrade: towline/1', user(), `Origin: ${origin}`), /\r\n\r\n/);
    expect(await from(`https://127.0.0.1:${relay.port}`)).toMatch(/^HTTP\/1\.1 101 /);
    for (const origin of ['https://evil.example', 'null', `https://127.0.0.1:${relay.port}.evil.example`, 'https://127.0.0.1:1']) {
      const said = await from(origin);
      expect(said).toMatch(/^HTTP\/1\.1 403 /);
    }
  });

  it.each([
    ['without a credential', () => upgrade('/v1/links/client', 'Upgrade: towline/1'), 401, 'unauthenticated'],
    [
      'with two credentials',
      () => upgrade('/v1/links/client', 'Upgrade: towline/1', user(), `Authorization: Bearer ${relay.adminKey}`),
      400,
      'invalid_request',
    ],
    ['as a device with the key of a user', () => upgrade('/v1/links/device', 'Upgrade: towline/1', user()), 401, 'key_wrong_kind'],
    ['to another protocol', () => upgrade('/v1/links/client', 'Upgrade: websocket', user()), 400, 'protocol_error'],
    ['by another method', () => upgrade('/v1/links/client', 'Upgrade: towline/1', user()).replace('GET', 'POST'), 404, 'not_found'],
    ['on no path of a link', () => upgrade('/v1/nothing', 'Upgrade: towline/1', user()), 404, 'not_found'],
  ])('refuse an upgrade %s in words, and close that connection', async (_what, request, status, code) => {
    const said = await raw(request());
    expect(said).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(said).toMatch(/^connection: close\r$/im);
    expect(said).toContain(`"code":"${code}"`);
  });

  it('leave what asks for an upgrade elsewhere to its route', async () => {
    const said = await raw(upgrade('/v1/me', 'Upgrade: towline/1', user()));
    expect(said).toMatch(/^HTTP\/1\.1 200 /);
    expect(said).toContain('"admin":true');
  });
});
