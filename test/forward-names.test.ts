import { spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoTcp } from './support/forwarding.ts';
import { createKey } from './support/keys.ts';
import { linkClient, type RawClient } from './support/raw-client.ts';
import { createSystem, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** Address of loopback on which the device's resolver is; its port is 53 always. */
const RESOLVER = '127.83.7.1';
const isRoot = process.getuid?.() === 0;
const fault = isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0 ? null : 'needs root and mount namespaces';
/** RFC 1035, section 4.1.1: an answer that says that there is no such name. */
const NO_SUCH_NAME = 0x8183;

/** A resolver that knows nobody, and says so of names that do not begin with `dead`; of those it says nothing. */
async function startResolver(): Promise<{ readonly socket: Socket; readonly dead: Set<string> }> {
  const socket = createSocket('udp4');
  const dead = new Set<string>();
  socket.on('message', (query, from) => {
    const label = query.subarray(13, 13 + query[12]!).toString();
    if (label.startsWith('dead')) return void dead.add(label);
    const answer = Buffer.from(query);
    answer.writeUInt16BE(NO_SUCH_NAME, 2);
    socket.send(answer, from.port, from.address);
  });
  socket.bind(53, RESOLVER);
  await once(socket, 'listening');
  return { socket, dead };
}

describe.skipIf(fault !== null)(`names that no resolver answers for${fault === null ? '' : ` (skipped: ${fault})`}`, () => {
  let system: TestSystem;
  let relay: TestRelay;
  let device: TestDevice;
  let resolver: Awaited<ReturnType<typeof startResolver>>;
  let amy: RawClient;
  let bob: RawClient;
  beforeAll(async () => {
    system = createSystem();
    resolver = await startResolver();
    relay = await system.startRelay();
    await (await system.enrolDevice(relay))[Symbol.asyncDispose]();
    const resolvConf = join(system.dir, 'resolv.conf');
    writeFileSync(resolvConf, `nameserver ${RESOLVER}\n`);
    const through = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolvConf];
    writeFileSync(
      join(system.dir, 'device-pi', 'device.yaml'),
      JSON.stringify({ allow: ['localhost:*', '*.test:*', `unix:${system.dir}/*`] }),
      {
        mode: 0o600,
      },
    );
    device = system.startDevice(relay, { through });
    await device.event('online');
    const link = async (name: string) => {
      expect((await system.towline(relay, ['devices', 'share', 'pi', `user:${name}@example.com`, '--role', 'operator'])).code).toBe(0);
      return linkClient(relay, (await createKey(system, relay, ['--email', `${name}@example.com`])).key);
    };
    [amy, bob] = [await link('amy'), await link('bob')];
  });
  afterAll(async () => {
    for (const client of [amy, bob]) await client?.[Symbol.asyncDispose]();
    await system?.[Symbol.asyncDispose]();
    resolver?.socket.close();
  });

  const open = (by: RawClient, target: { host: string } | { path: string }) =>
    by.open('pi', {
      protocol: '/forward/1',
      body: { target: 'path' in target ? { kind: 'unix', ...target } : { kind: 'tcp', port: 80, ...target } },
    });

  it('cost whoever asks for them his own time, and nobody else’s: neither look-ups nor files of the device wait', async () => {
    const path = join(system.dir, 'echo.sock');
    await using _server = await echoTcp({ path });
    const asked = Array.from({ length: 40 }, (_, at) => open(amy, { host: `dead-${at}.test` }));
    while (resolver.dead.size === 0) await once(resolver.socket, 'message');
    for (let at = 0; at < 5; at += 1) {
      expect(await open(bob, { host: `nobody-${at}.test` })).toBe('target_not_found');
      expect(await open(bob, { path })).toBe('accepted');
    }
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['target_timeout']));
    // The resolver of the system gives the last of hers up when it has asked often enough.
    for (;;) {
      const code = await open(amy, { host: 'nobody.test' });
      if (code === 'target_not_found') break;
      expect(code).toBe('target_timeout');
    }
  }, 90_000);
});
