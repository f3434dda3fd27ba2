import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dial, drain, echoTcp, echoUdp, startForward, type TestForward } from './support/forwarding.ts';
import { runProgram } from './support/process.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

let system: TestSystem;
let relay: TestRelay;
let proxy: TestForward;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  await system.enrolDevice(relay);
  proxy = await startForward(system, relay, ['0'], { verb: 'socks' });
});
afterAll(() => system[Symbol.asyncDispose]());

const word = (number: number) => [number >> 8, number & 0xff];
const named = (name: string, port: number) => [3, name.length, ...Buffer.from(name), ...word(port)];
const v4 = (address: string, port: number) => [1, ...address.split('.').map(Number), ...word(port)];

/** Says hello, and asks; answers the socket and the reply. */
async function ask(command: number, address: readonly number[]): Promise<{ socket: Socket; reply: Buffer }> {
  const socket = await dial(proxy.ports[0]!);
  socket.write(Buffer.from([5, 1, 0]));
  expect([...(await read(socket, 2))]).toEqual([5, 0]);
  socket.write(Buffer.from([5, command, 0, ...address]));
  return { socket, reply: await read(socket, 10) };
}

async function read(socket: Socket, count: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(count) as Buffer | null;
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}

describe('towline DEVICE socks', () => {
  it('serves curl, with names that the device looks up and with addresses', async () => {
    const http = createServer((request, response) => response.end(`${request.headers.host?.split(':')[0]} ${request.url}`));
    await once(http.listen(0, '127.0.0.1'), 'listening');
    const { port } = http.address() as AddressInfo;
    const curl = (scheme: string, url: string) =>
      runProgram('curl', ['--silent', '--show-error', '--max-time', '15', '--proxy', `${scheme}://127.0.0.1:${proxy.ports[0]}`, url]);
    // On this machine, too, localhost would be the address; with socks5h it is the device that says so.
    expect(await curl('socks5h', `http://localhost:${port}/by-name`)).toMatchObject({ code: 0, stdout: 'localhost /by-name' });
    expect(await curl('socks5', `http://127.0.0.1:${port}/by-address`)).toMatchObject({ code: 0, stdout: '127.0.0.1 /by-address' });
    http.closeAllConnections();
    http.close();
  });

  it('takes what a program sends right behind its request', async () => {
    await using server = await echoTcp();
    const socket = await dial(proxy.ports[0]!);
    const all = drain(socket);
    socket.end(Buffer.from([5, 1, 0, 5, 1, 0, ...v4('127.0.0.1', server.port), ...Buffer.from('early')]));
    const { bytes } = await all;
    expect([...bytes.subarray(0, 12)]).toEqual([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    expect(bytes.subarray(12).toString()).toBe('early');
  });

  it('answers with the code that says why a target was not reached', async () => {
    const gone = await echoTcp();
    await gone[Symbol.asyncDispose]();
    const codeOf = async (command: number, address: readonly number[]) => {
      const { socket, reply } = await ask(command, address);
      socket.destroy();
      return reply[1];
    };
    expect(await codeOf(1, v4('127.0.0.1', gone.port)), 'refused').toBe(5);
    expect(await codeOf(1, v4('10.0.0.1', 80)), 'not allowed').toBe(2);
    expect(await codeOf(1, v4('169.254.169.254', 80)), 'never allowed').toBe(2);
    expect(await codeOf(1, named('no-such-host.invalid', 80)), 'no such name').toBe(4);
    expect(await codeOf(2, v4('127.0.0.1', 80)), 'BIND').toBe(7);
    expect(await codeOf(1, v4('0.0.0.0', 80)), 'no address').toBe(8);
    expect(await codeOf(1, v4('127.0.0.1', 0)), 'no port').toBe(8);
    expect(await codeOf(1, named('0177.0.0.1', 80)), 'octal').toBe(8);
  });

  it('refuses to take datagrams from an address that is not the program’s, and says so', async () => {
    const { socket, reply } = await ask(3, v4('127.0.0.2', 5_000));
    expect(reply[1], 'not allowed').toBe(2);
    expect((await drain(socket)).end).toBe('end');
    await eventually(async () => proxy.events('failed').some(({ code }) => code === 'forbidden'), 'it is reported');
  });

  it('carries datagrams to several targets as long as the connection lasts', async () => {
    await using one = await echoUdp();
    await using two = await echoUdp();
    const { socket, reply } = await ask(3, v4('0.0.0.0', 0));
    expect(reply[1]).toBe(0);
    const port = reply.readUInt16BE(8);
    const udp = createSocket('udp4');
    const answers: string[] = [];
    udp.on('message', (datagram) => answers.push(`${datagram.readUInt16BE(8)} ${datagram.subarray(10)}`));
    const send = (target: readonly number[], text: string) =>
      udp.send(Buffer.from([0, 0, 0, ...target, ...Buffer.from(text)]), port, '127.0.0.1');
    await eventually(async () => {
      send(v4('127.0.0.1', one.port), 'to one');
      send(v4('127.0.0.1', two.port), 'to two');
      return answers.includes(`${one.port} to one`) && answers.includes(`${two.port} to two`);
    }, 'both have answered');
    // Another program of this machine cannot use it.
    const stranger = createSocket('udp4');
    const before = one.sources.size;
    stranger.send(Buffer.from([0, 0, 0, ...v4('127.0.0.1', one.port), 120]), port, '127.0.0.1');
    // Fragments, wrong heads and what is too short are dropped.
    for (const bad of [
      [],
      [0],
      [0, 0, 1, ...v4('127.0.0.1', one.port), 120],
      [0, 0, 0, 9, 1, 2, 3],
      [0, 0, 0, 3, 255, 65],
      [0, 0, 0, 1, 127, 0],
    ])
      udp.send(Buffer.from(bad), port, '127.0.0.1');
    await eventually(async () => {
      send(named('localhost', one.port), 'by name');
      return answers.some((answer) => answer.endsWith('by name'));
    }, 'a name has answered');
    expect(one.sources.size).toBe(before + 1);
    socket.destroy();
    await eventually(async () => {
      const { stdout } = await system.towline(relay, ['--json', 'pi', 'sessions']);
      return (JSON.parse(stdout) as { items: unknown[] }).items.length === 0;
    }, 'the flows have ended with the connection');
    stranger.close();
    udp.close();
  });

  it.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['SOCKS4', Buffer.from([4, 1, 0, 80, 127, 0, 0, 1, 0])],
    ['a request of another version', Buffer.from([5, 1, 0, 4, 1, 0, 1, 127, 0, 0, 1, 0, 80])],
    ['no method at all', Buffer.from([5, 0])],
    ['only passwords', Buffer.from([5, 1, 2])],
    ['an address of no type', Buffer.from([5, 1, 0, 5, 1, 0, 9, 1, 2, 3, 4])],
    ['an empty name', Buffer.from([5, 1, 0, 5, 1, 0, 3, 0, 0, 80])],
    ['a name of zeros', Buffer.from([5, 1, 0, 5, 1, 0, 3, 4, 0, 0, 0, 0, 0, 80])],
    ['half a request', Buffer.from([5, 1, 0, 5, 1])],
    ['a megabyte of nothing', Buffer.alloc(1_000_000)],
  ])('closes the connection of a program that speaks %s, and serves the next', async (_what, bytes) => {
    const socket = await dial(proxy.ports[0]!);
    const all = drain(socket);
    socket.end(bytes);
    const { bytes: said } = await all;
    expect(said.length).toBeLessThan(16);
    expect(said.toString('latin1')).not.toContain('HTTP');
    await using server = await echoTcp();
    const { socket: next, reply } = await ask(1, v4('127.0.0.1', server.port));
    expect(reply[1]).toBe(0);
    next.destroy();
  });

  it('listens on this machine alone, on one port', async () => {
    expect(proxy.events('listening')[0]!.places).toEqual([`127.0.0.1:${proxy.ports[0]}`, `[::1]:${proxy.ports[0]}`]);
    await expect(dial(proxy.ports[0]!, '127.0.0.2')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect((await system.towline(relay, ['pi', 'socks', '0.0.0.0:1080'])).code).toBe(2);
    expect((await system.towline(relay, ['pi', 'socks', '1080', '1081'])).code).toBe(2);
  });

  it('names each target in the trail, as it was asked for', async () => {
    await using server = await echoTcp();
    const { socket } = await ask(1, named('LocalHost', server.port));
    socket.destroy();
    const { stdout } = await system.towline(relay, ['--json', 'pi', 'audit', '--action', 'session.opened', '--limit', '3']);
    expect((JSON.parse(stdout) as { items: { detail: object }[] }).items.map(({ detail }) => detail)).toContainEqual({
      forward: 'tcp',
      host: 'localhost',
      port: server.port,
    });
  });
});
