import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { connectTcp, targetError } from '../src/device/connect.ts';
import { createResolveHost } from '../src/device/resolve-host.ts';
import { parseAddress } from '../src/target/address.ts';

const addresses = (...texts: string[]) => texts.map((text) => parseAddress(text)!);
const never = new AbortController().signal;
const patience = (signal = never) => ({ signal, untilMs: performance.now() + 10_000 });

describe('a connection to a target', () => {
  it('is made to the first address that accepts', async () => {
    const server = createServer().listen(0, '127.0.0.3');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = await connectTcp(addresses('127.0.0.2', '127.0.0.3', '127.0.0.4'), port, patience());
    expect(socket.remoteAddress).toBe('127.0.0.3');
    socket.destroy();
    server.close();
  });

  it('fails with the reason of the last address, or when whoever wants it has left', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    await expect(connectTcp(addresses('127.0.0.2', '127.0.0.1'), port, patience())).rejects.toMatchObject({ code: 'target_refused' });
    await expect(connectTcp(addresses('127.0.0.1'), port, patience(AbortSignal.abort()))).rejects.toMatchObject({ code: 'cancelled' });
    await expect(connectTcp([], port, patience())).rejects.toMatchObject({ code: 'target_unreachable' });
  });

  it.each([
    ['ECONNREFUSED', 'target_refused'],
    ['ETIMEDOUT', 'target_timeout'],
    ['EHOSTUNREACH', 'target_unreachable'],
    ['ENETUNREACH', 'target_unreachable'],
    ['EINVAL', 'target_unreachable'],
    ['EACCES', 'target_unreachable'],
    ['ENOENT', 'target_not_found'],
    ['EMFILE', 'session_limit'],
  ])('that fails by %s is told as %s', (code, told) => {
    expect(targetError(Object.assign(new Error('x'), { code })).code).toBe(told);
  });
});

describe('a look-up', () => {
  it('of a name that nobody has tells so, and many at once get their turn', async () => {
    const resolve = createResolveHost();
    const names = Array.from({ length: 20 }, (_, at) =>
      resolve({ kind: 'name', name: `nobody-${at}.invalid` }, { account: `user ${at % 3}`, signal: never }),
    );
    for (const found of await Promise.allSettled(names)) expect(found).toMatchObject({ reason: { code: 'target_not_found' } });
  });

  it('is not begun for whoever has left', async () => {
    await expect(
      createResolveHost()({ kind: 'name', name: 'nobody.invalid' }, { account: 'user', signal: AbortSignal.abort() }),
    ).rejects.toThrow();
  });
});
