import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import { CONTRACT_LEVEL, isPlugin } from '@towline/contract';
import { acceptUpgrade } from '@towline/link';
import { afterEach, describe, expect, it } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { plugin } from '../src/index.ts';
import { pair, type RelayServer, startRelay } from './relay-server.ts';

const opened: (RelayServer | TLSSocket)[] = [];

afterEach(async () => {
  for (const each of opened.splice(0).reverse()) {
    if ('relay' in each) await each[Symbol.asyncDispose]();
    else each.destroy();
  }
});

async function start(...how: Parameters<typeof startRelay>): Promise<RelayServer> {
  const relay = await startRelay(...how);
  opened.push(relay);
  return relay;
}

async function open({ relay }: RelayServer): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: Number(relay.port), servername: 'localhost', ca: pair.ca.pem });
  opened.push(socket);
  await once(socket, 'secureConnect');
  return socket;
}

/** Reads until `end` was seen. */
async function readUntil(socket: TLSSocket, end: string): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += chunk;
    if (text.includes(end)) break;
  }
  return text;
}

const REQUEST = 'GET /v1/links/device HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: Towline/1\r\n\r\n';

describe('an upgrade at the relay', () => {
  it('is answered with 101, and early bytes come first and whole', async () => {
    const relay = await start(async (request, socket, head) => {
      const duplex = await acceptUpgrade(request, socket, head);
      duplex.pipe(duplex);
    });
    const socket = await open(relay);
    socket.write(`${REQUEST}early `);
    socket.write('and late.');
    expect(await readUntil(socket, 'late.')).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: towline/1\r\n\r\nearly and late.',
    );
  });

  it('leaves neither the timeouts of the server nor Nagle on the connection', async () => {
    const relay = await start(() => undefined);
    relay.server.setTimeout(60_000);
    const upgraded = once(relay.server, 'upgrade');
    const socket = await open(relay);
    socket.write(REQUEST);
    const [request, relaySocket, head] = await upgraded;
    expect(relaySocket.timeout).toBe(60_000);
    await acceptUpgrade(request, relaySocket, head);
    expect(relaySocket.timeout).toBe(0);
    expect(relaySocket.listenerCount('timeout')).toBe(0);
  });

  it.each([
    ['POST', REQUEST.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')],
    ['another token', REQUEST.replace('Towline/1', 'websocket')],
    ['a list of tokens', REQUEST.replace('Towline/1', 'websocket, towline/1')],
    ['a longer token', REQUEST.replace('Towline/1', 'towline/10')],
  ])('is refused for %s, with nothing written', async (_what, text) => {
    const relay = await start(() => undefined);
    const upgraded = once(relay.server, 'upgrade');
    const socket = await open(relay);
    socket.write(text);
    const [request, relaySocket, head] = await upgraded;
    await expect(acceptUpgrade(request, relaySocket, head)).rejects.toMatchObject({ code: 'protocol_error' });
    relaySocket.end('bye');
    expect(await readUntil(socket, 'bye')).toBe('bye');
  });

  it('fails with link_lost when the peer has gone', async () => {
    const relay = await start(() => undefined);
    const upgraded = once(relay.server, 'upgrade');
    const socket = await open(relay);
    socket.write(REQUEST);
    const [request, relaySocket, head] = await upgraded;
    relaySocket.destroy();
    await expect(acceptUpgrade(request, relaySocket, head)).rejects.toMatchObject({ code: 'link_lost' });
  });
});

describe('the package', () => {
  it('brings the plugin that its manifest names', () => {
    expect(manifest.towline).toEqual({ contract: CONTRACT_LEVEL, plugins: [{ kind: 'transport', name: 'tls', export: '.' }] });
    expect(isPlugin(plugin)).toBe(true);
    expect([plugin.kind, plugin.name]).toEqual(['transport', 'tls']);
  });

  it('has no options, and says so when some are given', async () => {
    const validate = plugin.options['~standard'].validate;
    expect((await validate({})).issues).toBeUndefined();
    expect((await validate({ port: 1 })).issues).toHaveLength(1);
  });
});
