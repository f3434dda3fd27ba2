import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { duplexPair } from 'node:stream';
import { createClientSession, createDeviceSession, createId, type SessionId } from '@towline/protocol';
import { expect, it } from 'vitest';
import { carrySocket } from '../src/carry-socket.ts';

/** A connection to a target, and the target's end of it. */
async function connected(): Promise<readonly [Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
  const [target] = (await once(server, 'connection')) as [Socket];
  await (socket.connecting ? once(socket, 'connect') : undefined);
  server.close();
  return [socket, target];
}

it('tells a reset from an end, also when the last bytes came together with it', async () => {
  const [near, far] = duplexPair();
  const id = createId<SessionId>();
  const client = createClientSession(near, id);
  const device = createDeviceSession(far, id);
  const [socket, target] = await connected();
  const carried = carrySocket(socket, device.session);
  let ended = false;
  client
    .input(0)
    .on('end', () => (ended = true))
    .resume();
  target.write('half of an answer');
  target.resetAndDestroy();
  expect(await carried).toMatchObject({ end: 'socket', error: { code: 'ECONNRESET' } });
  expect(ended).toBe(false);
  client.cancel();
});
