import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { ROOT, startProgram } from './support/process.ts';
import { eventually } from './support/system.ts';
import {
  createImpairedPair,
  type FlowDecisions,
  findDifference,
  followClock,
  type HostPort,
  type ImpairedPair,
  openUdpImpairment,
  type Profile,
  type UdpImpairment,
  type UdpImpairmentOptions,
} from './support/udp-impairment/impairment.mjs';

const LOOPBACK = '127.0.0.1';

/** Sends numbered packets to the server, one every so many milliseconds, and tells what arrived when. */
function sendNumbered(pair: ImpairedPair, { count, everyMs = 1, bytes = 100 }: { count: number; everyMs?: number; bytes?: number }) {
  const arrived: { readonly number: number; readonly atMs: number; readonly packet: Buffer }[] = [];
  pair.server.onPacket((packet) => arrived.push({ number: packet.readUInt32BE(), atMs: pair.now(), packet }));
  for (let number = 1; number <= count; number += 1) {
    pair.client.send(numbered(number, bytes), pair.server.local);
    pair.advance(everyMs);
  }
  pair.advance(10_000);
  return arrived;
}

function numbered(number: number, bytes = 4): Buffer {
  const packet = Buffer.alloc(bytes);
  packet.writeUInt32BE(number);
  return packet;
}

describe('an impaired path in memory', () => {
  const profiles = fc.record(
    {
      loss: fc.double({ min: 0, max: 1, noNaN: true }),
      burst: fc.record({
        enter: fc.double({ min: 0, max: 1, noNaN: true }),
        leave: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
      delayMs: fc.integer({ min: 0, max: 200 }),
      jitterMs: fc.integer({ min: 0, max: 50 }),
      reorder: fc.record({ probability: fc.double({ min: 0, max: 1, noNaN: true }), holdMs: fc.integer({ min: 0, max: 50 }) }),
      duplicate: fc.double({ min: 0, max: 1, noNaN: true }),
      corrupt: fc.double({ min: 0, max: 1, noNaN: true }),
      rate: fc.record({ bitsPerSecond: fc.integer({ min: 100_000, max: 10_000_000 }), queueBytes: fc.integer({ min: 0, max: 20_000 }) }),
    },
    { requiredKeys: [] },
  );
  const seeds = fc.maxSafeInteger();

  it('brings packets of any size, at their time and as they were, where nothing is impaired', () => {
    const pair = createImpairedPair({ seed: 1, up: { delayMs: 30 }, down: { delayMs: 20 } });
    const seen: [string, number, HostPort][] = [];
    pair.server.onPacket((packet, from) => {
      seen.push([packet.toString(), pair.now(), from]);
      pair.server.send(Buffer.from('back'), from);
    });
    pair.client.onPacket((packet, from) => seen.push([packet.toString(), pair.now(), from]));
    const bytes = Buffer.from('there');
    pair.client.send(bytes, pair.server.local);
    bytes.fill(0);
    pair.client.send(Buffer.alloc(0), pair.server.local);
    expect(pair.nextDueMs()).toBe(30);
    pair.advance(29);
    expect(seen).toEqual([]);
    pair.advance(1_000);
    const { client, server } = pair;
    expect(seen).toEqual([
      ['there', 30, client.local],
      ['', 30, client.local],
      ['back', 50, server.local],
      ['back', 50, server.local],
    ]);
    expect([pair.now(), pair.nextDueMs()]).toEqual([1_029, null]);
  });

  it('does the same in every run with the same seed, to the bit', () => {
    fc.assert(
      fc.property(seeds, profiles, fc.integer({ min: 1, max: 60 }), (seed, up, count) => {
        const [one, other] = [createImpairedPair({ seed, up }), createImpairedPair({ seed, up })];
        expect(sendNumbered(one, { count })).toEqual(sendNumbered(other, { count }));
        expect(one.decisions()).toEqual(other.decisions());
        expect(findDifference(one.decisions(), other.decisions())).toBe(null);
      }),
    );
  });

  it('decides about the n-th packet the same, however long packets are and whenever they come', () => {
    fc.assert(
      fc.property(seeds, profiles, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 0, max: 9 }), (seed, up, bytes, everyMs) => {
        const [one, other] = [createImpairedPair({ seed, up }), createImpairedPair({ seed, up })];
        sendNumbered(one, { count: 40 });
        other.blackHole(true);
        sendNumbered(other, { count: 20, everyMs, bytes: 4 + bytes });
        expect(findDifference(one.decisions(), other.decisions())).toBe(null);
        expect(other.decisions()[0]?.first).toEqual(one.decisions()[0]?.first.slice(0, 20));
      }),
    );
  });

  it('decides otherwise with another seed and in the other direction, and says where', () => {
    const half: Profile = { loss: 0.5 };
    const run = (seed: number) => {
      const pair = createImpairedPair({ seed, up: half, down: half });
      for (let sent = 0; sent < 200; sent += 1) {
        pair.client.send(numbered(sent), pair.server.local);
        pair.server.send(numbered(sent), pair.client.local);
      }
      return pair.decisions();
    };
    const [up, down] = run(7) as [FlowDecisions, FlowDecisions];
    expect(up.digest).not.toBe(down.digest);
    expect(findDifference([up], run(8))).toMatch(/^flow 1 up, packet \d+: \{.*\} and \{.*\}$/);
    expect(findDifference([up], run(7 + 2 ** 32))).toMatch(/^flow 1 up/);
  });

  it('keeps no packet and invents none', () => {
    fc.assert(
      fc.property(seeds, profiles, fc.integer({ min: 0, max: 5 }), (seed, up, everyMs) => {
        const pair = createImpairedPair({ seed, up });
        const arrived = sendNumbered(pair, { count: 80, everyMs });
        const { up: counts } = pair.statistics();
        expect(counts).toMatchObject({ packets: 80, bytes: 8_000, inFlight: 0, overflowed: 0, unroutable: 0, delivered: arrived.length });
        expect(counts.delivered - counts.duplicated + counts.lost + counts.lostInBursts + counts.queueDropped).toBe(80);
      }),
    );
  });

  it('loses as often as it was told, independently or in bursts of the expected length', () => {
    const count = 100_000;
    const lossOf = (up: Profile) => {
      const pair = createImpairedPair({ seed: 3, up });
      const arrived = new Set(sendNumbered(pair, { count, bytes: 4, everyMs: 0 }).map(({ number }) => number));
      let bursts = 0;
      for (let number = 1; number <= count; number += 1) if (!arrived.has(number) && (number === 1 || arrived.has(number - 1))) bursts += 1;
      return { share: 1 - arrived.size / count, length: (count - arrived.size) / bursts };
    };
    const independent = lossOf({ loss: 0.01 });
    expect(independent.share).toBeCloseTo(0.01, 2);
    expect(independent.length).toBeCloseTo(1.01, 1);
    // In bad times 0.002 / (0.002 + 0.1) of all packets; each lasts ten packets.
    const inBursts = lossOf({ burst: { enter: 0.002, leave: 0.1 } });
    expect(Math.abs(inBursts.share - 0.002 / 0.102)).toBeLessThan(0.004);
    expect(Math.abs(inBursts.length - 10)).toBeLessThan(1.5);
  });

  it('lets through what its rate allows, queues so many bytes, and drops what comes on top', () => {
    const rate = { bitsPerSecond: 8_000_000, queueBytes: 50_000, burstBytes: 0, overheadBytes: 0 };
    const pair = createImpairedPair({ seed: 1, up: { rate, delayMs: 5 } });
    const arrived = sendNumbered(pair, { count: 60, everyMs: 0, bytes: 1_000 });
    expect(arrived.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 50 }, (_, index) => 5 + index + 1));
    expect(pair.statistics().up.queueDropped).toBe(10);
  });

  it('saves tokens up to its burst while nothing comes', () => {
    const rate = { bitsPerSecond: 8_000_000, queueBytes: 50_000, burstBytes: 3_000, overheadBytes: 0 };
    const arrived = sendNumbered(createImpairedPair({ seed: 1, up: { rate } }), { count: 5, everyMs: 0, bytes: 1_000 });
    expect(arrived.map(({ atMs }) => Math.round(atMs))).toEqual([0, 0, 0, 1, 2]);
  });

  it('keeps the order under jitter, and changes it where packets are held back', () => {
    const numbersWith = (up: Profile) => sendNumbered(createImpairedPair({ seed: 4, up }), { count: 200 }).map(({ number }) => number);
    const sorted = Array.from({ length: 200 }, (_, index) => index + 1);
    expect(numbersWith({ delayMs: 10, jitterMs: 30 })).toEqual(sorted);
    const reordered = numbersWith({ delayMs: 10, reorder: { probability: 0.1, holdMs: 5 } });
    expect(reordered).not.toEqual(sorted);
    expect(reordered.toSorted((one, other) => one - other)).toEqual(sorted);
  });

  it('changes one byte of a corrupted packet, and gives a duplicate bytes of its own', () => {
    const pair = createImpairedPair({ seed: 5, up: { corrupt: 1, duplicate: 1 } });
    const arrived: Buffer[] = [];
    pair.server.onPacket((packet) => {
      arrived.push(Buffer.from(packet));
      packet.fill(0);
    });
    pair.client.send(Buffer.alloc(50, 1), pair.server.local);
    pair.advance(0);
    expect(arrived).toHaveLength(2);
    expect(arrived[0]).toEqual(arrived[1]);
    expect([...(arrived[0] ?? [])].filter((byte) => byte !== 1)).toHaveLength(1);
  });

  it('swallows what is sent into a black hole, one way or both, and nothing before or after', () => {
    const pair = createImpairedPair({ seed: 1, up: { delayMs: 5 }, down: { delayMs: 5 } });
    const seen: string[] = [];
    pair.server.onPacket((packet) => seen.push(`server ${packet}`));
    pair.client.onPacket((packet) => seen.push(`client ${packet}`));
    const both = (text: string) => {
      pair.client.send(Buffer.from(text), pair.server.local);
      pair.server.send(Buffer.from(text), pair.client.local);
    };
    both('1');
    pair.blackHole(true);
    both('2');
    pair.blackHole(false, 'up');
    both('3');
    pair.blackHole(false);
    both('4');
    pair.advance(10);
    expect(seen).toEqual(['server 1', 'client 1', 'server 3', 'server 4', 'client 4']);
    expect([pair.statistics().up.blackHoled, pair.statistics().down.blackHoled]).toEqual([1, 2]);
  });

  it('changes what it does while it is in use', () => {
    const pair = createImpairedPair({ seed: 1 });
    pair.change('up', { loss: 1 });
    expect(sendNumbered(pair, { count: 3 })).toEqual([]);
    pair.change('up', {});
    expect(sendNumbered(pair, { count: 3 })).toHaveLength(3);
  });

  it('shows the server another address of the client after a rebinding, and loses what goes to the former one', () => {
    const pair = createImpairedPair({ seed: 1 });
    const froms: HostPort[] = [];
    const answers: string[] = [];
    pair.server.onPacket((_packet, from) => froms.push(from));
    pair.client.onPacket((packet, from) => answers.push(`${packet} from ${from.port}`));
    const before = pair.client.local;
    pair.client.send(Buffer.from('1'), pair.server.local);
    pair.advance(0);
    const after = pair.rebind();
    expect(pair.rebind({ host: '192.0.2.9', port: 5 })).toEqual({ host: '192.0.2.9', port: 5 });
    pair.client.send(Buffer.from('2'), pair.server.local);
    pair.advance(0);
    expect(froms).toEqual([before, { host: '192.0.2.9', port: 5 }]);
    expect(after).toEqual({ host: before.host, port: before.port + 1 });
    for (const to of [before, after, { host: '192.0.2.9', port: 5 }]) pair.server.send(Buffer.from(`to ${to.port}`), to);
    pair.advance(0);
    expect(answers).toEqual([`to 5 from ${pair.server.local.port}`]);
    expect(pair.statistics().down.unroutable).toBe(2);
  });

  it('drops what is sent to a closed end, and lets a closed end send nothing', () => {
    const pair = createImpairedPair({ seed: 1 });
    pair.server.close();
    pair.client.send(Buffer.from('1'), pair.server.local);
    pair.advance(0);
    expect(pair.statistics().up.unroutable).toBe(1);
    expect(() => pair.server.send(Buffer.from('1'), pair.client.local)).toThrow('closed');
    expect(() => pair.client.send(Buffer.alloc(65_508), pair.server.local)).toThrow('at most 65507 bytes');
  });

  it('keeps memory bounded: packets on their way, decisions on record', () => {
    const pair = createImpairedPair({ seed: 1, up: { delayMs: 60_000 }, recordLimit: 10, maxInFlightBytes: 30_000 });
    for (let sent = 0; sent < 1_000; sent += 1) pair.client.send(Buffer.alloc(1_000), pair.server.local);
    expect(pair.statistics().up).toMatchObject({ inFlight: 25, overflowed: 975 });
    const [up] = pair.decisions();
    expect([up?.count, up?.first.length]).toEqual([1_000, 10]);
    const other = createImpairedPair({ seed: 1, up: { loss: 0.01 }, recordLimit: 10 });
    sendNumbered(other, { count: 1_000, everyMs: 0 });
    expect(findDifference(pair.decisions(), other.decisions())).toBe('flow 1 up: differ after packet 10');
  });

  it('ends two ends that answer each other for ever with an error', () => {
    const pair = createImpairedPair({ seed: 1 });
    pair.server.onPacket((packet, from) => pair.server.send(packet, from));
    pair.client.onPacket((packet, from) => pair.client.send(packet, from));
    pair.client.send(Buffer.from('1'), pair.server.local);
    expect(() => pair.advance(1)).toThrow('give the profile a delay');
  });

  it('follows the clock of the machine where that is wanted', async () => {
    const pair = createImpairedPair({ seed: 1, up: { delayMs: 20 } });
    const arrived = new Promise<Buffer>((resolve) => pair.server.onPacket(resolve));
    using _clock = followClock(pair);
    pair.client.send(Buffer.from('1'), pair.server.local);
    expect((await arrived).toString()).toBe('1');
    expect(pair.now()).toBeGreaterThanOrEqual(20);
  });

  it.each([
    [{ loss: 1.5 }, 'up.loss must be a number from 0 to 1, not 1.5'],
    [{ delay: 5 }, 'up.delay is not known; there are: loss, delayMs,'],
    [{ burst: { enter: 0.1 } }, 'up.burst.leave must be a number from 0 to 1, not undefined'],
    [{ rate: { bitsPerSecond: 0 } }, 'up.rate.bitsPerSecond must be a number from 1'],
    [{ jitterMs: Number.NaN }, 'up.jitterMs must be a number from 0 to 60000, not NaN'],
    [null, 'up must be an object'],
  ])('refuses the profile %j', (up, message) => {
    expect(() => createImpairedPair({ seed: 1, up: up as Profile })).toThrow(message);
  });

  it('refuses what is no seed, no time and no direction', () => {
    expect(() => createImpairedPair({ seed: 0.5 })).toThrow('seed must be a whole number');
    const pair = createImpairedPair({ seed: 1 });
    expect(() => pair.advance(-1)).toThrow('advance needs milliseconds');
    expect(() => pair.blackHole(true, 'sideways' as 'up')).toThrow("'up' or 'down'");
  });
});

describe('the UDP impairment proxy', () => {
  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).toReversed()) await each.close();
  });

  /** A socket that says what it got from whom. */
  async function bind(host = LOOPBACK): Promise<Peer> {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const got: Peer['got'] = [];
    socket.on('message', (packet, { address, port }) => got.push({ text: packet.toString(), from: { host: address, port } }));
    socket.bind(0, host);
    await once(socket, 'listening');
    open.push(socket);
    return { socket, got, local: { host, port: socket.address().port } };
  }
  interface Peer {
    readonly socket: Socket;
    readonly got: { readonly text: string; readonly from: HostPort }[];
    readonly local: HostPort;
  }
  /** A target that answers every packet with the same. */
  async function bindEcho(host = LOOPBACK): Promise<Peer> {
    const echo = await bind(host);
    echo.socket.on('message', (packet, { address, port }) => echo.socket.send(packet, port, address));
    return echo;
  }
  async function openProxy(options: Partial<UdpImpairmentOptions> & { readonly target: HostPort }): Promise<UdpImpairment> {
    const proxy = await openUdpImpairment({ seed: 1, ...options });
    open.push(proxy);
    return proxy;
  }
  const send = (peer: Peer, text: string, { host, port }: HostPort) => peer.socket.send(text, port, host);
  const got = (peer: Peer, text: string) => eventually(async () => peer.got.find((each) => each.text === text), `${text} arrived`);

  it('forwards each client by a socket of its own and brings it its answers', async () => {
    const [echo, one, other] = await Promise.all([bindEcho(), bind(), bind()]);
    const proxy = await openProxy({ target: echo.local });
    send(one, 'from one', proxy.local);
    send(other, 'from other', proxy.local);
    expect((await got(one, 'from one')).from).toEqual(proxy.local);
    await got(other, 'from other');
    const [first, second] = echo.got;
    expect(first?.from.port).not.toBe(second?.from.port);
    expect([one.got.length, other.got.length]).toEqual([1, 1]);
    expect(proxy.statistics()).toMatchObject({
      up: { packets: 2, bytes: 18, delivered: 2, unsent: 0 },
      down: { packets: 2, delivered: 2 },
      flows: { open: 2, ended: 0, refused: 0 },
    });
  });

  it('works over IPv6', async () => {
    const [echo, client] = await Promise.all([bindEcho('::1'), bind('::1')]);
    const proxy = await openProxy({ target: echo.local });
    send(client, 'six', proxy.local);
    expect((await got(client, 'six')).from).toEqual(proxy.local);
  });

  it('holds packets for their delay, in both directions', async () => {
    const [echo, client] = await Promise.all([bindEcho(), bind()]);
    const proxy = await openProxy({ target: echo.local, up: { delayMs: 40 }, down: { delayMs: 60, jitterMs: 5 } });
    const began = performance.now();
    send(client, 'slow', proxy.local);
    await got(client, 'slow');
    expect(performance.now() - began).toBeGreaterThanOrEqual(100);
  });

  it('decides as the path in memory does with the same seed, whatever comes when', async () => {
    const impaired: Profile = { loss: 0.2, duplicate: 0.1, corrupt: 0.1, jitterMs: 3, reorder: { probability: 0.1, holdMs: 3 } };
    const [target, client] = await Promise.all([bind(), bind()]);
    const proxy = await openProxy({ target: target.local, seed: 11, up: impaired });
    for (let number = 0; number < 300; number += 1) client.socket.send(numbered(number), proxy.local.port, proxy.local.host);
    await eventually(async () => proxy.statistics().up.packets === 300 && proxy.statistics().up.inFlight === 0, 'all have passed');
    const pair = createImpairedPair({ seed: 11, up: impaired });
    sendNumbered(pair, { count: 300, everyMs: 7 });
    expect(findDifference(proxy.decisions(), pair.decisions())).toBe(null);
    const { lost, duplicated, delivered } = pair.statistics().up;
    expect(proxy.statistics().up).toMatchObject({ lost, duplicated, delivered });
    expect(lost).toBeGreaterThan(30);
  });

  it('treats flows alike, or each differently where that is wanted', async () => {
    const [target, one, other] = await Promise.all([bind(), bind(), bind()]);
    const digests = async (flows: 'alike' | 'different') => {
      const proxy = await openProxy({ target: target.local, flows, up: { loss: 0.5 } });
      for (const client of [one, other]) for (let sent = 0; sent < 50; sent += 1) send(client, 'x', proxy.local);
      await eventually(async () => proxy.statistics().up.packets === 100, 'all have come');
      return new Set(
        proxy
          .decisions()
          .filter(({ direction }) => direction === 'up')
          .map(({ digest }) => digest),
      );
    };
    expect((await digests('alike')).size).toBe(1);
    expect((await digests('different')).size).toBe(2);
  });

  it('rebinds: the target sees another port, then another address, and the client gets its answers as before', async () => {
    const [echo, client] = await Promise.all([bindEcho(), bind()]);
    const proxy = await openProxy({ target: echo.local });
    for (const [text, host] of [['one'], ['two', undefined], ['three', '127.0.0.5']] as const) {
      if (text !== 'one') {
        const [rebound] = await proxy.rebind(host === undefined ? {} : { host });
        expect(rebound).toMatchObject({ client: client.local, before: echo.got.at(-1)?.from });
        expect(rebound?.after.host).toBe(host ?? LOOPBACK);
      }
      send(client, text, proxy.local);
      expect((await got(client, text)).from).toEqual(proxy.local);
    }
    const [first, second, third] = echo.got.map(({ from }) => from);
    expect(new Set([first?.port, second?.port, third?.port]).size).toBe(3);
    expect(third?.host).toBe('127.0.0.5');
    for (const former of [first, second]) send(echo, 'to the former', former as HostPort);
    send(echo, 'to the present', third as HostPort);
    await got(client, 'to the present');
    expect(client.got.map(({ text }) => text)).toEqual(['one', 'two', 'three', 'to the present']);
  });

  it('swallows everything while the black hole is on, and nothing afterwards', async () => {
    const [echo, client] = await Promise.all([bindEcho(), bind()]);
    const proxy = await openProxy({ target: echo.local });
    proxy.blackHole(true, 'down');
    send(client, 'unanswered', proxy.local);
    await eventually(async () => proxy.statistics().down.blackHoled === 1, 'the answer was swallowed');
    proxy.blackHole(true);
    send(client, 'unheard', proxy.local);
    await eventually(async () => proxy.statistics().up.blackHoled === 1, 'the packet was swallowed');
    proxy.blackHole(false);
    send(client, 'after', proxy.local);
    await got(client, 'after');
    expect(echo.got.map(({ text }) => text)).toEqual(['unanswered', 'after']);
    expect(client.got.map(({ text }) => text)).toEqual(['after']);
  });

  it('carries a megabyte through a bottleneck of 100 Mbit/s with 100 ms each way, every byte once', async () => {
    const [target, client] = await Promise.all([bind(), bind()]);
    target.socket.setRecvBufferSize(2 ** 20);
    const rate = { bitsPerSecond: 100e6, queueBytes: 2e6 };
    const proxy = await openProxy({ target: target.local, up: { delayMs: 100, rate } });
    const packet = Buffer.alloc(1_250, 'x');
    for (let sent = 0; sent < 800; sent += 1) {
      client.socket.send(packet, proxy.local.port, proxy.local.host);
      if (sent % 50 === 49) await new Promise((later) => setTimeout(later, 2));
    }
    await eventually(async () => target.got.length === 800, 'all arrived');
    expect(proxy.statistics().up).toMatchObject({ delivered: 800, deliveredBytes: 1e6, queueDropped: 0, inFlight: 0, kernelDropped: 0 });
  });

  it('gives up the client that was silent longest when there are too many', async () => {
    const [echo, ...clients] = await Promise.all([bindEcho(), bind(), bind(), bind()]);
    const proxy = await openProxy({ target: echo.local, maxFlows: 2 });
    const [one, two, three] = clients as [Peer, Peer, Peer];
    for (const [client, text] of [
      [one, 'a'],
      [two, 'b'],
      [one, 'c'],
      [three, 'd'],
      [one, 'e'],
    ] as const) {
      send(client, text, proxy.local);
      await got(client, text);
    }
    const ports = Object.fromEntries(echo.got.map(({ text, from }) => [text, from.port]));
    expect(ports.a).toBe(ports.e);
    expect(proxy.statistics().flows).toMatchObject({ open: 2, ended: 1 });
    send(two, 'f', proxy.local);
    await got(two, 'f');
    expect(echo.got.find(({ text }) => text === 'f')?.from.port).not.toBe(ports.b);
    expect(proxy.decisions()).toHaveLength(4);
  });

  it('goes on when nobody listens at the target, and when the target comes later', async () => {
    const [gone, client] = await Promise.all([bind(), bind()]);
    const { local: target } = gone;
    gone.socket.close();
    await once(gone.socket, 'close');
    open.splice(open.indexOf(gone.socket), 1);
    const proxy = await openProxy({ target });
    send(client, 'to nobody', proxy.local);
    await eventually(async () => proxy.statistics().up.unsent > 0, 'the refusal was seen');
    const later = createSocket('udp4').bind(target.port, target.host);
    open.push(later);
    await once(later, 'listening');
    const heard = once(later, 'message');
    send(client, 'to somebody', proxy.local);
    expect(String((await heard)[0])).toBe('to somebody');
  });

  it('closes with packets on their way, more than once, and frees its port', async () => {
    const [target, client] = await Promise.all([bind(), bind()]);
    const proxy = await openUdpImpairment({ seed: 1, target: target.local, up: { delayMs: 30_000 } });
    send(client, 'never', proxy.local);
    await eventually(async () => proxy.statistics().up.inFlight === 1, 'it is on its way');
    await Promise.all([proxy.close(), proxy.close(), proxy.rebind()]);
    await proxy.close();
    const again = createSocket('udp4').bind(proxy.local.port, proxy.local.host);
    open.push(again);
    await once(again, 'listening');
    expect(target.got).toEqual([]);
  });

  it('leaves no socket and no timer behind: a process that closed it ends by itself', async () => {
    const module = join(ROOT, 'test', 'support', 'udp-impairment', 'impairment.mjs');
    const script = `import { openUdpImpairment } from ${JSON.stringify(module)};
      import { createSocket } from 'node:dgram';
      const proxy = await openUdpImpairment({ seed: 1, target: { host: '127.0.0.1', port: 9 }, up: { delayMs: 50_000 } });
      const client = createSocket('udp4');
      client.send('x', proxy.local.port, proxy.local.host, () => client.close());
      while (proxy.statistics().up.inFlight === 0) await new Promise((later) => setTimeout(later, 5));
      await proxy.rebind();
      await proxy.close();
      console.log('closed');`;
    await using program = startProgram(process.execPath, ['--input-type=module', '-e', script]);
    await program.saw(/closed/);
    expect(await program.finished).toMatchObject({ code: 0, stderr: '' });
  });

  it.each([
    [{ target: { host: 'localhost', port: 1 } }, 'target must be an IP address, not localhost'],
    [{ target: { host: LOOPBACK, port: 70_000 } }, 'target.port must be a number from 1 to 65535'],
    [{ target: { host: LOOPBACK, port: 1 }, listen: { host: '192.0.2.77' } }, 'EADDRNOTAVAIL'],
    [{ target: { host: LOOPBACK, port: 1 }, maxFlows: 0 }, 'maxFlows must be a number from 1'],
    [{ target: { host: LOOPBACK, port: 1 }, down: { loss: -1 } }, 'down.loss must be a number from 0 to 1, not -1'],
  ])('refuses %j', async (options, message) => {
    await expect(openUdpImpairment({ seed: 1, ...options })).rejects.toThrow(message);
  });

  it('runs as a program of its own for benchmarks, told what to do line by line', async () => {
    const [echo, client] = await Promise.all([bindEcho(), bind()]);
    const file = join(ROOT, 'bench', 'support', 'udp-impairment-process.mjs');
    await using program = startProgram(process.execPath, [file, JSON.stringify({ seed: 1, target: echo.local })], { stdin: 'pipe' });
    const { local } = JSON.parse((await program.saw(/^\{"local".*\}$/m))[0]) as { local: HostPort };
    send(client, 'there and back', local);
    await got(client, 'there and back');
    for (const order of ['{"do":"rebind"}', '{"do":"fly"}', 'no json', '{"do":"statistics"}']) program.child.stdin?.write(`${order}\n`);
    const [line] = await program.saw(/^.*"cpuMs".*$/m);
    expect(JSON.parse(line)).toMatchObject({ value: { up: { delivered: 1 }, process: { cpuMs: expect.any(Number) } } });
    const [, rebound, unknown, unreadable] = program.stdout.split('\n');
    expect(JSON.parse(rebound ?? '')).toMatchObject({ value: [{ client: client.local }] });
    expect(unknown).toContain('no order fly; there are: statistics, rebind,');
    expect(unreadable).toContain('"error"');
    program.child.stdin?.end();
    expect(await program.finished).toMatchObject({ code: 0, stderr: '' });
  });

  it('says why it cannot start as a program', async () => {
    const file = join(ROOT, 'bench', 'support', 'udp-impairment-process.mjs');
    await using program = startProgram(process.execPath, [file, '{"seed":1}'], { stdin: 'pipe' });
    expect(await program.finished).toMatchObject({ code: 2, stderr: 'The proxy cannot start: target must be an IP address and a port.\n' });
  });
});
