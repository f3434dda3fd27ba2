import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setInterval as everyMs } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import type { DialRequest, Link } from '@towline/contract';
import { createLink, retryAfterMs } from '@towline/link';
import { afterEach, describe, expect, it } from 'vitest';
import type { TlsDialHost } from '../src/dial.ts';
import { DIALS, silent, type TransportName, upgradeOf } from './dialled-link.ts';
import { dialRequest, type RelayServer, startRelay } from './relay-server.ts';

const relays: RelayServer[] = [];
const links: Link[] = [];

afterEach(async () => {
  for (const link of links.splice(0)) await link.close('link_closed');
  for (const relay of relays.splice(0)) await relay[Symbol.asyncDispose]();
});

async function start(...how: Parameters<typeof startRelay>): Promise<RelayServer> {
  const relay = await startRelay(...how);
  relays.push(relay);
  return relay;
}

/** A relay that completes upgrades with the plugin, and hands out its end of each link. */
async function startReal(name: TransportName, role: 'opener' | 'acceptor'): Promise<{ relay: RelayServer; accepted: Promise<Link> }> {
  let accept: (link: Link) => void = () => undefined;
  const accepted = new Promise<Link>((resolve) => {
    accept = resolve;
  });
  const relay = await start(async (request, socket, head) => {
    const link = createLink(await upgradeOf(name).complete(request, socket, head), { role });
    links.push(link);
    accept(link);
  });
  return { relay, accepted };
}

async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

function echo(link: Link): void {
  link.onStream((stream) => {
    stream.on('error', () => undefined);
    stream.pipe(stream);
  });
}

/** Answers by hand, on a socket that carries HTTP. */
type Answer = (socket: TLSSocket) => unknown;

const html = 'HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>';
const refusal = (status: string, error: object, more = '') => {
  const body = JSON.stringify({ error });
  return `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n${more}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`;
};

/** Writes a byte again and again, as slowly as keeps an idle timer from firing. */
async function drip(socket: TLSSocket, text: string): Promise<void> {
  socket.write(text);
  for await (const _tick of everyMs(20)) {
    if (socket.destroyed) return;
    socket.write('x');
  }
}

const HOSTILE: [string, string, Answer][] = [
  [
    'answers 101 with another token',
    'relay_not_towline',
    (socket) => socket.write('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
  ],
  [
    'answers 101 with a longer token',
    'relay_not_towline',
    (socket) => socket.write('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: towline/11\r\n\r\n'),
  ],
  [
    'answers 101 with two tokens',
    'relay_not_towline',
    (socket) => socket.write('HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: towline/1, x\r\n\r\n'),
  ],
  ['answers 101 without a token', 'relay_not_towline', (socket) => socket.write('HTTP/1.1 101 Yes\r\n\r\n')],
  [
    'answers 200',
    'relay_not_towline',
    (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'),
  ],
  [
    'redirects',
    'relay_not_towline',
    (socket) => socket.write('HTTP/1.1 302 Found\r\nLocation: https://evil.example.com/\r\nContent-Length: 0\r\n\r\n'),
  ],
  ['answers 404 in HTML', 'relay_not_towline', (socket) => socket.write(html)],
  ['sends endless headers', 'relay_not_towline', (socket) => socket.write(`HTTP/1.1 101 Yes\r\n${'x: y\r\n'.repeat(20_000)}`)],
  ['sends one endless header', 'relay_not_towline', (socket) => socket.write(`HTTP/1.1 101 Yes\r\nx: ${'y'.repeat(100_000)}`)],
  ['does not speak HTTP', 'relay_not_towline', (socket) => socket.write('220 mail.example.com ESMTP\r\n')],
  [
    'sends an endless refusal',
    'protocol_error',
    (socket) => socket.write(`HTTP/1.1 403 No\r\nContent-Type: application/json\r\n\r\n${' '.repeat(100_000)}`),
  ],
  ['cuts the connection before an answer', 'relay_unreachable', (socket) => socket.destroy()],
  ['ends the connection before an answer', 'relay_unreachable', (socket) => socket.end()],
  ['cuts the connection in the 101', 'relay_unreachable', (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nConn')],
  ['cuts the connection in a refusal', 'relay_unreachable', (socket) => socket.end('HTTP/1.1 403 No\r\nContent-Length: 99\r\n\r\n{"er')],
];

async function repeat(socket: TLSSocket, text: string): Promise<void> {
  for await (const _tick of everyMs(5)) {
    if (socket.destroyed) return;
    socket.write(text);
  }
}

/** The dialler's end must not stay behind: the peer sees the connection close. */
async function closed(socket: TLSSocket): Promise<void> {
  socket.resume();
  if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
}

/** The relay's end on a corked socket: the bare upgrade would wait until its 101 is out, so that is written by hand. */
async function completeCorked(
  name: TransportName,
  { request, socket, head }: { readonly request: IncomingMessage; readonly socket: TLSSocket; readonly head: Buffer },
): Promise<Duplex> {
  if (name === 'websocket') return upgradeOf(name).complete(request, socket, head);
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: Towline/1\r\n\r\n');
  return socket;
}

describe.each<TransportName>(['tls', 'websocket'])('over %s', (name) => {
  async function dial(relay: RelayServer, extra: Partial<DialRequest> = {}, host: Partial<TlsDialHost> = {}): Promise<Link> {
    const link = await DIALS[name]({ ...silent, ...host }).dial(dialRequest(relay.relay, extra));
    links.push(link);
    return link;
  }

  describe('a link over an upgraded connection', () => {
    it('lets a client open streams towards the relay', async () => {
      const { relay, accepted } = await startReal(name, 'acceptor');
      const link = await dial(relay, { role: 'client', credential: { header: 'Authorization', value: 'Bearer token' } });
      echo(await accepted);
      const stream = link.openStream(Buffer.from('hello'));
      stream.end('to the relay and back');
      expect(await readAll(stream)).toBe('to the relay and back');
      expect(relay.requests[0]).toMatchObject({
        method: 'GET',
        url: '/v1/links/client',
        headers: { upgrade: upgradeOf(name).token, connection: 'Upgrade', authorization: 'Bearer token', host: relay.relay.host },
      });
    });

    it('lets the relay open streams towards a device', async () => {
      const { relay, accepted } = await startReal(name, 'opener');
      echo(await dial(relay));
      const stream = (await accepted).openStream(Buffer.from('hello'));
      stream.end('to the device and back');
      expect(await readAll(stream)).toBe('to the device and back');
      expect(relay.requests[0]).toMatchObject({ url: '/v1/links/device', headers: { 'x-api-key': 'twl_d_secret' } });
    });

    it('loses no byte that the relay sends in one write with the 101', async () => {
      const relay = await start(async (request, socket, head) => {
        // What a link of the opener sends at once, held back until the 101 goes out before it.
        socket.cork();
        const link = createLink(await completeCorked(name, { request, socket, head }), { role: 'opener' });
        links.push(link);
        link.openStream(Buffer.from('early')).end('bird');
        setImmediate(() => socket.uncork());
      });
      const link = await dial(relay);
      const text = await new Promise<string>((resolve, reject) => {
        link.onStream((stream) => readAll(stream).then((read) => resolve(`${stream.head} ${read}`), reject));
      });
      expect(text).toBe('early bird');
    });
  });

  describe('a relay that refuses', () => {
    it('is reported with its own code, message and hint', async () => {
      const error = { code: 'key_revoked', message: 'The key was revoked on Monday.', hint: 'Ask Ada.' };
      const relay = await start((_request, socket) => socket.end(refusal('401 Unauthorized', error)));
      await expect(dial(relay)).rejects.toMatchObject({ name: 'TowlineError', ...error });
    });

    it('is reported with the wait it asks for', async () => {
      const error = { code: 'unavailable', message: 'Too many at once.' };
      const relay = await start((_request, socket) => socket.end(refusal('503 Busy', error, 'Retry-After: 12\r\n')));
      expect(retryAfterMs(await dial(relay).catch((fault) => fault))).toBe(12_000);
    });

    it('is reported although it keeps the connection open', async () => {
      const relay = await start((_request, socket) =>
        socket.write(refusal('403 Forbidden', { code: 'forbidden' }).replace('Connection: close\r\n', '')),
      );
      await expect(dial(relay)).rejects.toMatchObject({ code: 'forbidden' });
    });
  });

  describe('a peer that', () => {
    it.each(HOSTILE)('%s is reported as %s', async (_what, code, answer) => {
      let peer: TLSSocket | undefined;
      const relay = await start((_request, socket) => {
        peer = socket;
        answer(socket);
      });
      await expect(dial(relay)).rejects.toMatchObject({ code });
      await closed(peer!);
    });

    const slow: [string, Answer][] = [
      ['never answers', () => undefined],
      ['drips its status line', (socket) => void drip(socket, 'HTTP/1.1 101 ')],
      ['drips its headers', (socket) => void drip(socket, 'HTTP/1.1 101 Yes\r\nConnection: ')],
      ['drips its refusal', (socket) => void drip(socket, 'HTTP/1.1 403 No\r\nContent-Length: 9999\r\n\r\n{')],
      ['says again and again that it is at it', (socket) => void repeat(socket, 'HTTP/1.1 102 Processing\r\n\r\n')],
    ];
    it.each(slow)('%s is left at the deadline', async (_what, answer) => {
      let peer: TLSSocket | undefined;
      const relay = await start((_request, socket) => {
        peer = socket;
        answer(socket);
      });
      const attempt = dial(relay, {}, { deadlineMs: 300 });
      await expect(attempt).rejects.toMatchObject({
        code: 'relay_unreachable',
        message: expect.stringContaining('did not make a link within 0.3 s'),
      });
      await closed(peer!);
    });
  });

  describe('giving up', () => {
    it('before dialling opens no connection', async () => {
      const relay = await start(() => undefined);
      let connections = 0;
      relay.server.on('connection', () => (connections += 1));
      await expect(dial(relay, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
      expect(connections).toBe(0);
    });

    it.each(['connection', 'secureConnection', 'upgrade'])('at the %s of the relay ends the connection', async (event) => {
      const caller = new AbortController();
      const relay = await start(() => undefined);
      relay.server.once(event, () => caller.abort());
      const gone = once(relay.server, 'connection').then(([socket]) => new Promise((resolve) => socket.once('close', resolve)));
      await expect(dial(relay, { signal: caller.signal })).rejects.toMatchObject({ code: 'cancelled' });
      await gone;
    });

    it('after the link is made does not touch it', async () => {
      const { relay, accepted } = await startReal(name, 'opener');
      const caller = new AbortController();
      echo(await dial(relay, { signal: caller.signal }));
      caller.abort();
      const stream = (await accepted).openStream(Buffer.from('x'));
      stream.end('still there');
      expect(await readAll(stream)).toBe('still there');
    });
  });

  describe('the credential', () => {
    it.each([{ fingerprint: `sha256:${'0'.repeat(64)}` }, {}])('is not sent to a relay that is not trusted (%j)', async (trust) => {
      const relay = await start(() => undefined);
      await expect(dial(relay, { trust })).rejects.toMatchObject({ code: 'relay_untrusted' });
      expect(relay.requests).toHaveLength(0);
    });

    it('that no header can carry is refused without repeating it', async () => {
      const relay = await start(() => undefined);
      const attempt = dial(relay, { credential: { header: 'X-API-Key', value: 'secret\r\nX-Evil: 1' } });
      await expect(attempt).rejects.toMatchObject({ code: 'unauthenticated', message: expect.not.stringContaining('secret') });
      expect(relay.requests).toHaveLength(0);
    });

    it('goes out with a loud warning when verification is switched off', async () => {
      const warnings: string[] = [];
      const { relay } = await startReal(name, 'opener');
      await dial(relay, { trust: { trustInvalid: true } }, { warn: (text) => warnings.push(text) });
      expect(warnings).toEqual([expect.stringContaining('NOT checked')]);
    });
  });
});
