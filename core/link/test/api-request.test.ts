import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { type ApiClient, type ApiClientOptions, createApiClient } from '../src/api-request.ts';
import { retryAfterMs } from '../src/relay-answer.ts';
import { makeTestPair } from './trust-certificates.ts';

const pair = makeTestPair();
const open: { server: Server; client: ApiClient }[] = [];

afterEach(async () => {
  for (const { server, client } of open.splice(0)) {
    client[Symbol.dispose]();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

type Handler = (request: IncomingMessage & { readonly text: string }, response: ServerResponse) => void;

/** A relay on loopback that answers as told, and a client for it. */
async function start(
  handler: Handler,
  extra: Partial<ApiClientOptions> = {},
): Promise<{ client: ApiClient; server: Server; connections: () => number }> {
  let connections = 0;
  const server = createServer({ cert: pair.chainPem, key: pair.leaf.keyPem }, async (request, response) => {
    let text = '';
    for await (const chunk of request.setEncoding('utf8')) text += chunk;
    handler(Object.assign(request, { text }), response);
  });
  server.on('secureConnection', (socket) => {
    connections += 1;
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = new URL(`https://localhost:${(server.address() as AddressInfo).port}`);
  const client = createApiClient({
    relay,
    trust: { ca: pair.ca.pem },
    credential: { header: 'X-API-Key', value: 'twl_u_secret' },
    userAgent: 'towline-test/1',
    environment: {},
    warn: () => undefined,
    ...extra,
  });
  open.push({ server, client });
  return { client, server, connections: () => connections };
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers }).end(JSON.stringify(body));
}

describe('a request to the relay', () => {
  it('carries method, path, query, body, credential and user agent, and gives the JSON back', async () => {
    const { client } = await start((request, response) => {
      const { method, url, headers, text } = request;
      json(response, 201, { method, url, text, key: headers['x-api-key'], agent: headers['user-agent'], type: headers['content-type'] });
    });
    const query = { device: 'a b', list: ['x', 'y'], limit: 5, all: true, none: undefined };
    expect(await client.request('PUT', '/v1/devices/d%2F1', { body: { name: 'ü' }, query })).toEqual({
      method: 'PUT',
      url: '/v1/devices/d%2F1?device=a+b&list=x&list=y&limit=5&all=true',
      text: '{"name":"ü"}',
      key: 'twl_u_secret',
      agent: 'towline-test/1',
      type: 'application/json',
    });
  });

  it('without a body sends none, and an empty answer is undefined', async () => {
    const { client } = await start((request, response) => {
      response.writeHead(request.text === '' && request.headers['content-type'] === undefined ? 204 : 500).end();
    });
    expect(await client.request('DELETE', '/v1/devices/x')).toBeUndefined();
    expect(await client.request('POST', '/v1/devices/x')).toBeUndefined();
  });

  it('uses a verified connection again', async () => {
    const { client, connections } = await start((_request, response) => json(response, 200, {}));
    for (let round = 0; round < 5; round += 1) await client.request('GET', '/v1/me');
    expect(connections()).toBe(1);
  });

  it('is read again when the kept connection turns out to be closed', async () => {
    const sockets = new Set<TLSSocket>();
    const { client } = await start((request, response) => {
      const socket = request.socket as TLSSocket;
      // The second request on a connection is cut before any answer.
      if (sockets.has(socket)) return void socket.destroy();
      sockets.add(socket);
      json(response, 200, { round: sockets.size });
    });
    expect(await client.request('GET', '/v1/me')).toEqual({ round: 1 });
    expect(await client.request('GET', '/v1/me')).toEqual({ round: 2 });
    await expect(client.request('POST', '/v1/keys')).rejects.toMatchObject({ code: 'relay_unreachable' });
  });

  it.each(['//evil.example.com/v1', 'https://evil.example.com/', 'v1/me', '/\\evil.example.com', ''])(
    'is refused with the path %j',
    async (path) => {
      const { client, connections } = await start((_request, response) => json(response, 200, {}));
      await expect(client.request('GET', path)).rejects.toMatchObject({ code: 'invalid_request' });
      expect(connections()).toBe(0);
    },
  );

  it('with a credential that no header can carry is refused without repeating it', async () => {
    const { client } = await start((_request, response) => json(response, 200, {}), {
      credential: { header: 'X-API-Key', value: 'secret\n' },
    });
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({
      code: 'unauthenticated',
      message: expect.not.stringContaining('secret'),
    });
  });

  it('is not sent to a relay that is not trusted', async () => {
    let requests = 0;
    const { client } = await start(() => (requests += 1), { trust: { fingerprint: `sha256:${'0'.repeat(64)}` } });
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'relay_untrusted' });
    expect(requests).toBe(0);
  });
});

describe('an error of the relay', () => {
  it('keeps code, message, hint and the wait it asked for', async () => {
    const error = { code: 'rate_limited', message: 'Slowly.', hint: 'Wait a minute.' };
    const { client } = await start((_request, response) => json(response, 429, { error }, { 'retry-after': '7' }));
    const caught = await client.request<never>('GET', '/v1/me').catch((fault) => fault);
    expect(caught).toMatchObject({ name: 'TowlineError', ...error });
    expect(retryAfterMs(caught)).toBe(7_000);
  });

  it.each([
    ['999999999', 300_000],
    ['0', 0],
    ['-1', undefined],
    ['Wed, 21 Oct 2026 07:28:00 GMT', undefined],
  ])('with retry-after %j means a wait of %s ms', async (header, wait) => {
    const { client } = await start((_request, response) =>
      json(response, 503, { error: { code: 'unavailable' } }, { 'retry-after': header }),
    );
    expect(retryAfterMs(await client.request<never>('GET', '/v1/me').catch((fault) => fault))).toBe(wait);
  });

  it('with a code of the future is internal, with its text', async () => {
    const { client } = await start((_request, response) => json(response, 418, { error: { code: 'teapot', message: 'Short and stout.' } }));
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'internal', message: 'Short and stout.' });
  });
});

describe('what is not a relay', () => {
  const html = '<html><script>alert(1)</script></html>';
  it.each<[string, Handler]>([
    ['answers HTML', (_request, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end(html)],
    ['answers HTML with a status of 404', (_request, response) => void response.writeHead(404, { 'content-type': 'text/html' }).end(html)],
    ['answers without a type', (_request, response) => void response.writeHead(200).end('{}')],
    ['answers what is not JSON', (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":')],
    [
      'answers a bomb of brackets',
      (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('['.repeat(100_000)),
    ],
    ['answers an error without one in it', (_request, response) => json(response, 500, { message: 'no' })],
    ['answers an error that is null', (_request, response) => json(response, 500, null)],
    [
      'redirects',
      (_request, response) =>
        void response.writeHead(302, { location: 'https://evil.example.com/\u001b[2J'.replace('\u001b', '%1b') }).end(),
    ],
    ['sends endless headers', (request) => void request.socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`)],
    ['does not speak HTTP', (request) => void request.socket.write('SSH-2.0-OpenSSH_9.2\r\n')],
    ['upgrades unasked', (request) => void request.socket.write('HTTP/1.1 101 Sure\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')],
  ])('%s', async (_what, handler) => {
    const { client } = await start(handler, { deadlineMs: 5_000 });
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({
      code: 'relay_not_towline',
      message: expect.not.stringContaining('<script'),
    });
  });

  it('is not followed where it redirects to', async () => {
    let requests = 0;
    const { client } = await start((_request, response) => {
      requests += 1;
      response.writeHead(307, { location: '/v1/other' }).end();
    });
    await expect(client.request('POST', '/v1/me')).rejects.toMatchObject({
      code: 'relay_not_towline',
      message: expect.stringContaining('/v1/other'),
    });
    expect(requests).toBe(1);
  });
});

describe('limits', () => {
  it('end an answer of more than 16 MiB', async () => {
    const { client } = await start((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = Buffer.alloc(1_048_576, ' ');
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', more);
      more();
    });
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({
      code: 'protocol_error',
      message: expect.stringContaining('16777216'),
    });
  });

  it.each<[string, Handler]>([
    ['never comes', () => undefined],
    ['stops in the middle', (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{')],
  ])('end an answer that %s', async (_what, handler) => {
    const { client } = await start(handler, { deadlineMs: 150 });
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('within 0.15 s'),
    });
  });

  it('do not hide that a connection was cut in the middle of an answer', async () => {
    const { client } = await start((request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
        .write('{"a":1}', () => request.socket.destroy());
    });
    await expect(client.request('GET', '/v1/me')).rejects.toMatchObject({ code: 'relay_unreachable' });
  });

  it('leave a request at once when the caller gives up, and when the client is disposed', async () => {
    const { client, server } = await start(() => undefined);
    const caller = new AbortController();
    const request = client.request('GET', '/v1/me', { signal: caller.signal });
    await once(server, 'request');
    caller.abort();
    await expect(request).rejects.toMatchObject({ code: 'cancelled' });
    const another = client.request('GET', '/v1/me');
    client[Symbol.dispose]();
    await expect(another).rejects.toMatchObject({ name: 'TowlineError' });
  });
});

describe('a list', () => {
  it('is followed page by page, with its query, and only as far as it is read', async () => {
    const asked: string[] = [];
    const { client } = await start((request, response) => {
      asked.push(request.url!);
      const at = Number(new URL(request.url!, 'https://x').searchParams.get('cursor') ?? 0);
      json(response, 200, { items: [at, at + 1], next: at < 4 ? String(at + 2) : null });
    });
    const items: number[] = [];
    for await (const item of client.list<number>('/v1/devices', { query: { scope: 'org:a' } })) items.push(item);
    expect(items).toEqual([0, 1, 2, 3, 4, 5]);
    expect(asked).toEqual(['/v1/devices?scope=org%3Aa', '/v1/devices?scope=org%3Aa&cursor=2', '/v1/devices?scope=org%3Aa&cursor=4']);
    for await (const item of client.list<number>('/v1/devices')) if (item === 1) break;
    expect(asked).toHaveLength(4);
  });

  it('that turns in a circle is ended, and what is no list is refused', async () => {
    const { client } = await start((request, response) =>
      json(response, 200, request.url!.startsWith('/ring') ? { items: [], next: 'same' } : { things: [] }),
    );
    const readAll = async (path: string) => {
      for await (const _item of client.list(path));
    };
    await expect(readAll('/ring')).rejects.toMatchObject({ code: 'protocol_error' });
    await expect(readAll('/things')).rejects.toMatchObject({ code: 'relay_not_towline' });
  });
});
