import type { ByteStream, Link } from '@towline/contract';
import { ERRORS, frameMessage } from '@towline/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { acceptRequest, type LinkRequest } from '../src/link/accept-request.ts';
import { requestLink } from '../src/link/request-link.ts';
import type { QuicConnection } from '../src/loop/quic-connection.ts';
import { dial, echo, errorOf, link, readAll, serveEcho, startServer, type TestServer, until, within } from './support-quic.ts';
import { dialRaw, headed, type RawOptions, type RawPeer, request } from './support-raw-peer.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function serve(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  const server = await startServer(options);
  open.push(server.close);
  return server;
}

async function raw(server: TestServer, options: RawOptions = {}): Promise<{ readonly peer: RawPeer; readonly far: QuicConnection }> {
  const peer = await dialRaw(server.local, options);
  open.push(peer.close);
  return { peer, far: await server.next() };
}

/** A link whose dialler is the bare binding. */
async function rawLink(server: TestServer, limits: Parameters<LinkRequest['accept']>[0] = {}, role = 'client') {
  const { peer, far } = await raw(server);
  const asked = acceptRequest(far, AbortSignal.timeout(5_000));
  await peer.write(0, request({ role }));
  const end: Link = (await asked).accept(limits);
  serveEcho(end);
  expect((await peer.read(0)).toString()).toContain('accepted');
  return { peer, far, link: end };
}

/** A message of a link, as it is on its first stream. */
const message = (fields: Readonly<Record<string, unknown>>) => frameMessage(Buffer.from(JSON.stringify(fields)));

/** An honest link beside, which must not notice anything. */
async function beside(server: TestServer): Promise<() => Promise<void>> {
  const pair = await link(server);
  open.push(() => pair.opener.close('link_closed'));
  serveEcho(pair.acceptor);
  return async () => expect(await echo(pair.opener)).toBe('is anybody there');
}

describe('a peer that does not read', () => {
  it('holds up nobody else on its link, however much went over it before, and its writers wait', async () => {
    const server = await serve();
    const pair = await link(server);
    open.push(() => pair.opener.close('link_closed'));
    serveEcho(pair.acceptor, (stream) => {
      if (stream.head.toString() === 'sink') stream.resume();
    });
    const bulk = pair.opener.openStream(Buffer.from('sink'));
    for (let sent = 0; sent < 150_000_000; sent += 1_000_000) {
      if (!bulk.write(Buffer.alloc(1_000_000))) await new Promise((drained) => bulk.once('drain', drained));
    }
    const unread = Array.from({ length: 400 }, () => {
      const stream = pair.opener.openStream(Buffer.from('unread'));
      for (let chunks = 0; stream.write(Buffer.alloc(16_384)) && chunks < 100; chunks += 1);
      return stream;
    });
    for (let count = 0; count < 20; count += 1) expect(await echo(pair.opener)).toBe('is anybody there');
    // What they were given and quiche did not take is theirs to hold, no more.
    for (const stream of unread) expect(stream.writableLength).toBeLessThan(2_000_000);
    for (const stream of unread) stream.destroy();
    bulk.destroy();
    await until(() => pair.opener.stats.openStreams === 0 && pair.acceptor.stats.openStreams === 0, 'no stream is left');
  }, 60_000);

  it('for a while, of sixty fast transfers, gets every byte of them when it goes on', async () => {
    const server = await serve();
    const pair = await link(server);
    open.push(() => pair.opener.close('link_closed'));
    const bytes = 5_000_000;
    const whole: Promise<number>[] = [];
    pair.acceptor.onStream((stream) => void whole.push(readSlowly(stream)));
    for (let count = 0; count < 60; count += 1) pair.opener.openStream(Buffer.from('bulk')).end(Buffer.alloc(bytes, count));
    await until(() => whole.length === 60, 'the streams arrive');
    expect(await within(Promise.all(whole), 'all transfers', 50_000)).toEqual(Array.from({ length: 60 }, () => bytes));
  }, 60_000);

  /** Reads fast, then not at all for a second, then the rest. */
  async function readSlowly(stream: ByteStream): Promise<number> {
    let bytes = 0;
    let paused = false;
    stream.on('data', (part: Buffer) => {
      bytes += part.length;
      if (paused || bytes < 3_000_000) return;
      paused = true;
      stream.pause();
      setTimeout(() => stream.resume(), 2_000);
    });
    await new Promise((resolve, reject) => stream.once('end', resolve).once('error', reject));
    return bytes;
  }
});

describe('a peer that does too much', () => {
  it('may open and abandon ten thousand streams, and leaves nothing of them', async () => {
    const server = await serve();
    const pair = await link(server);
    open.push(() => pair.opener.close('link_closed'));
    serveEcho(pair.acceptor);
    for (let count = 0; count < 10_000; count += 1) {
      pair.opener.openStream(Buffer.from('nothing')).destroy();
      if (count % 500 === 499) expect(await echo(pair.opener)).toBe('is anybody there');
    }
    await until(() => pair.near.openStreams === 1 && pair.far.openStreams === 1, 'no stream is left');
  }, 60_000);

  it('loses its link when it sends control messages without end', async () => {
    const server = await serve();
    const honest = await beside(server);
    const bad = await rawLink(server, { controlFramesPerSecond: 100 });
    const pings = Buffer.concat(Array.from({ length: 1_500 }, (_, id) => message({ type: 'ping', id })));
    await bad.peer.write(0, pings).catch(() => {});
    expect(await within(bad.link.closed, 'the end of the link')).toMatchObject({ code: 'link_flooded', by: 'self' });
    expect(await bad.peer.closedByPeer()).toMatchObject({ isApp: true, errorCode: ERRORS.link_flooded.wire });
    await honest();
  });

  it('loses its link when it causes more answers than it reads', async () => {
    const server = await serve();
    const honest = await beside(server);
    const bad = await rawLink(server, { controlFramesPerSecond: 1_000_000 });
    const pings = Buffer.concat(Array.from({ length: 1_000 }, (_, id) => message({ type: 'ping', id })));
    for (let rounds = 0; rounds < 100 && !bad.far.isClosed; rounds += 1) await bad.peer.write(0, pings).catch(() => {});
    expect(await within(bad.link.closed, 'the end of the link')).toMatchObject({ code: 'link_flooded', by: 'self' });
    await honest();
  });

  it('and announces heads that it never sends, takes no memory and no place of others', async () => {
    const server = await serve();
    const honest = await beside(server);
    const bad = await rawLink(server);
    const before = process.memoryUsage().arrayBuffers;
    const length = Buffer.from([0xbf, 0xfe]);
    for (let id = 4; id < 4 * 5_000; id += 4) {
      bad.peer.native.streamSend(id, length, false);
      if (id % 400 === 0) {
        bad.peer.flush();
        await new Promise((soon) => setImmediate(soon));
      }
    }
    bad.peer.flush();
    await until(() => bad.far.openStreams > 4_900, 'the heads arrive');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50_000_000);
    await honest();
  });
});

describe('a stranger', () => {
  const rubbish: Readonly<Record<string, Buffer>> = {
    'is no JSON': headed('{"role":'),
    'is JSON of something else': headed('[1,2,3]'),
    'names an unknown role': request({ role: 'admin' }),
    'brings a huge credential': request({ credential: { header: 'X-API-Key', value: 'x'.repeat(17_000) } }),
    'names another header': request({ credential: { header: 'Cookie', value: 'x' } }),
    'says more than is asked for': request({ more: true }),
    'is deep': headed('['.repeat(5_000)),
    'is no UTF-8': headed(Buffer.alloc(100, 0xff)),
  };
  for (const [what, bytes] of Object.entries(rubbish)) {
    it(`whose request ${what} is told that it broke the protocol`, async () => {
      const server = await serve();
      const { peer, far } = await raw(server);
      const asked = acceptRequest(far, AbortSignal.timeout(5_000)).catch((error: unknown) => error);
      await peer.write(0, bytes);
      expect(await asked).toMatchObject({ code: 'protocol_error' });
      const end = await peer.closedByPeer();
      expect(end).toMatchObject({ isApp: true, errorCode: ERRORS.protocol_error.wire });
      expect(end.reason.length).toBeLessThanOrEqual(800);
    });
  }

  for (const [what, bytes] of [
    ['no bytes', Buffer.of(0, 0)],
    ['65,535 bytes', Buffer.concat([Buffer.of(255, 255), Buffer.alloc(1_000)])],
  ] as const) {
    it(`that announces a head of ${what} gets no link, and its connection is over by the deadline`, async () => {
      const server = await serve();
      const { peer, far } = await raw(server);
      const asked = acceptRequest(far, AbortSignal.timeout(500)).catch((error: unknown) => error);
      await peer.write(0, bytes);
      await within(asked, 'an answer');
      await peer.closedByPeer();
      await until(() => server.server.figures['connections'] === 0, 'the connection is gone');
    });
  }

  it('that opens a second stream before its link is there loses the connection', async () => {
    const server = await serve();
    const { peer, far } = await raw(server);
    const asked = acceptRequest(far, AbortSignal.timeout(5_000));
    await peer.write(0, request());
    const waiting = await asked;
    expect(waiting.role).toBe('client');
    // Not even its head is whole.
    await peer.write(4, Buffer.of(0));
    expect(await peer.closedByPeer()).toMatchObject({ isApp: true, errorCode: ERRORS.protocol_error.wire });
  });

  it('that begins with another stream than the first loses the connection', async () => {
    const server = await serve();
    const { peer, far } = await raw(server);
    const asked = acceptRequest(far, AbortSignal.timeout(5_000)).catch((error: unknown) => error);
    await peer.write(8, request());
    expect(await asked).toMatchObject({ code: expect.stringMatching(/protocol_error|link_lost/) });
    expect(await peer.closedByPeer()).toMatchObject({ isApp: true, errorCode: ERRORS.protocol_error.wire });
  });

  it('that ends or resets its request is given up', async () => {
    const server = await serve();
    for (const leave of [
      (peer: RawPeer) => peer.write(0, request(), true),
      async (peer: RawPeer) => {
        await peer.write(0, request().subarray(0, 10));
        peer.native.streamShutdown(0, 1, 7);
        peer.flush();
      },
    ]) {
      const { peer, far } = await raw(server);
      const asked = acceptRequest(far, AbortSignal.timeout(500)).then(
        (asking) => asking.accept().closed,
        (error: unknown) => error,
      );
      await leave(peer);
      await within(asked, 'an answer');
      await peer.closedByPeer();
    }
    await until(() => server.server.figures['connections'] === 0, 'the connections are gone');
  });
});

describe('a relay that is none', () => {
  const answers: Readonly<Record<string, (first: ByteStream) => void>> = {
    'something else': (first) => void first.write('HTTP/1.1 200 OK\r\n\r\n'),
    'a message that is no answer': (first) => void first.write(message({ type: 'welcome' })),
    'a refusal without its fields': (first) => void first.write(message({ type: 'refused' })),
    'a length that is too great': (first) => void first.write(Buffer.alloc(64, 0xff)),
    'nothing, and ends': (first) => void first.end(),
    'a reset': (first) => void first.destroy(),
  };
  for (const [what, answer] of Object.entries(answers)) {
    it(`that answers ${what} is named so, and the connection is closed`, async () => {
      const server = await serve({ onConnection: (connection) => (connection.onStream = answer) });
      const { connection } = await dial(server.local);
      const credential = { header: 'X-API-Key', value: 'twl_test' } as const;
      const asked = requestLink(connection, { role: 'client', credential }, AbortSignal.timeout(5_000));
      await expect(within(asked, 'an answer')).rejects.toMatchObject({ name: 'TowlineError' });
      await within(connection.closed, 'the end of the connection');
      await until(() => server.server.figures['connections'] === 0, 'the connection is gone');
    });
  }
});

describe('a peer on a link', () => {
  const broken: Readonly<Record<string, Buffer>> = {
    'is no JSON': frameMessage(Buffer.from('{{{')),
    'is of no known type': message({ type: 'dance' }),
    'is a ping without a number': message({ type: 'ping', id: 1.5 }),
    'is a goodbye with a negative count': message({ type: 'close', code: 'link_closed', message: '', sent: -1 }),
    'resets the stream that carries the link': message({ type: 'reset', stream: 0, code: 10 }),
    'is too long': frameMessage(Buffer.alloc(8_193, 0x20)),
  };
  for (const [what, bytes] of Object.entries(broken)) {
    it(`whose message ${what} loses its link, and others nothing`, async () => {
      const server = await serve();
      const honest = await beside(server);
      const bad = await rawLink(server);
      await bad.peer.write(0, bytes);
      expect(await within(bad.link.closed, 'the end of the link')).toMatchObject({ by: 'self' });
      expect((await bad.peer.closedByPeer()).isApp).toBe(true);
      await honest();
    });
  }

  for (const sent of [0, Number.MAX_SAFE_INTEGER]) {
    it(`that says goodbye after ${sent} bytes is let go in time`, async () => {
      const server = await serve();
      const bad = await rawLink(server);
      await bad.peer.write(4, headed('unread'));
      await bad.peer.write(0, message({ type: 'close', code: 'no such code', message: 'x'.repeat(1_024), sent }));
      expect(await within(bad.link.closed, 'the end of the link', 5_000)).toMatchObject({ code: 'link_closed', by: 'peer' });
    });
  }

  it('may say of streams that never were that they are reset, and pong what nobody asked', async () => {
    const server = await serve();
    const bad = await rawLink(server);
    const words = [];
    for (let count = 1; count < 3_000; count += 1) words.push(message({ type: 'reset', stream: 1_000_000 + count, code: count }));
    for (let count = 1; count < 3_000; count += 1) words.push(message({ type: 'pong', id: count }));
    await bad.peer.write(0, Buffer.concat(words));
    await bad.peer.write(4, Buffer.concat([headed('echo'), Buffer.from('still here')]));
    expect((await bad.peer.read(4)).toString()).toBe('still here');
  });

  it('that ends a stream without its last byte is not believed, and keeps its link', async () => {
    const server = await serve();
    const { peer, link: end } = await rawLink(server);
    const arrived: ByteStream[] = [];
    end.onStream((stream) => void arrived.push(stream));
    await peer.write(4, Buffer.concat([headed('whole'), Buffer.from('abc')]));
    await until(() => arrived.length === 1, 'the stream');
    const data: Buffer[] = [];
    let ended = false;
    arrived[0]!
      .on('data', (bytes: Buffer) => data.push(bytes))
      .once('end', () => {
        ended = true;
      });
    await until(() => data.length > 0, 'its bytes');
    const error = errorOf(arrived[0]!);
    peer.native.streamSend(4, Buffer.alloc(0), true);
    peer.flush();
    // Quiche may keep such an end to itself; another byte can then no longer come.
    await Promise.race([error, new Promise((soon) => setTimeout(soon, 500))]);
    expect(ended).toBe(false);
    serveEcho(end);
    await peer.write(8, Buffer.concat([headed('echo'), Buffer.from('still here')]));
    expect((await peer.read(8)).toString()).toBe('still here');
  });

  it('that opens a stream with no proper head loses that stream alone', async () => {
    const server = await serve();
    const { peer, far } = await rawLink(server);
    await peer.write(4, Buffer.of(0, 0));
    await peer.write(8, Buffer.concat([Buffer.of(255, 255), Buffer.alloc(5_000)]));
    await peer.write(12, headed('a head and no more').subarray(0, 5), true);
    await peer.write(16, Buffer.concat([headed('echo'), Buffer.from('still here')]));
    expect((await peer.read(16)).toString()).toBe('still here');
    await until(() => far.openStreams === 2, 'the others are gone');
  });

  it('that opens streams where only the other end may loses its link', async () => {
    const server = await serve();
    const bad = await rawLink(server, {}, 'device');
    await bad.peer.write(4, headed('echo'));
    expect(await within(bad.link.closed, 'the end of the link')).toMatchObject({ code: 'protocol_error', by: 'self' });
  });

  it('may leave with any code and a long reason, which tells that it left', async () => {
    const server = await serve();
    for (const reason of [Buffer.alloc(1_000, 'r'), Buffer.alloc(1_000, 0xff), Buffer.alloc(0)]) {
      const bad = await rawLink(server);
      bad.peer.native.close(true, 987_654_321, reason);
      bad.peer.flush();
      const end = await within(bad.link.closed, 'the end of the link');
      expect(end).toMatchObject({ code: 'link_closed', by: 'peer' });
      expect(end.message.length).toBeGreaterThan(0);
    }
  });

  it('may leave with a code of QUIC, which tells that the link is lost', async () => {
    const server = await serve();
    const bad = await rawLink(server);
    bad.peer.native.close(false, 0xa, Buffer.from('PROTOCOL_VIOLATION'));
    bad.peer.flush();
    expect(await within(bad.link.closed, 'the end of the link')).toMatchObject({ code: 'link_lost', by: 'lost' });
  });

  it('that falls silent is given up after the idle limit', async () => {
    const server = await serve({ tuning: { idleMs: 600 } });
    const bad = await rawLink(server);
    bad.peer.sendRaw(Buffer.alloc(0));
    expect(await within(bad.link.closed, 'the end of the link', 10_000)).toMatchObject({ code: 'link_lost', by: 'lost' });
    await until(() => server.server.figures['connections'] === 0, 'the connection is gone');
  });
});

describe('a link that ends while bytes are on their way', () => {
  for (const by of ['opener', 'acceptor'] as const) {
    it(`both ways, by the ${by}, leaves no stream that looks complete and is not`, async () => {
      const server = await serve();
      for (let rounds = 0; rounds < 5; rounds += 1) {
        const pair = await link(server);
        const size = 2_000_000;
        const results: Promise<number>[] = [];
        const run = (stream: ByteStream) => {
          stream.end(Buffer.alloc(size));
          results.push(
            readAll(stream).then(
              (bytes) => bytes.length,
              () => -1,
            ),
          );
        };
        pair.acceptor.onStream(run);
        for (let count = 0; count < 10; count += 1) run(pair.opener.openStream(Buffer.from('bulk')));
        await new Promise((soon) => setTimeout(soon, 10 + rounds * 30));
        await within(pair[by].close('link_closed'), 'the goodbye', 5_000);
        await within(Promise.all([pair.opener.closed, pair.acceptor.closed]), 'both ends', 5_000);
        for (const bytes of await within(Promise.all(results), 'all streams')) expect([-1, size]).toContain(bytes);
        expect(pair.near.openStreams + pair.far.openStreams).toBe(0);
      }
    });
  }
});
