import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dial, drain, echoTcp, roundTrip, startForward } from './support/forwarding.ts';
import { createKey } from './support/keys.ts';
import { linkClient } from './support/raw-client.ts';
import { endRelay, restartRelay, startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const NAMES = ['127.0.0.1 localhost', '169.254.169.254 metadata.test', '127.0.0.1 rebound.internal', '0.0.0.0 zero.test'];
const hasNamespaces = spawnSync('unshare', ['--mount', 'true']).status === 0;

let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
/** Starts the device with a list of allowed targets of its own. */
async function startDeviceWith(allow: readonly string[], through: readonly string[] = []): Promise<TestDevice> {
  await device?.[Symbol.asyncDispose]();
  writeFileSync(join(system.dir, 'device-pi', 'device.yaml'), JSON.stringify({ allow }), { mode: 0o600 });
  device = system.startDevice(relay, { through });
  await device.event('online');
  return device;
}
beforeAll(async () => {
  system = createSystem();
  const config = join(system.dir, 'towline.yaml');
  writeFileSync(config, 'streams: [exec, { use: forward, allow: ["*:*", "unix:/run/*", "unix:/tmp/*"] }]\n');
  relay = await startRelayOn(join(system.dir, 'relay'), { config });
  device = await system.enrolDevice(relay);
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const refusedAtStart = async (...words: string[]) => {
  const { code, stderr } = await system.towline(relay, ['--json', 'pi', 'forward', ...words]);
  return { code, error: (JSON.parse(stderr) as { error: { code: string; message: string; hint: string } }).error };
};
const codeOf = async (target: { kind: string; host?: string; port?: number; path?: string }) => {
  await using client = await linkClient(relay, relay.adminKey);
  return await client.open('pi', { protocol: '/forward/1', body: { target } });
};

describe('a target is refused', () => {
  it('by the relay, whose list it is not on, before the device hears of it, and the trail names it', async () => {
    expect(await refusedAtStart('0:169.254.169.254:80')).toMatchObject({
      code: 3,
      error: {
        code: 'target_not_allowed',
        message: 'This relay does not allow forwards to 169.254.169.254:80.',
        hint: expect.stringContaining('“169.254.169.254:80”'),
      },
    });
    expect(await codeOf({ kind: 'unix', path: '/var/run/other.sock' })).toBe('target_not_allowed');
    const { stdout } = await system.towline(relay, ['--json', 'pi', 'audit', '--action', 'session.refused', '--limit', '2']);
    const { items } = JSON.parse(stdout) as { items: { reason: string; detail: object }[] };
    expect(items.map(({ reason, detail }) => ({ reason, ...detail }))).toMatchObject([
      { reason: 'target_not_allowed', forward: 'unix', path: '/var/run/other.sock' },
      { reason: 'target_not_allowed', check: ['169.254.169.254:80'] },
    ]);
  });

  it('by the device, which allows itself alone unless told otherwise, and says what to do', async () => {
    expect(await refusedAtStart('0:10.1.2.3:80')).toMatchObject({
      code: 3,
      error: {
        code: 'target_not_allowed',
        message: 'The device does not allow forwards to 10.1.2.3:80.',
        hint: expect.stringContaining('device.yaml'),
      },
    });
    expect(await codeOf({ kind: 'unix', path: '/run/some.sock' })).toBe('target_not_allowed');
    expect(await codeOf({ kind: 'udp', host: '10.1.2.3', port: 53 })).toBe('target_not_allowed');
  });

  it('when it is written as what other programs take for a loopback address', async () => {
    for (const host of ['0177.0.0.1', '2130706433', '0x7f.1', '127.1', '0.0.0.0', '::', '::1%lo'])
      expect(await codeOf({ kind: 'tcp', host, port: 80 }), host).toBe('invalid_request');
  });

  it.skipIf(!hasNamespaces)('when its name leads to an address that is not allowed, though the name is', async () => {
    const hosts = join(system.dir, 'hosts');
    writeFileSync(hosts, `${NAMES.join('\n')}\n`);
    await using server = await echoTcp();
    await startDeviceWith(
      ['*:*/udp', 'metadata.test:*', '*.internal:*', 'zero.test:*', 'localhost:1-3'],
      ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts],
    );
    const open = (host: string, port: number, kind = 'tcp') => codeOf({ kind, host, port });
    expect(await open('metadata.test', 80)).toBe('target_not_allowed');
    expect(await open('metadata.test', 80, 'udp')).toBe('target_not_allowed');
    expect(await open('rebound.internal', server.port)).toBe('target_not_allowed');
    expect(await open('zero.test', server.port)).toBe('target_not_allowed');
    expect(await open('nobody.internal', 80)).toBe('target_not_found');
    expect(server.sockets.size).toBe(0);
  });

  it('when its path is a link to a socket that is not listed', async () => {
    const [open, secret] = [join(system.dir, 'open'), join(system.dir, 'secret')];
    mkdirSync(open);
    mkdirSync(secret);
    await using _server = await echoTcp({ path: join(secret, 's.sock') });
    symlinkSync(join(secret, 's.sock'), join(open, 'link.sock'));
    await startDeviceWith(['localhost:*', `unix:${open}/*`]);
    // The list of the relay means folders directly, and this is one further down.
    expect(await codeOf({ kind: 'unix', path: join(open, 'link.sock') })).toBe('target_not_allowed');
    const wide = await restartWith('streams: [exec, { use: forward, allow: ["*:*", "unix:*"] }]\n');
    relay = wide;
    await device.event('online');
    expect(await codeOf({ kind: 'unix', path: join(open, 'link.sock') })).toBe('target_not_allowed');
    expect(await codeOf({ kind: 'unix', path: join(open, 'none.sock') })).toBe('target_not_found');
    expect(await codeOf({ kind: 'unix', path: join(secret, 's.sock') })).toBe('target_not_allowed');
    await startDeviceWith(['localhost:*', `unix:${secret}/s.sock`]);
    expect(await codeOf({ kind: 'unix', path: join(open, 'link.sock') })).toBe('accepted');
  });

  it('with the code that says why it cannot be reached', async () => {
    await startDeviceWith(['localhost:*', '*.invalid:*']);
    const gone = await echoTcp();
    await gone[Symbol.asyncDispose]();
    expect(await codeOf({ kind: 'tcp', host: 'localhost', port: gone.port })).toBe('target_refused');
    expect(await codeOf({ kind: 'tcp', host: 'nobody.invalid', port: 80 })).toBe('target_not_found');
  });

  async function restartWith(config: string): Promise<TestRelay> {
    await endRelay(relay, 'SIGTERM');
    const file = join(system.dir, 'towline.yaml');
    writeFileSync(file, config);
    return restartRelay(relay, { config: file });
  }
});

describe('to the program on this side', () => {
  it('a target that refuses is a broken connection, and never a text in its data', async () => {
    const gone = await echoTcp();
    await gone[Symbol.asyncDispose]();
    await using open = await startForward(system, relay, [`0:${gone.port}`]);
    const socket = await dial(open.ports[0]!);
    expect(await drain(socket)).toEqual({ bytes: Buffer.alloc(0), end: 'ECONNRESET' });
    expect(await open.event('failed')).toMatchObject({ code: 'target_refused', target: `localhost:${gone.port}` });
    expect((await open.finish()).figures[0]).toMatchObject({ connections: 1, failures: 1, bytes_from_device: 0 });
  });

  it('a device that does not exist or is offline is said at once, with its exit code', async () => {
    expect((await system.towline(relay, ['nothing', 'forward', '8080'])).code).toBe(4);
    await device[Symbol.asyncDispose]();
    expect(await refusedAtStart('0:80')).toMatchObject({ code: 5, error: { code: 'device_offline' } });
    await startDeviceWith(['localhost:*']);
  });
});

describe('a forward goes on', () => {
  it('when the device is away for a while: what is open is reset, what comes meanwhile too, and then all is well again', async () => {
    await using server = await echoTcp();
    await using open = await startForward(system, relay, [`0:${server.port}`]);
    const lasting = await dial(open.ports[0]!);
    lasting.write('x');
    await eventually(async () => server.sockets.size === 1, 'the connection is carried');
    const ended = drain(lasting);
    device.program.child.kill('SIGKILL');
    expect((await ended).end).toBe('ECONNRESET');
    await eventually(async () => {
      const { end } = await drain(await dial(open.ports[0]!));
      return end === 'ECONNRESET' && open.events('failed').some(({ code }) => code === 'device_offline');
    }, 'a connection is refused as the device is away');
    await startDeviceWith(['localhost:*']);
    expect(await roundTrip(open.ports[0]!, 'back')).toBe('back');
    expect(open.events('link')).toEqual([]);
  });

  it('when the relay is killed and started again: it links by itself, and connections of the time between wait', async () => {
    await using server = await echoTcp();
    await using open = await startForward(system, relay, [`0:${server.port}`]);
    const lasting = await dial(open.ports[0]!);
    lasting.write('x');
    await eventually(async () => server.sockets.size === 1, 'the connection is carried');
    const ended = drain(lasting);
    await endRelay(relay, 'SIGKILL');
    expect((await ended).end).toBe('ECONNRESET');
    expect(await open.event('link')).toMatchObject({ state: 'down' });
    const waiting = roundTrip(open.ports[0]!, 'patience');
    relay = await restartRelay(relay, { config: join(system.dir, 'towline.yaml') });
    await device.event('online');
    expect(['patience', 'ECONNRESET']).toContain(await waiting);
    await eventually(async () => open.events('link').some(({ state }) => state === 'up'), 'the link is up again');
    await eventually(async () => (await roundTrip(open.ports[0]!, 'after')) === 'after', 'a connection works again');
  });
});

describe('access that ends', () => {
  it('ends the program of a key that is revoked, within the second, with exit code 3', async () => {
    await using server = await echoTcp();
    const { id, key } = await createKey(system, relay, ['--email', 'admin@example.com']);
    await using open = await startForward(system, relay, [`0:${server.port}`], { key });
    const socket = await dial(open.ports[0]!);
    socket.write('x');
    await eventually(async () => server.sockets.size === 1, 'the connection is carried');
    const ended = drain(socket);
    expect((await system.rescue(relay, ['keys', 'revoke', id])).code).toBe(0);
    expect((await ended).end).toBe('ECONNRESET');
    const { code, stderr } = await open.program.finished;
    expect({ code, stderr }).toMatchObject({ code: 3, stderr: expect.stringContaining('key_revoked') });
    await eventually(async () => server.sockets.size === 0, 'the target has lost the connection as well');
    await expect(dial(open.ports[0]!)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('resets what a share carried, and refuses what comes after it', async () => {
    await using server = await echoTcp();
    const { key } = await createKey(system, relay, ['--email', 'ada@example.com']);
    const admin = (...words: string[]) => system.towline(relay, words);
    expect((await admin('devices', 'share', 'pi', 'user:ada@example.com', '--role', 'operator', '--stream', 'forward')).code).toBe(0);
    await using open = await startForward(system, relay, [`0:${server.port}`], { key });
    expect((await system.towline(relay, ['pi', 'exec', '--', 'true'], { key })).code).toBe(255);
    const socket = await dial(open.ports[0]!);
    socket.write('x');
    await eventually(async () => server.sockets.size === 1, 'the connection is carried');
    const ended = drain(socket);
    expect((await admin('devices', 'unshare', 'pi', 'user:ada@example.com')).code).toBe(0);
    expect((await ended).end).toBe('ECONNRESET');
    expect((await drain(await dial(open.ports[0]!))).end).toBe('ECONNRESET');
    expect(open.events('failed').map(({ code }) => code)).toEqual(['access_ended', 'not_found']);
  });

  it('needs the right to open streams, and a stream that the relay offers', async () => {
    const { key } = await createKey(system, relay, ['--email', 'eve@example.com']);
    const admin = (...words: string[]) => system.towline(relay, words);
    await admin('devices', 'share', 'pi', 'user:eve@example.com', '--role', 'viewer');
    expect(await refusedWith(key)).toBe('forbidden');
    await admin('devices', 'share', 'pi', 'user:eve@example.com', '--role', 'operator', '--stream', 'exec');
    expect(await refusedWith(key)).toBe('forbidden');
    await admin('devices', 'unshare', 'pi', 'user:eve@example.com');
    expect(await refusedWith(key)).toBe('not_found');
  });

  const refusedWith = async (key: string) => {
    const { stderr } = await system.towline(relay, ['--json', 'pi', 'forward', '0:80'], { key });
    return (JSON.parse(stderr) as { error: { code: string } }).error.code;
  };
});
