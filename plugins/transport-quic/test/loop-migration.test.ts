import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ByteStream } from '@towline/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { openUdpImpairment, type PathOptions, type UdpImpairment } from '../../../test/support/udp-impairment/impairment.mjs';
import { followRoute } from '../src/loop/follow-route.ts';
import { openUdpSocket } from '../src/loop/udp-socket.ts';
import { echo, type LinkedPair, link, readAll, serveEcho, startServer, type TestServer, until, within } from './support-quic.ts';
import { type TappedSocket, tap } from './support-tap.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const CHUNK = 65_536;
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** A transfer each way on a stream of its own, checked to the last byte. */
function transfer(pair: LinkedPair, bytes: number): Promise<void> {
  const [up, down] = [randomBytes(bytes), randomBytes(bytes)];
  const far = new Promise<string>((resolve, reject) => {
    serveEcho(pair.acceptor, (stream) => {
      write(stream, down);
      readAll(stream).then((all) => resolve(digest(all)), reject);
    });
  });
  const stream = pair.opener.openStream(Buffer.from('transfer'));
  write(stream, up);
  return Promise.all([readAll(stream), far]).then(([received, atFar]) => {
    expect(digest(received)).toBe(digest(down));
    expect(atFar).toBe(digest(up));
  });
}

function write(stream: ByteStream, bytes: Buffer): void {
  const chunks = function* () {
    for (let at = 0; at < bytes.length; at += CHUNK) yield bytes.subarray(at, at + CHUNK);
  };
  Readable.from(chunks()).pipe(stream);
}

async function serve(): Promise<TestServer & { readonly socket: TappedSocket }> {
  const socket = tap(await openUdpSocket({ bind: { host: '127.0.0.1', port: 0 } }));
  const server = await startServer({ socket });
  open.push(server.close);
  return { ...server, socket };
}

/** A link through a proxy that can forget its clients' addresses. */
async function linkThrough(path: PathOptions): Promise<{ readonly pair: LinkedPair; readonly proxy: UdpImpairment }> {
  const server = await serve();
  const proxy = await openUdpImpairment({ ...path, target: server.local });
  open.push(() => proxy.close());
  const openSocket = () => openUdpSocket({ connect: proxy.local });
  const pair = await link(server, {}, { openSocket });
  open.push(() => pair.opener.close('link_closed'));
  // An end that only receives says nothing of itself: without this it would be found again by its next keep-alive.
  followRoute(pair.dialled, proxy.local);
  serveEcho(pair.acceptor);
  return { pair, proxy };
}

describe('a dialler that goes on over another socket', () => {
  it('in the middle of transfers both ways, ten times in a row, loses no byte', async () => {
    const server = await serve();
    const pair = await link(server);
    open.push(() => pair.opener.close('link_closed'));
    const moved = transfer(pair, 30_000_000);
    for (let times = 0; times < 10; times += 1) {
      await new Promise((soon) => setTimeout(soon, 30));
      const before = pair.dialled.local;
      expect(await pair.dialled.migrate()).toBe(true);
      expect(pair.dialled.local).not.toEqual(before);
    }
    await within(moved, 'the transfers', 30_000);
    expect(await echo(pair.opener)).toBe('is anybody there');
    await until(() => pair.far.peer.port === pair.dialled.local.port, 'the server knows where the dialler is');
    expect(server.server.figures).toMatchObject({ connections: 1, connections_total: 1 });
  }, 60_000);

  it('while nothing is on its way is found there by the other end', async () => {
    const server = await serve();
    const pair = await link(server);
    open.push(() => pair.opener.close('link_closed'));
    serveEcho(pair.acceptor);
    for (let times = 0; times < 10; times += 1) {
      expect(await pair.dialled.migrate()).toBe(true);
      await until(() => pair.far.peer.port === pair.dialled.local.port, 'the server knows where the dialler is');
      expect(await pair.acceptor.ping(AbortSignal.timeout(5_000))).toBeGreaterThan(0);
    }
  }, 60_000);

  it('again and again before it is found, is found at last', async () => {
    const server = await serve();
    for (let rounds = 0; rounds < 12; rounds += 1) {
      const pair = await link(server);
      const moved = transfer(pair, 3_000_000);
      for (let times = 0; times < 10; times += 1) {
        await new Promise((soon) => setTimeout(soon, (rounds * 5 + times * 3) % 13));
        await pair.dialled.migrate();
      }
      await within(moved, `the transfers of round ${rounds}`, 10_000);
      await pair.opener.close('link_closed');
    }
  }, 60_000);

  it('is not disturbed when a packet to the id it used before comes late', async () => {
    const server = await serve();
    const held: Buffer[] = [];
    let holds = false;
    const openSocket = async () => {
      const socket = await openUdpSocket({ connect: server.local });
      return {
        ...socket,
        send(packet: Uint8Array, to: typeof server.local) {
          if (holds && held.length < 5) held.push(Buffer.from(packet));
          else socket.send(packet, to);
        },
      };
    };
    const pair = await link(server, {}, { openSocket });
    open.push(() => pair.opener.close('link_closed'));
    serveEcho(pair.acceptor);
    holds = true;
    expect(await echo(pair.opener, 'v'.repeat(20_000))).toBe('v'.repeat(20_000));
    holds = false;
    expect(held.length).toBeGreaterThan(0);
    const before = pair.dialled.local;
    for (let times = 0; times < 3; times += 1) {
      expect(await pair.dialled.migrate()).toBe(true);
      await until(() => pair.far.peer.port === pair.dialled.local.port, 'the server knows where the dialler is');
      expect(await echo(pair.opener)).toBe('is anybody there');
    }
    for (const packet of held) server.socket.inject(packet, before);
    for (const packet of held) server.socket.inject(packet, pair.dialled.local);
    expect(await echo(pair.opener)).toBe('is anybody there');
    expect(pair.near.isClosed || pair.far.isClosed).toBe(false);
  });

  it('does not when the connection is over, or is not there yet', async () => {
    const server = await serve();
    const pair = await link(server);
    await pair.opener.close('link_closed');
    expect(await pair.dialled.migrate()).toBe(false);
    await until(() => server.server.figures['connections'] === 0, 'the connection is gone');
    expect(await pair.dialled.migrate()).toBe(false);
  });
});

describe('a translator that forgets', () => {
  it('in the middle of transfers both ways, ten times in a row, costs no byte', async () => {
    const { pair, proxy } = await linkThrough({ seed: 7, up: { delayMs: 2 }, down: { delayMs: 2 } });
    const moved = transfer(pair, 10_000_000);
    for (let times = 0; times < 10; times += 1) {
      await new Promise((soon) => setTimeout(soon, 50));
      await proxy.rebind();
    }
    await within(moved, 'the transfers', 40_000);
    expect(await echo(pair.opener)).toBe('is anybody there');
    expect(pair.near.isClosed || pair.far.isClosed).toBe(false);
  }, 60_000);

  it('on a way with losses and another order costs no byte', async () => {
    const bad = { loss: 0.01, delayMs: 3, jitterMs: 2, reorder: { probability: 0.02, holdMs: 4 }, duplicate: 0.02, corrupt: 0.005 };
    const { pair, proxy } = await linkThrough({ seed: 11, up: bad, down: bad });
    const moved = transfer(pair, 1_500_000);
    for (let times = 0; times < 5; times += 1) {
      await new Promise((soon) => setTimeout(soon, 150));
      await proxy.rebind({ host: `127.0.0.${times + 2}` });
    }
    await within(moved, 'the transfers', 45_000);
    expect(await echo(pair.opener)).toBe('is anybody there');
  }, 60_000);
});

describe('packets of a link that somebody else sends on', () => {
  it('as noise to an id of it, from any address, do not look like its peer', async () => {
    const server = await serve();
    const pair = await link(server);
    open.push(() => pair.opener.close('link_closed'));
    serveEcho(pair.acceptor);
    await echo(pair.opener);
    // Last acknowledgements may come late.
    await until(() => performance.now() - pair.far.lastReceivedMs > 500, 'the peer is silent');
    const before = pair.far.lastReceivedMs;
    for (let count = 0; count < 100; count += 1) {
      const noise = Buffer.concat([Buffer.of(0x40), pair.far.native.sourceId(), randomBytes(60)]);
      server.socket.inject(noise, { host: '127.0.0.77', port: 7_000 + count });
      server.socket.inject(noise, pair.far.peer);
      if (count % 10 === 0) await new Promise((soon) => setTimeout(soon, 30));
    }
    expect(pair.far.lastReceivedMs).toBe(before);
    expect(await echo(pair.opener)).toBe('is anybody there');
    await until(() => pair.far.lastReceivedMs > before, 'the peer is heard');
  });

  it('do not draw it away: what is copied to the server from another address changes nothing', async () => {
    const server = await serve();
    let near!: TappedSocket;
    const openSocket = async () => {
      near = tap(await openUdpSocket({ connect: server.local }));
      return near;
    };
    const pair = await link(server, {}, { openSocket });
    open.push(() => pair.opener.close('link_closed'));
    serveEcho(pair.acceptor);
    const thief = { host: '127.0.0.77', port: 7_777 };
    for (let rounds = 0; rounds < 30; rounds += 1) {
      const seen = near.sent.length;
      expect(await echo(pair.opener, 'z'.repeat(3_000))).toBe('z'.repeat(3_000));
      // Each packet once more, after it has arrived.
      for (const { packet } of near.sent.slice(seen)) server.socket.inject(packet, thief);
    }
    expect(pair.far.peer).toEqual(near.local);
    expect(await echo(pair.opener)).toBe('is anybody there');
    const astray = server.socket.sent.filter(({ peer }) => peer.port === thief.port);
    expect(astray).toHaveLength(0);
  });

  it('before the true ones arrive, make the server ask there, and it comes back when nobody answers', async () => {
    const server = await serve();
    let near!: TappedSocket;
    const openSocket = async () => {
      near = tap(await openUdpSocket({ connect: server.local }));
      return {
        ...near,
        send(packet: Uint8Array, to: typeof server.local) {
          ahead(packet);
          near.send(packet, to);
        },
      };
    };
    let stealing = false;
    const thief = { host: '127.0.0.77', port: 7_777 };
    const ahead = (packet: Uint8Array) => {
      if (stealing) server.socket.inject(packet, thief);
    };
    const pair = await link(server, {}, { openSocket });
    open.push(() => pair.opener.close('link_closed'));
    serveEcho(pair.acceptor);
    stealing = true;
    const first = echo(pair.opener, 'w'.repeat(20_000));
    await new Promise((soon) => setTimeout(soon, 100));
    stealing = false;
    expect(await first).toBe('w'.repeat(20_000));
    expect(await echo(pair.opener)).toBe('is anybody there');
    const [sent, received] = [server.socket.sent, server.socket.received].map((packets) =>
      packets.filter(({ peer }) => peer.port === thief.port).reduce((sum, { packet }) => sum + packet.length, 0),
    );
    // Never more than three times what came from there, of which the test counts none.
    expect(received).toBe(0);
    expect(sent).toBeLessThan(100_000);
  }, 30_000);
});
