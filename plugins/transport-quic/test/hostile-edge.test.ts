import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { makeTestPair } from '../../../core/link/test/trust-certificates.ts';
import { loadQuiche } from '../src/binding/load-quiche.ts';
import type { HostPort } from '../src/binding/quiche.ts';
import { clientConfig } from '../src/loop/quic-config.ts';
import { createQuicServer, type QuicServer, type ServerLimits } from '../src/loop/quic-server.ts';
import { openUdpSocket } from '../src/loop/udp-socket.ts';
import { connectEdge, dialEdge, startTestRelay, type TestRelay, until } from './edge-door.ts';

const { quiche } = loadQuiche();
const made = makeTestPair();
const left: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of left.splice(0)) await each();
});

async function start(...how: Parameters<typeof startTestRelay>): Promise<TestRelay> {
  const relay = await startTestRelay(...how);
  left.push(async () => await relay[Symbol.asyncDispose]());
  return relay;
}

async function serve(limits: ServerLimits = {}): Promise<{ readonly server: QuicServer; readonly local: HostPort }> {
  const socket = await openUdpSocket({ bind: { host: '127.0.0.1', port: 0 } });
  const server = createQuicServer({
    quiche,
    socket,
    certificate: { certPem: made.chainPem, keyPem: made.leaf.keyPem },
    secret: randomBytes(32),
    onConnection: () => undefined,
    limits,
  });
  left.push(() => server.close('unavailable', 'The test is over.'));
  return { server, local: socket.local };
}

/** Sends the first packets of so many handshakes, from one address, and never another one. */
async function beginHandshakes(to: HostPort, count: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  left.push(async () => void socket.close());
  const from = { host: '127.0.0.1', port: socket.address().port };
  const config = clientConfig(quiche, null, {});
  for (let begun = 0; begun < count; begun += 1) {
    const packet = Buffer.alloc(1_350);
    const [length] = quiche.Connection.connect('localhost', randomBytes(20), from, to, config).send(packet)!;
    await new Promise((sent) => socket.send(packet.subarray(0, length), to.port, to.host, sent));
  }
}

describe('strangers', () => {
  it('never bring the figures below nothing: an edge that reports such is taken for one out of its mind', async () => {
    const { server, local } = await serve();
    await beginHandshakes(local, 40);
    await until('all are under way', () => server.figures.handshakes === 40);
    let least = 0;
    const looking = setInterval(() => {
      least = Math.min(least, ...Object.values(server.figures));
    }, 1);
    await until('all are over', () => server.figures.handshakes === 0);
    clearInterval(looking);
    expect(least).toBe(0);
  });

  it('of one address do not take all handshakes', async () => {
    const { server, local } = await serve({ maxHandshakes: 20, maxHandshakesPerOrigin: 5 });
    await beginHandshakes(local, 9);
    await until('the last are refused', () => server.figures.refused_total === 4);
    expect(server.figures.handshakes).toBe(5);
  });

  it('get no more than the stream that asks for a link, whatever they announce on others', async () => {
    const relay = await start();
    const connection = await connectEdge(relay.port);
    // A length of a head, and never the head.
    connection.native.streamSend(8_000, Buffer.from([0xbf, 0xff]), false);
    connection.wantsTurn();
    const end = await connection.closed;
    expect(end).toMatchObject({ by: 'peer', isApp: true });
    expect(end.reason).toContain('before the link was there');
  });

  it('that write to thousands of streams are turned away, and the edge stays as it is', async () => {
    const relay = await start();
    const pid = relay.edgePid();
    const connection = await connectEdge(relay.port);
    connection.native.streamSend(0, Buffer.alloc(1, 0x7f), false);
    for (let id = 4; id < 4 * 4_000; id += 4) connection.native.streamSend(id, Buffer.alloc(16), false);
    connection.wantsTurn();
    expect(await connection.closed).toMatchObject({ by: 'peer', isApp: true });
    expect(await dialEdge(relay.port, 'client').then((link) => link.close('link_closed'))).toBeUndefined();
    expect(relay.edgePid()).toBe(pid);
  });

  it('and known ones that leave no room send diallers to another transport, not away', async () => {
    const relay = await start({ maxConnections: 1 });
    const first = await dialEdge(relay.port, 'client');
    // A code of the way: for `rate_limited` a ladder would not go on to TLS.
    await expect(dialEdge(relay.port, 'client')).rejects.toMatchObject({ code: 'unavailable' });
    await first.close('link_closed');
  });
});
