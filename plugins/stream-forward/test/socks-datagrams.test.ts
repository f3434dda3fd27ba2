import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Flows } from '../src/client/flows.ts';
import { serveAssociation } from '../src/client/socks-datagrams.ts';
import { noStatistics } from '../src/client/statistics.ts';

const flows: Flows = { send() {}, end() {}, close() {} };
const reported = { places: [], target: 'any target', protocol: 'socks5', statistics: noStatistics() };

const ANY = { host: '0.0.0.0', port: 0 };

/** A connection of a program that has left: by a reset, or by its end. */
async function leftBehind(leave: (program: Socket) => void): Promise<{ control: Socket; program: Socket }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const program = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {});
  const [control] = (await once(server, 'connection')) as [Socket];
  control.on('error', () => {}).resume();
  server.close();
  const gone = new Promise<void>((resolve) => control.once('end', resolve).once('close', () => resolve()));
  leave(program);
  await gone;
  return { control, program };
}

it.each<[string, (program: Socket) => void]>([
  ['a reset', (program) => program.resetAndDestroy()],
  ['its end', (program) => program.end()],
])('an association for a program that has left before it stands, by %s, is over at once', async (_how, leave) => {
  const { control, program } = await leftBehind(leave);
  await serveAssociation(control, ANY, { flows, reported, id: 'socks 1' });
  expect(control.destroyed).toBe(true);
  program.destroy();
});

/** A socket on that address, which says a word to the association. */
async function speaker(address = '127.0.0.1') {
  const socket = createSocket('udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  const say = (port: number, word: string) =>
    new Promise((sent) =>
      socket.send(Buffer.concat([Buffer.from([0, 0, 0, 1, 127, 0, 0, 1, 0, 80]), Buffer.from(word)]), port, '127.0.0.1', sent),
    );
  return { say, port: socket.address().port, [Symbol.dispose]: () => void socket.close() };
}

/** An association of a program that comes from 127.0.0.2, as it answered, and what was taken of what was sent to it. */
async function associated(named: { readonly host: string; readonly port: number }) {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const program = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', localAddress: '127.0.0.2' });
  const [control] = (await once(server, 'connection')) as [Socket];
  server.close();
  const taken: string[] = [];
  let more = () => {};
  const recording: Flows = {
    ...flows,
    send(_key, datagram) {
      taken.push(Buffer.from(datagram).toString());
      more();
    },
  };
  const served = serveAssociation(control, named, { flows: recording, reported, id: 'socks 1' });
  const [reply] = (await once(program, 'data')) as [Buffer];
  return {
    taken,
    port: reply.readUInt16BE(8),
    /** Loopback keeps datagrams of all senders in order, so that those sent before this word were looked at. */
    async untilTaken(word: string) {
      while (!taken.includes(word)) await new Promise<void>((resolve) => (more = resolve));
    },
    async [Symbol.asyncDispose]() {
      program.destroy();
      await served;
    },
  };
}

describe('an association', () => {
  it('takes the datagrams of the port that its program named, and never those of a stranger who was first', async () => {
    using program = await speaker('127.0.0.2');
    using sameAddress = await speaker('127.0.0.2');
    using elsewhere = await speaker('127.0.0.1');
    await using open = await associated({ host: '127.0.0.2', port: program.port });
    for (const stranger of [sameAddress, elsewhere]) await stranger.say(open.port, 'stranger');
    await program.say(open.port, 'mine');
    await open.untilTaken('mine');
    await sameAddress.say(open.port, 'stranger');
    await program.say(open.port, 'mine again');
    await open.untilTaken('mine again');
    expect(open.taken).toEqual(['mine', 'mine again']);
  });

  it.each(['0.0.0.0', '127.0.0.2', '::ffff:127.0.0.2', '::'])(
    'whose program named %s and no port takes nothing from another address, and keeps to the first port that is used',
    async (host) => {
      using elsewhere = await speaker('127.0.0.1');
      using program = await speaker('127.0.0.2');
      using second = await speaker('127.0.0.2');
      await using open = await associated({ host, port: 0 });
      await elsewhere.say(open.port, 'stranger');
      await program.say(open.port, 'first');
      await open.untilTaken('first');
      await second.say(open.port, 'stranger');
      await program.say(open.port, 'second');
      await open.untilTaken('second');
      expect(open.taken).toEqual(['first', 'second']);
    },
  );

  it.each(['127.0.0.1', '192.0.2.1', '::1', 'localhost'])('is refused to a program at 127.0.0.2 that names %s as its own', async (host) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const program = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    const [control] = (await once(server, 'connection')) as [Socket];
    server.close();
    await expect(serveAssociation(control, { ...ANY, host }, { flows, reported, id: 'socks 1' })).rejects.toMatchObject({
      code: 'forbidden',
    });
    control.destroy();
    program.destroy();
  });
});
