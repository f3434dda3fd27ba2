import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import type { HostPort } from '../src/binding/quiche.ts';
import { CONNECTION_ID_BYTES } from '../src/loop/connection-ids.ts';
import { clientConfig } from '../src/loop/quic-config.ts';
import { makeRetryToken, readRetryToken } from '../src/loop/retry-token.ts';
import { statelessReset } from '../src/loop/stateless-reset.ts';
import { openUdpSocket } from '../src/loop/udp-socket.ts';
import { dial, echo, link, quiche, serveEcho, startServer, type TestServer, until } from './support-quic.ts';
import { type TappedSocket, tap } from './support-tap.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const LOOPBACK = '127.0.0.1';
const STRANGER: HostPort = { host: '127.0.0.9', port: 40_001 };

async function bound(port = 0): Promise<TappedSocket> {
  return tap(await openUdpSocket({ bind: { host: LOOPBACK, port } }));
}

async function serve(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer & { readonly socket: TappedSocket }> {
  const socket = await bound();
  const server = await startServer({ ...options, socket });
  open.push(server.close);
  return { ...server, socket };
}

/** A link with echo, and where its client's packets come from. */
async function honestLink(server: TestServer & { readonly socket: TappedSocket }) {
  let near!: TappedSocket;
  const openSocket = async () => {
    near = tap(await openUdpSocket({ connect: server.local }));
    return near;
  };
  const pair = await link(server, {}, { openSocket });
  open.push(() => pair.opener.close('link_closed'));
  serveEcho(pair.acceptor);
  return { ...pair, socket: near };
}

/** A socket that is nothing but a socket. */
async function plainSocket(): Promise<{ readonly socket: Socket; readonly received: Buffer[] }> {
  const socket = createSocket('udp4');
  const received: Buffer[] = [];
  socket.on('message', (packet) => received.push(packet));
  await new Promise<void>((done) => socket.bind(0, LOOPBACK, done));
  open.push(() => socket.close());
  return { socket, received };
}

/** The first packet of a client. */
function initial(server: HostPort, local: HostPort = STRANGER): Buffer {
  const native = quiche.Connection.connect('localhost', randomBytes(CONNECTION_ID_BYTES), local, server, clientConfig(quiche, null, {}));
  const out = Buffer.alloc(1_350);
  return out.subarray(0, native.send(out)![0]);
}

/** A packet with a long header of this version, padded. Its type is not one with a token, as noise is none. */
function longHeader(version: number, bytes: number): Buffer {
  const packet = randomBytes(bytes);
  packet[0] = 0xe0;
  packet.writeUInt32BE(version, 1);
  packet[5] = 8;
  packet[14] = 8;
  return packet;
}

/** A packet with a short header to an id that is nobody's. */
function shortHeader(bytes: number): Buffer {
  const packet = randomBytes(bytes);
  packet[0] = 0x40;
  return packet;
}

/** A packet as it is twice, then shortened or with one bit turned over. */
function changed(packet: Buffer): Buffer[] {
  return Array.from({ length: 8 }, (_, change) => {
    const copy = Buffer.from(packet);
    const place = Math.floor(Math.random() * copy.length);
    if (change > 1) copy[place]! ^= 1 << Math.floor(Math.random() * 8);
    return change % 3 === 2 ? copy.subarray(0, place) : copy;
  });
}

const soon = (ms = 50) => new Promise((done) => setTimeout(done, ms));

describe('packets that nobody should have sent', () => {
  it('50,000 of noise do not disturb an honest link, at either end', async () => {
    const server = await serve();
    const pair = await honestLink(server);
    const firstBytes = [0x00, 0x40, 0x7f, 0x80, 0xc0, 0xd0, 0xe0, 0xf0, 0xff];
    for (let count = 0; count < 50_000; count += 1) {
      const noise = randomBytes(Math.floor(Math.random() * 1_400));
      if (noise.length > 0 && count % 3 > 0) noise[0] = firstBytes[count % firstBytes.length]!;
      // Every other long header is of the version that is spoken here.
      if (noise.length > 5 && count % 2 > 0) noise.writeUInt32BE(1, 1);
      const from = count % 5 === 0 ? pair.socket.local : { host: `127.0.${count % 200}.7`, port: 1 + (count % 65_000) };
      if (count % 4 === 0) pair.socket.inject(noise, server.local);
      else server.socket.inject(noise, from);
      if (count % 500 === 0) expect(await echo(pair.opener)).toBe('is anybody there');
    }
    expect(await echo(pair.opener)).toBe('is anybody there');
    await until(() => server.server.figures['handshakes'] === 0, 'what noise has begun is given up');
    expect(server.server.figures['connections']).toBe(1);
  }, 60_000);

  it('packets of its own, repeated, damaged and shortened, from its address and others, do not disturb a link', async () => {
    const server = await serve();
    const pair = await honestLink(server);
    for (let rounds = 0; rounds < 20; rounds += 1) await echo(pair.opener, 'x'.repeat(5_000));
    const ends = [
      { socket: server.socket, from: [pair.socket.local, STRANGER] },
      { socket: pair.socket, from: [server.local, server.local] },
    ];
    for (const { socket, from } of ends)
      for (const { packet } of socket.received.slice(0, 150))
        for (const [index, copy] of changed(packet).entries()) socket.inject(copy, from[index % 2]!);
    expect(await echo(pair.opener, 'y'.repeat(200_000))).toBe('y'.repeat(200_000));
    expect(pair.near.isClosed || pair.far.isClosed).toBe(false);
    expect(pair.far.peer).toEqual(pair.socket.local);
  });

  it('a packet that says it comes from port 0 is answered by nothing and breaks nothing', async () => {
    const server = await serve();
    const pair = await honestLink(server);
    const nobody = { host: LOOPBACK, port: 0 };
    for (const packet of [shortHeader(100), initial(server.local), longHeader(0x1a2a3a4a, 1_200)]) server.socket.inject(packet, nobody);
    // The beginning of a handshake is answered in a later turn.
    await soon();
    expect(await echo(pair.opener)).toBe('is anybody there');
  });

  it('first packets that are too short, or to an id that is too short, begin nothing', async () => {
    const server = await serve();
    const whole = initial(server.local);
    server.socket.inject(whole.subarray(0, 1_199), STRANGER);
    const shortId = Buffer.concat([whole.subarray(0, 5), Buffer.of(4), randomBytes(4), whole.subarray(6 + whole[5]!)]);
    server.socket.inject(Buffer.concat([shortId, Buffer.alloc(100)]), STRANGER);
    await soon();
    expect(server.server.figures).toMatchObject({ handshakes_total: 0, dropped_packets_total: 2 });
    server.socket.inject(whole, STRANGER);
    expect(server.server.figures).toMatchObject({ handshakes_total: 1 });
  });
});

describe('versions', () => {
  it('an unknown one is answered by those that are spoken, never by more bytes than were sent', async () => {
    const server = await serve();
    const { socket, received } = await plainSocket();
    for (const bytes of [1_200, 1_350]) {
      const question = longHeader(0x1a2a3a4a, bytes);
      socket.send(question, server.local.port, LOOPBACK);
      await until(() => received.length > 0, 'an answer');
      const answer = received.pop()!;
      const header = quiche.Header.fromSlice(answer, CONNECTION_ID_BYTES) as { ty: number; version: number; dcid: Buffer; scid: Buffer };
      expect(header.version).toBe(0);
      expect(Buffer.from(header.dcid)).toEqual(question.subarray(15, 23));
      expect(Buffer.from(header.scid)).toEqual(question.subarray(6, 14));
      const versions = [];
      for (let at = 6 + 8 + 1 + 8; at < answer.length; at += 4) versions.push(answer.readUInt32BE(at));
      expect(versions).toContain(1);
      expect(answer.length).toBeLessThan(100);
    }
  });

  it('an unknown one in less than 1,200 bytes, and an answer about versions, are not answered', async () => {
    const server = await serve();
    const { socket, received } = await plainSocket();
    for (const packet of [longHeader(0x1a2a3a4a, 1_199), longHeader(0x1a2a3a4a, 40), longHeader(0, 1_200), longHeader(0, 40)])
      socket.send(packet, server.local.port, LOOPBACK);
    await until(() => server.server.figures['packets_received_total'] === 4, 'the packets arrive');
    await soon();
    expect(received).toHaveLength(0);
    expect(server.server.figures['dropped_packets_total']).toBe(4);
  });

  it('ids of the greatest length do not make the answer longer than the question', async () => {
    const server = await serve();
    const question = randomBytes(1_200);
    question[0] = 0xe0;
    question.writeUInt32BE(0x1a2a3a4a, 1);
    question[5] = 255;
    question[6 + 255] = 255;
    server.socket.inject(question, STRANGER);
    expect(server.socket.sent).toHaveLength(1);
    expect(server.socket.sent[0]!.packet.length).toBeLessThan(question.length);
  });
});

describe('retries', () => {
  it('come above the bound, are shorter than the question, and let through who answers them', async () => {
    const server = await serve({ limits: { retryAbove: 0 } });
    const dialled = await dial(server.local);
    open.push(() => dialled.connection.abandon());
    await server.next();
    expect(server.server.figures).toMatchObject({ retries_total: 1, handshakes_total: 1, connections_total: 1 });
    const [question] = server.socket.received;
    const [answer] = server.socket.sent;
    expect(answer!.packet[0]! >> 4).toBe(0xf);
    expect(answer!.packet.length).toBeLessThan(question!.packet.length / 3);
  });

  it('an answer to one counts from the address it was sent to, and from no other', async () => {
    const secret = randomBytes(32);
    const server = await serve({ secret, limits: { retryAbove: 0 } });
    const dialled = await dial(server.local);
    open.push(() => dialled.connection.abandon());
    const { packet, peer } = server.socket.received[1]!;
    const begun = async (change: Buffer, from: HostPort) => {
      const other = await serve({ secret, limits: { retryAbove: 0 } });
      other.socket.inject(change, from);
      return other.server.figures['handshakes_total'];
    };
    expect(await begun(packet, peer)).toBe(1);
    expect(await begun(packet, { ...peer, port: peer.port + 1 })).toBe(0);
    expect(await begun(packet, { ...peer, host: '127.0.0.2' })).toBe(0);
    // The token lies behind both ids and the two bytes of its length.
    const token = 1 + 4 + 1 + CONNECTION_ID_BYTES + 1 + CONNECTION_ID_BYTES + 1;
    for (const place of [6, token, token + 7, token + 25]) {
      const altered = Buffer.from(packet);
      altered[place]! ^= 1;
      expect(await begun(altered, peer), `byte ${place}`).toBe(0);
    }
  });

  it('a token is good for its address, its ids, its key and ten seconds', () => {
    const key = randomBytes(32);
    const firstId = randomBytes(8);
    const facts = { from: { host: '192.0.2.7', port: 4_433 }, retryId: randomBytes(20), nowMs: 1_700_000_000_000 };
    const token = makeRetryToken(key, firstId, facts);
    expect(readRetryToken(key, token, facts)).toEqual(firstId);
    expect(readRetryToken(key, token, { ...facts, nowMs: facts.nowMs + 10_000 })).toEqual(firstId);
    const refused = {
      'too old': readRetryToken(key, token, { ...facts, nowMs: facts.nowMs + 10_001 }),
      'from the future': readRetryToken(key, token, { ...facts, nowMs: facts.nowMs - 1 }),
      'another address': readRetryToken(key, token, { ...facts, from: { host: '192.0.2.8', port: 4_433 } }),
      'another port': readRetryToken(key, token, { ...facts, from: { host: '192.0.2.7', port: 4_434 } }),
      'another id': readRetryToken(key, token, { ...facts, retryId: randomBytes(20) }),
      'another key': readRetryToken(randomBytes(32), token, facts),
      nothing: readRetryToken(key, Buffer.alloc(0), facts),
      'no id in it': readRetryToken(key, token.subarray(0, 22), facts),
      'too short': readRetryToken(key, token.subarray(0, token.length - 1), facts),
      'too long': readRetryToken(key, Buffer.concat([token, Buffer.of(0)]), facts),
    };
    for (const [name, result] of Object.entries(refused)) expect(result, name).toBeNull();
    for (let place = 0; place < token.length; place += 1) {
      const altered = Buffer.from(token);
      altered[place]! ^= 1;
      expect(readRetryToken(key, altered, facts), `byte ${place}`).toBeNull();
    }
  });
});

describe('stateless resets', () => {
  /** A server that is killed and started again on the same port. */
  async function restart(secrets: readonly [Buffer, Buffer]) {
    const socket = await bound();
    const first = await startServer({ socket, secret: secrets[0] });
    const dialled = await dial(first.local);
    open.push(() => dialled.connection.abandon());
    const far = await first.next();
    await soon();
    socket.cut();
    far.abandon();
    const again = tap(await openUdpSocket({ bind: first.local }));
    const second = await startServer({ socket: again, secret: secrets[1] });
    open.push(first.close, second.close);
    return { dialled, second, socket: again };
  }

  it('a server that is started again with its secret ends the connections of the last one at once', async () => {
    const secret = randomBytes(32);
    const { dialled, socket } = await restart([secret, secret]);
    const { connection } = dialled;
    const begunMs = performance.now();
    // The least that a client sends: a packet that asks for life.
    connection.askForLife();
    expect(await connection.closed).toMatchObject({ by: 'lost' });
    expect(performance.now() - begunMs).toBeLessThan(5_000);
    const questions = socket.received.map(({ packet }) => packet.length);
    // The first packet is answered: the next would come after a time-out.
    expect(questions).toHaveLength(1);
    expect(socket.sent[0]!.packet.length).toBeLessThan(questions[0]!);
  });

  it('a server with another secret cannot end them', async () => {
    const { dialled, second } = await restart([randomBytes(32), randomBytes(32)]);
    const { connection } = dialled;
    connection.askForLife();
    await until(() => second.server.figures['stateless_resets_total']! > 0, 'a reset is sent');
    await soon(200);
    expect(connection.isClosed).toBe(false);
  });

  it('are shorter than what caused them, so that two servers do not go on for ever', async () => {
    const server = await serve();
    for (const bytes of [21, 30, 38]) server.socket.inject(shortHeader(bytes), STRANGER);
    expect(server.socket.sent).toHaveLength(0);
    for (const bytes of [42, 43, 100, 1_350]) {
      server.socket.inject(shortHeader(bytes), STRANGER);
      expect(server.socket.sent.at(-1)!.packet.length).toBeLessThan(bytes);
    }
    const key = randomBytes(32);
    let bounced = 0;
    for (let packet = statelessReset(shortHeader(1_350), key); packet !== null; packet = statelessReset(packet, key)) bounced += 1;
    expect(bounced).toBeLessThan(10);
  });

  it('are sent at a bounded rate', async () => {
    const server = await serve();
    for (let count = 0; count < 12_000; count += 1) server.socket.inject(shortHeader(60), STRANGER);
    // At most those of two seconds, should one begin in between.
    expect(server.server.figures['stateless_resets_total']).toBeLessThanOrEqual(10_000);
    expect(server.server.figures['dropped_packets_total']).toBeGreaterThanOrEqual(2_000);
  });
});

describe('handshakes that are never finished', () => {
  it('from thousands of addresses take a bounded number of places, and are all given up', async () => {
    const server = await serve({ limits: { maxHandshakes: 200, retryAbove: 50 } });
    for (let count = 0; count < 3_000; count += 1) {
      const from = { host: `127.${count % 250}.${count % 7}.1`, port: 1_024 + count };
      server.socket.inject(initial(server.local, from), from);
      if (count % 100 === 0) await soon(1);
    }
    // Nobody of them has shown that it receives at its address.
    expect(server.server.figures['handshakes']).toBeLessThanOrEqual(50);
    expect(server.server.figures['retries_total']).toBeGreaterThan(2_000);
    const dialled = await dial(server.local);
    open.push(() => dialled.connection.abandon());
    await until(() => server.server.figures['handshakes'] === 0, 'all places are free', 10_000);
    expect(server.server.figures).toMatchObject({ connections: 1, connections_total: 1 });
  });

  it('from some addresses that answer retries leave room for others', async () => {
    const server = await serve({ limits: { maxHandshakes: 100, maxHandshakesPerOrigin: 20, retryAbove: 5 } });
    for (let origin = 2; origin < 6; origin += 1) {
      for (let count = 0; count < 40; count += 1) {
        const from = { host: `127.0.0.${origin}`, port: 10_000 + count };
        const native = quiche.Connection.connect('localhost', randomBytes(20), from, server.local, clientConfig(quiche, null, {}));
        const out = Buffer.alloc(1_350);
        server.socket.inject(out.subarray(0, native.send(out)![0]), from);
        await soon(1);
        const answer = server.socket.sent.findLast(({ peer }) => peer.host === from.host && peer.port === from.port);
        if (answer === undefined || answer.packet[0]! >> 4 !== 0xf) continue;
        // Errors of the binding are its "nothing to do".
        try {
          native.recv(Buffer.from(answer.packet), { from: server.local, to: from });
        } catch {}
        const second = native.send(out);
        if (second) server.socket.inject(out.subarray(0, second[0]), from);
      }
    }
    expect(server.server.figures['handshakes']).toBeLessThanOrEqual(80);
    expect(server.server.figures['handshakes']).toBeGreaterThan(40);
    expect(server.server.figures['refused_total']).toBeGreaterThan(0);
    const dialled = await dial(server.local);
    open.push(() => dialled.connection.abandon());
    await until(() => server.server.figures['handshakes'] === 0, 'all places are free', 10_000);
  });
});

it('an acknowledgement goes along with the answer', async () => {
  const server = await serve();
  const pair = await honestLink(server);
  const stream = pair.opener.openStream(Buffer.from('echo'));
  open.push(() => stream.destroy());
  const rounds = 200;
  const packets = () => server.socket.received.length + server.socket.sent.length;
  let before = 0;
  for (let round = -20; round < rounds; round += 1) {
    if (round === 0) before = packets();
    stream.write('x');
    await once(stream, 'data');
  }
  // Two carry the byte there and back; acknowledgements of their own would be two more.
  expect(packets() - before).toBeLessThan(3 * rounds);
});
