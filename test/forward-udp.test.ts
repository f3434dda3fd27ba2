import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAsker, echoUdp, startForward } from './support/forwarding.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  await system.enrolDevice(relay);
});
afterAll(() => system[Symbol.asyncDispose]());

const forward = (...words: string[]) => startForward(system, relay, words);
const openSessions = async () => {
  const { stdout } = await system.towline(relay, ['--json', 'pi', 'sessions']);
  return (JSON.parse(stdout) as { items: { protocol: string }[] }).items.filter(({ protocol }) => protocol === '/forward/1').length;
};

describe('a forwarded UDP port', () => {
  it('carries datagrams of any size one by one, empty ones and the largest included, over IPv4 and IPv6 of this machine', async () => {
    await using server = await echoUdp();
    await using open = await forward(`0:127.0.0.1:${server.port}/udp`);
    for (const host of ['127.0.0.1', '::1']) {
      using asker = createAsker(open.ports[0]!, host);
      for (const bytes of [1, 0, 1_200, 65_507]) expect((await asker.ask(Buffer.alloc(bytes, 7))).length).toBe(bytes);
    }
  });

  it('leads to a host that has an IPv6 address', async () => {
    await using server = await echoUdp('::1');
    await using open = await forward(`0:[::1]:${server.port}/udp`);
    using asker = createAsker(open.ports[0]!);
    expect((await asker.ask('six')).toString()).toBe('six');
  });

  it('keeps a hundred programs apart, each with a flow of its own, and ends a flow that is silent', async () => {
    await using server = await echoUdp();
    await using open = await forward('--udp-idle', '2', `0:127.0.0.1:${server.port}/udp`);
    const askers = Array.from({ length: 100 }, () => createAsker(open.ports[0]!));
    try {
      const answers = await Promise.all(askers.map(({ ask }, at) => ask(`program ${at}`)));
      expect(answers.map(String)).toEqual(askers.map((_, at) => `program ${at}`));
      expect(server.sources.size).toBe(100);
      await eventually(async () => (await openSessions()) === 0, 'all flows have ended on the device');
      // The next datagram begins another flow, from another port of the device.
      expect((await askers[0]!.ask('again')).toString()).toBe('again');
      expect(server.sources.size).toBe(101);
    } finally {
      for (const asker of askers) asker[Symbol.dispose]();
    }
    const { figures } = await open.finish();
    expect(open.events('failed')).toEqual([]);
    expect(figures[0]).toMatchObject({ connections: 101, failures: 0 });
  });

  it('keeps a flow that is used, however long', async () => {
    await using server = await echoUdp();
    await using open = await forward('--udp-idle', '1', `0:127.0.0.1:${server.port}/udp`);
    using asker = createAsker(open.ports[0]!);
    const until = performance.now() + 3_000;
    while (performance.now() < until) {
      await asker.ask('still here');
      await new Promise((later) => setTimeout(later, 200));
    }
    expect(server.sources.size).toBe(1);
  });

  it('holds no more flows than it may: the one that was silent for longest makes place', async () => {
    await using server = await echoUdp();
    await using open = await forward(`0:127.0.0.1:${server.port}/udp`);
    using first = createAsker(open.ports[0]!);
    await first.ask('first');
    for (let batch = 0; batch < 11; batch += 1) {
      const askers = Array.from({ length: 100 }, () => createAsker(open.ports[0]!));
      await Promise.all(askers.map(({ ask }) => ask('x')));
      for (const asker of askers) asker[Symbol.dispose]();
    }
    await eventually(async () => (await openSessions()) <= 1_024, 'the device has no more than 1,024 flows');
    const before = server.sources.size;
    expect((await first.ask('back again')).toString()).toBe('back again');
    expect(server.sources.size).toBe(before + 1);
  }, 120_000);

  it('goes on when nobody listens at the target, and when somebody does again', async () => {
    const gone = await echoUdp();
    await gone[Symbol.asyncDispose]();
    await using open = await forward(`0:127.0.0.1:${gone.port}/udp`);
    using asker = createAsker(open.ports[0]!);
    asker.socket.send('is anybody there?', open.ports[0]!, '127.0.0.1');
    await eventually(async () => (await openSessions()) === 1, 'the flow is open');
    const socket = createSocket('udp4');
    socket.on('message', (datagram, from) => socket.send(datagram, from.port, from.address));
    socket.bind(gone.port, '127.0.0.1');
    await once(socket, 'listening');
    expect((await asker.ask('now')).toString()).toBe('now');
    socket.close();
  });

  it('survives a flood of datagrams to a target that sends none back, in little memory', async () => {
    const sink = createSocket('udp4');
    sink.bind(0, '127.0.0.1');
    await once(sink, 'listening');
    await using open = await forward(`0:127.0.0.1:${sink.address().port}/udp`);
    using asker = createAsker(open.ports[0]!);
    for (let round = 0; round < 200; round += 1) {
      for (let at = 0; at < 100; at += 1) asker.socket.send(Buffer.alloc(8_000), open.ports[0]!, '127.0.0.1');
      await new Promise((later) => setImmediate(later));
    }
    await using echo = await echoUdp();
    await using other = await forward(`0:127.0.0.1:${echo.port}/udp`);
    using calm = createAsker(other.ports[0]!);
    expect((await calm.ask('calm')).toString()).toBe('calm');
    sink.close();
  });
});
