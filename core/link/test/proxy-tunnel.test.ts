import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setInterval as everyMs } from 'node:timers/promises';
import type { TrustSettings } from '@towline/contract';
import { afterAll, describe, expect, it } from 'vitest';
import { openTunnel } from '../src/proxy/open-tunnel.ts';
import { createRelayConnector } from '../src/trust/relay-connector.ts';
import { answering, closedPort, startAnswering, startForwarding } from './proxy-programs.ts';
import { type Attempt, byCa, byPin, CREDENTIAL, other, sendCredential, serve } from './trust-attempt.ts';
import { makeTestPair } from './trust-certificates.ts';

const pair = makeTestPair();
const dir = mkdtempSync(join(tmpdir(), 'towline-proxy-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Connects through a proxy on this port; the relay is not there unless told. */
function through(url: string, relay = 'relay.example.com:8085', trust: TrustSettings = byCa(pair)): Promise<Attempt> {
  return sendCredential(relay, trust, { environment: { HTTPS_PROXY: url }, connectTimeoutMs: 2_000 });
}

const startRelay = () => serve(pair.leaf, pair.chainPem);

describe('a relay behind a proxy', () => {
  it.each<[string, TrustSettings]>([
    ['a CA', byCa(pair)],
    ['a fingerprint, whose probe goes through it too', byPin(pair)],
  ])('is verified by %s as without it', async (_how, trust) => {
    const relay = await startRelay();
    const proxy = await startForwarding();
    expect(await through(`http://127.0.0.1:${proxy.port}`, `localhost:${relay.port}`, trust)).toEqual({ warnings: [] });
    await relay.quiet();
    expect(relay.received().toString()).toBe(CREDENTIAL);
    const probes = 'fingerprint' in trust ? 2 : 1;
    expect(relay.connections()).toBe(probes);
    expect(proxy.received().match(/CONNECT localhost:\d+ HTTP\/1\.1\r\n/g)).toHaveLength(probes);
  });

  it.each([byCa(other), byPin(other)])('that is not trusted gets nothing (%#)', async (trust) => {
    const relay = await startRelay();
    const proxy = await startForwarding();
    const { error } = await through(`http://127.0.0.1:${proxy.port}`, `localhost:${relay.port}`, trust);
    expect(error).toMatchObject({ code: 'relay_untrusted' });
    await relay.quiet();
    expect(relay.received()).toHaveLength(0);
  });

  it('has the name checked that was asked for, not that of the proxy', async () => {
    const wrong = makeTestPair({ dnsNames: ['proxy.example.com'], addresses: [] });
    const relay = await serve(wrong.leaf, wrong.chainPem);
    const proxy = await startForwarding();
    const { error } = await through(`http://127.0.0.1:${proxy.port}`, `127.0.0.1:${relay.port}`, byCa(wrong));
    expect(error).toMatchObject({ code: 'relay_untrusted', message: expect.stringContaining('not for 127.0.0.1') });
  });

  it('sends what it says to the relay alone, and its name, nothing else, to the proxy', async () => {
    const relay = await startRelay();
    const proxy = await startForwarding();
    await through(`http://ada:lovelace@127.0.0.1:${proxy.port}`, `localhost:${relay.port}`);
    await relay.quiet();
    const [head, ...rest] = proxy.received().split('\r\n\r\n');
    const basic = Buffer.from('ada:lovelace').toString('base64');
    expect(head!.split('\r\n').sort()).toEqual(
      [
        `CONNECT localhost:${relay.port} HTTP/1.1`,
        `Host: localhost:${relay.port}`,
        `Proxy-Authorization: Basic ${basic}`,
        'Connection: close',
      ].sort(),
    );
    expect(rest.join()).not.toContain('twl_');
    expect(relay.received().toString()).toBe(CREDENTIAL);
  });

  it('that NO_PROXY names is reached without it', async () => {
    const relay = await startRelay();
    const environment = { HTTPS_PROXY: `http://127.0.0.1:${await closedPort()}`, NO_PROXY: 'localhost' };
    expect(await sendCredential(`localhost:${relay.port}`, byCa(pair), { environment })).toEqual({ warnings: [] });
  });

  it('by an IPv6 address is asked for in brackets', async () => {
    const proxy = await startAnswering(answering('HTTP/1.1 403 No\r\n\r\n'));
    const { error } = await through(`http://127.0.0.1:${proxy.port}`, '[::1]:8085');
    expect(error?.message).toContain('[::1]:8085');
  });

  it.each(['ended', 'cut'])('leaves no connection behind when its own is %s', async (how) => {
    const relay = await startRelay();
    for (const tls of [undefined, { cert: pair.chainPem, key: pair.leaf.keyPem }]) {
      const proxy = await startForwarding(tls);
      const environment = { HTTPS_PROXY: `http${tls ? 's' : ''}://127.0.0.1:${proxy.port}`, SSL_CERT_FILE: caFile() };
      const connector = createRelayConnector({
        relay: new URL(`https://localhost:${relay.port}`),
        trust: byCa(pair),
        environment,
        warn: () => undefined,
      });
      const socket = await connector.connect(new AbortController().signal);
      expect(proxy.open()).toBe(2);
      const closed = once(socket, 'close');
      if (how === 'cut') socket.destroy();
      else socket.resume().end();
      await closed;
      for await (const _tick of everyMs(10)) if (proxy.open() === 0) break;
    }
  });
});

function caFile(): string {
  const path = join(dir, 'ca.pem');
  writeFileSync(path, pair.ca.pem);
  return path;
}

describe('a proxy over TLS', () => {
  const tls = { cert: pair.chainPem, key: pair.leaf.keyPem };

  it('is verified by SSL_CERT_FILE, and TLS to the relay runs inside', async () => {
    const relay = await startRelay();
    const proxy = await startForwarding(tls);
    const environment = { HTTPS_PROXY: `https://ada:lovelace@localhost:${proxy.port}`, SSL_CERT_FILE: caFile() };
    for (const trust of [byPin(pair), byCa(pair)])
      expect(await sendCredential(`localhost:${relay.port}`, trust, { environment })).toEqual({ warnings: [] });
    await relay.quiet();
    expect(relay.received().toString()).toBe(CREDENTIAL + CREDENTIAL);
    expect(proxy.received()).toMatch(/^CONNECT /);
  });

  it.each<[string, TrustSettings]>([
    ['the CA of the relay', byCa(pair)],
    ['the fingerprint of the relay', byPin(pair)],
    ['switching verification off', { trustInvalid: true }],
  ])('is not believed for %s, and learns no password', async (_what, trust) => {
    const relay = await startRelay();
    const proxy = await startForwarding(tls);
    const { error } = await through(`https://ada:lovelace@localhost:${proxy.port}`, `localhost:${relay.port}`, trust);
    expect(error).toMatchObject({
      code: 'relay_unreachable',
      message: `The certificate of the proxy localhost:${proxy.port} is signed by a CA that is not trusted here.`,
      hint: expect.stringContaining('SSL_CERT_FILE'),
    });
    expect(proxy.received()).toBe('');
    expect(relay.connections()).toBe(0);
  });

  it('with a certificate for another name is not believed', async () => {
    const wrong = makeTestPair({ dnsNames: ['elsewhere.example.com'], addresses: [] });
    const path = join(dir, 'wrong.pem');
    writeFileSync(path, wrong.ca.pem);
    const proxy = await startForwarding({ cert: wrong.chainPem, key: wrong.leaf.keyPem });
    const environment = { HTTPS_PROXY: `https://ada:lovelace@localhost:${proxy.port}`, SSL_CERT_FILE: path };
    const { error } = await sendCredential('localhost:1', byCa(pair), { environment });
    expect(error).toMatchObject({
      code: 'relay_unreachable',
      message: expect.stringMatching(/certificate of the proxy .* is not for that name/),
    });
    expect(proxy.received()).toBe('');
  });

  it('that speaks none is named', async () => {
    const proxy = await startForwarding();
    const { error } = await through(`https://127.0.0.1:${proxy.port}`);
    expect(error).toMatchObject({
      code: 'relay_unreachable',
      message: expect.stringMatching(/^The proxy cannot be reached: .*does not speak TLS/),
    });
  });
});

describe('a proxy that', () => {
  it('is not there is named', async () => {
    const port = await closedPort();
    const { error } = await through(`http://ada:lovelace@127.0.0.1:${port}`);
    expect(error).toMatchObject({
      code: 'relay_unreachable',
      message: `The proxy cannot be reached: 127.0.0.1 refuses connections on port ${port}.`,
      hint: expect.stringContaining('HTTPS_PROXY'),
    });
  });

  it.each<[string, string, RegExp, RegExp]>([
    [
      'wants a password',
      'HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\n\r\n',
      /asks for a user name and password .*407/,
      /USER:PASSWORD@/,
    ],
    [
      'refuses',
      'HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope',
      /refuses to connect to relay.example.com:8085 .*403/,
      /NO_PROXY/,
    ],
    ['redirects', 'HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n', /refuses .*302/, /NO_PROXY/],
    ['cannot reach the relay', 'HTTP/1.1 502 Bad Gateway\r\n\r\n', /could not connect to .*502/, /Check the URL of the relay/],
    ['only says that it is at it', 'HTTP/1.1 100 Continue\r\n\r\n', /does not say whether it connects .*100/, /Check HTTPS_PROXY/],
    ['speaks something else', '220 mail.example.com ESMTP\r\n', /is not HTTP/, /Check HTTPS_PROXY/],
    ['has endless headers', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`, /is not HTTP/, /Check HTTPS_PROXY/],
  ])('%s is quoted with what to do', async (_what, answer, message, hint) => {
    const proxy = await startAnswering(answering(answer));
    const { error } = await through(`http://127.0.0.1:${proxy.port}`);
    expect(error).toMatchObject({ code: 'relay_unreachable', message: expect.stringMatching(message), hint: expect.stringMatching(hint) });
    await proxy.quiet();
  });

  it.each([401, 407])('does not take the password says so without repeating it (%i)', async (status) => {
    const proxy = await startAnswering(answering(`HTTP/1.1 ${status} Auth\r\n\r\n`));
    const { error } = await through(`http://ada:lovelace@127.0.0.1:${proxy.port}`);
    expect(error).toMatchObject({ message: expect.stringContaining('does not accept the user name and password of HTTPS_PROXY') });
    expect(JSON.stringify(error) + error?.message + error?.hint).not.toMatch(/ada|lovelace|YWRh/);
  });

  it.each(['end', 'destroy'] as const)('closes the connection without an answer is named (%s)', async (how) => {
    const proxy = await startAnswering((socket) => socket.once('data', () => socket[how]()));
    const { error } = await through(`http://127.0.0.1:${proxy.port}`);
    expect(error).toMatchObject({ code: 'relay_unreachable', message: expect.stringContaining('closed the connection without an answer') });
  });

  it.each<[string, string]>([
    ['never answers', ''],
    ['never ends its answer', 'HTTP/1.1 200 OK\r\nX: '],
  ])('%s is left at the deadline of the whole', async (_what, text) => {
    const proxy = await startAnswering((socket) => void drip(socket, text));
    const environment = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const { error } = await sendCredential('relay.example.com:8085', byCa(pair), { environment, connectTimeoutMs: 200 });
    expect(error).toMatchObject({
      code: 'relay_unreachable',
      message: `The proxy 127.0.0.1:${proxy.port} did not connect to relay.example.com port 8085 within 0.2 s.`,
    });
    await proxy.quiet();
  });

  it('connects to a relay that says nothing is not blamed for that', async () => {
    const proxy = await startAnswering(answering('HTTP/1.1 200 OK\r\n\r\n'));
    const environment = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const { error } = await sendCredential('relay.example.com:8085', byCa(pair), { environment, connectTimeoutMs: 200 });
    expect(error?.message).toBe(`relay.example.com port 8085 did not answer through the proxy 127.0.0.1:${proxy.port} within 0.2 s.`);
    await proxy.quiet();
  });

  it('is waited for no longer when the caller gives up', async () => {
    const proxy = await startAnswering((socket) => socket.resume());
    const caller = new AbortController();
    const connector = createRelayConnector({
      relay: new URL('https://relay.example.com'),
      trust: byCa(pair),
      environment: { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` },
      warn: () => undefined,
    });
    const attempt = connector.connect(caller.signal);
    setTimeout(() => caller.abort(), 50);
    await expect(attempt).rejects.toMatchObject({ code: 'cancelled' });
    await proxy.quiet();
  });

  it('sends bytes of the far side along with its answer loses none', async () => {
    const proxy = await startAnswering(answering('HTTP/1.1 200 OK\r\nX: y\r\n\r\nearly '));
    const address = { host: '127.0.0.1', port: proxy.port, isIp: true, name: 'p', secure: false };
    const socket = await openTunnel(address, { host: 'far.example.com', port: 1, isIp: false }, new AbortController().signal);
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    await once(socket, 'data');
    socket.destroy();
    expect(text).toBe('early ');
  });

  it('sends bytes that are no TLS along with its answer is found out', async () => {
    const proxy = await startAnswering(answering('HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n'));
    const { error } = await through(`http://127.0.0.1:${proxy.port}`);
    expect(error).toMatchObject({ code: 'relay_not_towline', message: expect.stringContaining('does not speak TLS') });
    await proxy.quiet();
  });
});

/** Writes a text again and again until nobody listens. */
async function drip(socket: Socket, text: string): Promise<void> {
  socket.resume();
  for await (const _tick of everyMs(20)) {
    if (socket.destroyed) return;
    if (text !== '') socket.write(text);
  }
}
