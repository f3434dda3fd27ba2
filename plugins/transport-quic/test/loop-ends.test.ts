import { ERRORS } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DialledConnection } from '../src/loop/quic-client.ts';
import { openUdpSocket } from '../src/loop/udp-socket.ts';
import { dial, dialOnly, echo, link, serveEcho, startServer, type TestServer, until, within } from './support-quic.ts';
import { type TappedSocket, tap } from './support-tap.ts';

let server: TestServer;
let socket: TappedSocket;
beforeEach(async () => {
  socket = tap(await openUdpSocket({ bind: { host: '127.0.0.1', port: 0 } }));
  server = await startServer({ socket });
});
afterEach(() => server.close());

/** Timers and sockets of this process, by kind. */
function resources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

const sockets = () => resources()['UDPWRAP'] ?? 0;
const timers = () => resources()['Timeout'] ?? 0;
const isEmpty = () => server.server.figures['connections'] === 0 && server.server.figures['handshakes'] === 0;

describe('connections that are over', () => {
  it('leave no timer, no socket and no entry behind, after three hundred of them', async () => {
    const before = { sockets: sockets(), timers: timers() };
    for (let count = 0; count < 300; count += 1) {
      const pair = await link(server);
      if (count % 3 === 0) serveEcho(pair.acceptor);
      if (count % 3 === 0) await echo(pair.opener);
      if (count % 3 === 1) pair.opener.openStream(Buffer.from('unread')).write(Buffer.alloc(100_000));
      if (count % 2 === 0) await pair.opener.close('link_closed');
      else await pair.acceptor.close('device_replaced');
      // Each end learns of it in its own turn.
      await until(() => pair.near.openStreams + pair.far.openStreams === 0, 'their streams are gone');
    }
    await until(isEmpty, 'the server has forgotten them');
    await until(() => sockets() <= before.sockets, 'their sockets are closed');
    // Vitest has some of its own, that come and go.
    await until(() => timers() <= before.timers + 3, 'their timers are gone');
    expect(server.server.figures).toMatchObject({ connections_total: 300 });
  }, 60_000);

  it('are not disturbed by packets that come late, and tell their peer with a reset', async () => {
    const pair = await link(server);
    serveEcho(pair.acceptor);
    await echo(pair.opener, 'x'.repeat(10_000));
    const seen = [...socket.received];
    pair.near.abandon();
    pair.far.abandon();
    expect(isEmpty()).toBe(true);
    const isShort = (packet: Buffer) => packet[0]! < 0x80;
    const short = seen.filter(({ packet }) => isShort(packet));
    for (const { packet, peer } of short) socket.inject(packet, peer);
    expect(server.server.figures['stateless_resets_total']).toBe(short.length);
    expect(isEmpty()).toBe(true);
    // The first packets of a client may begin a connection once more; it comes to nothing.
    for (const { packet, peer } of [...seen, ...seen]) socket.inject(packet, peer);
    await until(isEmpty, 'what began anew is given up', 10_000);
    expect(server.server.figures['connections_total']).toBe(1);
  });
});

describe('a connection', () => {
  type State = readonly [name: string, make: () => Promise<DialledConnection>];
  const states: readonly State[] = [
    ['whose peer never answers', async () => dialOnly({ host: '127.0.0.1', port: (await silent()).local.port })],
    ['that has just begun', () => dialOnly(server.local)],
    ['in its handshake', async () => later(await dialOnly(server.local))],
    ['that is established', () => dial(server.local)],
    ['that is closed', async () => closed(await dial(server.local))],
    ['that its peer has closed', async () => closedByPeer(await dial(server.local))],
    ['that was abandoned', async () => abandoned(await dial(server.local))],
  ];
  const quiet: { close(): void }[] = [];
  afterEach(() => {
    for (const each of quiet.splice(0)) each.close();
  });

  async function silent() {
    const opened = await openUdpSocket({ bind: { host: '127.0.0.1', port: 0 } });
    quiet.push(opened);
    return opened;
  }
  async function later(dialled: DialledConnection) {
    await new Promise((turn) => setImmediate(turn));
    return dialled;
  }
  function closed(dialled: DialledConnection) {
    dialled.connection.close(0, 'enough');
    return dialled;
  }
  async function closedByPeer(dialled: DialledConnection) {
    (await server.next()).close(ERRORS.device_replaced.wire, 'another came');
    await within(dialled.connection.closed, 'the end');
    return dialled;
  }
  async function abandoned(dialled: DialledConnection) {
    // Nobody tells the server.
    (await server.next()).abandon();
    dialled.connection.abandon();
    return dialled;
  }

  for (const [name, make] of states) {
    it(`${name} can be closed, twice, for a long reason`, async () => {
      const before = sockets();
      const { connection } = await make();
      // Three bytes each.
      connection.close(ERRORS.link_closed.wire, '語'.repeat(1_700));
      connection.close(ERRORS.internal.wire, 'another reason');
      const end = await within(connection.closed, 'the end');
      expect(Buffer.byteLength(end.reason)).toBeLessThanOrEqual(5_100);
      expect(end.reason).not.toContain('another reason');
      expect(connection.isClosed).toBe(true);
      expect(() => connection.openStream(Buffer.from('late'))).toThrow(expect.objectContaining({ code: 'link_closed' }) as Error);
      connection.askForLife();
      await until(() => sockets() <= before + quiet.length, 'its socket is closed');
      // What had not been established is given up after the time for a handshake.
      await until(isEmpty, 'the server has forgotten it');
    });

    it(`${name} can be abandoned, twice`, async () => {
      const before = sockets();
      const { connection } = await make();
      connection.abandon();
      connection.abandon();
      connection.close(0, 'late');
      await within(connection.closed, 'the end');
      expect(connection.isClosed).toBe(true);
      await until(() => sockets() <= before + quiet.length, 'its socket is closed');
    });
  }

  it('tells its peer a long reason up to a whole character', async () => {
    const { connection } = await dial(server.local);
    const far = await server.next();
    far.close(ERRORS.link_closed.wire, `x${'語'.repeat(1_700)}`);
    const end = await within(connection.closed, 'the end');
    expect(end).toMatchObject({ by: 'peer', isApp: true, code: ERRORS.link_closed.wire });
    expect(end.reason).toMatch(/^x語{200,270}$/);
  });

  it('that ends while others go on takes none of them along', async () => {
    const pairs = await Promise.all(Array.from({ length: 10 }, () => link(server)));
    for (const { acceptor } of pairs) serveEcho(acceptor);
    for (const [index, pair] of pairs.entries()) {
      if (index % 2 === 0) pair.near.abandon();
      else pair.far.abandon();
      for (const other of pairs.slice(index + 1)) expect(await echo(other.opener)).toBe('is anybody there');
    }
    for (const pair of pairs) pair.near.abandon();
    for (const pair of pairs) pair.far.abandon();
  });
});

describe('a server', () => {
  it('that closes tells all its links why within a second, and can be closed twice', async () => {
    const pairs = await Promise.all(Array.from({ length: 20 }, () => link(server)));
    const half = await dialOnly(server.local);
    const closing = server.server.close('unavailable', 'The relay restarts.');
    await within(Promise.all([closing, server.server.close('internal', 'again')]), 'the server is closed', 3_000);
    for (const { opener } of pairs) {
      expect(await within(opener.closed, 'the end of a link')).toMatchObject({
        by: 'peer',
        code: 'unavailable',
        message: 'The relay restarts.',
      });
    }
    half.connection.abandon();
    expect(isEmpty()).toBe(true);
  });

  it('that a client dials while it closes begins nothing', async () => {
    const pair = await link(server);
    const closing = server.server.close('unavailable', 'The relay restarts.');
    const late = await dialOnly(server.local);
    await closing;
    await within(pair.opener.closed, 'the end of the link');
    expect(server.server.figures['handshakes_total']).toBe(1);
    late.connection.abandon();
  });
});
