import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Link } from '@towline/contract';
import { describe, expect, it } from 'vitest';
import { type LivenessTimes, watchLiveness } from '../src/liveness.ts';
import { createLink } from '../src/mux/create-link.ts';
import { clientChannel, within } from './linked-pair.ts';

const TIMES: LivenessTimes = { echoAfterMs: 100, lostAfterMs: 400 };

/** A wire that can be cut without either end hearing of it, as a network that drops everything. */
interface Wire extends AsyncDisposable {
  readonly near: Socket;
  readonly far: Socket;
  /** From here on nothing passes, in either direction. */
  cut(): void;
}

/** Links two ends, each with its control channel. */
async function linkOver(wire: Wire) {
  const near = createLink(wire.near, { role: 'opener' });
  const far = createLink(wire.far, { role: 'acceptor' });
  const arrived = new Promise<Parameters<typeof clientChannel>[0]>((resolve) => far.onStream(resolve));
  const nearChannel = clientChannel(near.openStream(Buffer.from('control')));
  return { near, far, nearChannel, farChannel: clientChannel(await arrived) };
}

async function openWire(): Promise<Wire> {
  const [hop, port] = await listen();
  const [end, endPort] = await listen();
  const near = createConnection({ port, host: '127.0.0.1' });
  const [inner] = (await once(hop, 'connection')) as [Socket];
  const outer = createConnection({ port: endPort, host: '127.0.0.1' });
  const [far] = (await once(end, 'connection')) as [Socket];
  inner.pipe(outer).pipe(inner);
  const sockets = [near, inner, outer, far];
  for (const socket of sockets) socket.on('error', () => {});
  return {
    near,
    far,
    cut() {
      inner.unpipe(outer).pause();
      outer.unpipe(inner).pause();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      for (const server of [hop, end]) server.close();
    },
  };
}

async function listen(): Promise<[Server, number]> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return [server, (server.address() as { port: number }).port];
}

/** Resolves when a link beside, whose peer is silent from now on, has been noticed to be lost: that is how long to wait for what must not happen. */
async function timeOfALoss(rounds = 1): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await using wire = await openWire();
    const { near, nearChannel } = await linkOver(wire);
    wire.cut();
    watchLiveness(near, nearChannel, TIMES);
    await within(near.closed, 'the silent link is lost');
  }
}

const isOver = async (link: Link) => (await Promise.race([link.closed, Promise.resolve(null)])) !== null;

describe('the watch on silence', () => {
  it('ends a link whose peer has frozen, on both sides, and not before its time', async () => {
    await using wire = await openWire();
    const { near, far, nearChannel, farChannel } = await linkOver(wire);
    const from = performance.now();
    watchLiveness(near, nearChannel, TIMES);
    watchLiveness(far, farChannel, TIMES);
    wire.cut();
    const ends = await within(Promise.all([near.closed, far.closed]), 'both notice');
    expect(performance.now() - from).toBeGreaterThan(TIMES.lostAfterMs - 50);
    expect(ends).toMatchObject([
      { code: 'link_silent', by: 'self' },
      { code: 'link_silent', by: 'self' },
    ]);
  });

  it('keeps a link on which nothing happens, by echoes', async () => {
    await using wire = await openWire();
    const { near, far, nearChannel } = await linkOver(wire);
    watchLiveness(near, nearChannel, TIMES);
    const before = near.stats.bytesIn;
    await timeOfALoss(3);
    expect(await isOver(near)).toBe(false);
    expect(near.stats.bytesIn).toBeGreaterThan(before);
    wire.cut();
    expect(await within(near.closed, 'the loss')).toMatchObject({ code: 'link_silent' });
    await far.close('link_closed', 'The test is over.', 0);
  });

  it('asks for echoes only in silence', async () => {
    await using wire = await openWire();
    const { near, far } = await linkOver(wire);
    let asked = 0;
    const stop = watchLiveness(near, { echo: () => (asked += 1) }, { ...TIMES, echoAfterMs: 300, lostAfterMs: 60_000 });
    const pings = setInterval(() => far.ping(AbortSignal.timeout(15_000)).catch(() => {}), 20);
    await timeOfALoss(2);
    clearInterval(pings);
    expect(asked).toBe(0);
    await timeOfALoss(2);
    expect(asked).toBeGreaterThan(0);
    stop();
  });

  it('takes bulk data for life though no echo is answered', async () => {
    await using wire = await openWire();
    const { near, far } = await linkOver(wire);
    const arrived = new Promise<Duplex>((resolve) => far.onStream(resolve));
    near.openStream(Buffer.from('bulk')).resume();
    const bulk = await arrived;
    let asked = 0;
    watchLiveness(near, { echo: () => (asked += 1) }, TIMES);
    const trickle = setInterval(() => bulk.write('some'), 20);
    await timeOfALoss(3);
    expect(await isOver(near)).toBe(false);
    clearInterval(trickle);
    expect(await within(near.closed, 'the loss')).toMatchObject({ code: 'link_silent' });
    expect(asked).toBeGreaterThan(1);
  });

  it('lets a link alone once it is told to stop', async () => {
    await using wire = await openWire();
    const { near, nearChannel } = await linkOver(wire);
    const stop = watchLiveness(near, nearChannel, TIMES);
    wire.cut();
    stop();
    await timeOfALoss(2);
    expect(await isOver(near)).toBe(false);
  });

  it('ends with its link, and asks nothing of it any more', async () => {
    await using wire = await openWire();
    const { near } = await linkOver(wire);
    let asked = 0;
    watchLiveness(near, { echo: () => (asked += 1) }, TIMES);
    await near.close('link_closed', 'The test ends it.');
    const before = asked;
    await timeOfALoss(2);
    expect(asked).toBe(before);
    expect(await near.closed).toMatchObject({ code: 'link_closed' });
  });

  it('asks before it judges when this process itself stood still', async () => {
    await using wire = await openWire();
    const { near, nearChannel } = await linkOver(wire);
    watchLiveness(near, nearChannel, TIMES);
    standStill(1_600);
    await timeOfALoss(2);
    expect(await isOver(near)).toBe(false);
    wire.cut();
    expect(await within(near.closed, 'the loss')).toMatchObject({ code: 'link_silent' });
  });
});

/** As a process that is stopped and continued, or a machine that sleeps. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
