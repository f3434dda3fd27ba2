import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { DeviceView } from '@towline/contract';
import { fingerprintOfKey } from '@towline/link';
import { describe, expect, it } from 'vitest';
import { countUdpFrom } from './support/network-counter.ts';
import { createNetwork, networkFault, RELAY_ADDRESS, ROUTER_ADDRESS, type TestNetwork } from './support/network-namespaces.ts';
import { startNetworkProxy } from './support/network-proxy.ts';
import { type NetworkDevice, type NetworkSystem, RELAY_PORT, startNetworkSystem } from './support/network-system.ts';
import { makeAuthority, makeLeaf } from './support/openssl.ts';
import type { Finished } from './support/process.ts';
import { isInstalled, startNginx } from './support/proxy-programs.ts';
import { inTime } from './support/raw-peer.ts';
import { startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually } from './support/system.ts';

const fault = networkFault();
const skipped = fault === null ? '' : ` (skipped: ${fault})`;
const tinyproxy = isInstalled('tinyproxy');
const nginx = isInstalled('nginx');

/** A device whose way is cut is back by another one within this, milliseconds. */
const BACK_MS = 15_000;
/** And on its best transport again within this of the end of what kept it away. */
const BEST_AGAIN_MS = 60_000;
const TEST_MS = 170_000;
/** Where the router is for the device. */
const ROUTER_INSIDE = '192.168.77.1';
const NO_ANSWER = /^QUIC: .*UDP port 8085/;
const LOST_OR_NO_ANSWER = /^QUIC: (its last connection was lost|.*UDP port 8085)/;

/** A network with a relay in it. */
interface Place extends AsyncDisposable {
  readonly network: TestNetwork;
  readonly system: NetworkSystem;
}

async function openPlace(): Promise<Place> {
  const network = createNetwork();
  network.closeToTheOutside();
  try {
    const system = await startNetworkSystem({ ...network, address: RELAY_ADDRESS });
    return {
      network,
      system,
      async [Symbol.asyncDispose]() {
        await system[Symbol.asyncDispose]();
        network[Symbol.dispose]();
      },
    };
  } catch (error) {
    network[Symbol.dispose]();
    throw error;
  }
}

/** How a device is waited for. */
interface Coming {
  readonly system: NetworkSystem;
  readonly device: NetworkDevice;
  /** How many of its events do not count. */
  readonly seen: number;
  readonly withinMs: number;
}

/** A command that counts until it is told to end. */
interface Counting {
  /** Has it end, and checks that it counted without a gap and ended as it should. */
  finish(): Promise<void>;
}

async function startCounting(system: NetworkSystem): Promise<Counting> {
  const end = join(system.dir, `end-${Math.random()}`);
  const script = `i=0; while [ ! -e ${end} ]; do i=$((i + 1)); echo $i; sleep 0.2; done; exit 41`;
  const program = system.startTowline(['pi', 'exec', '--', 'sh', '-c', script]);
  await program.saw(/^2$/m);
  return {
    async finish() {
      writeFileSync(end, '');
      const { code, stdout, stderr }: Finished = await inTime(program.finished, 'the command ends');
      const numbers = stdout.trim().split('\n').map(Number);
      expect({ code, stderr, numbers }).toEqual({ code: 41, stderr: '', numbers: numbers.map((_, index) => index + 1) });
    },
  };
}

const echo = async (system: NetworkSystem) => (await system.towline(['pi', 'exec', '--', 'echo', 'here'])).stdout;
/** Waits until the device says that it is online by a transport, and the relay shows that; resolves with what both say. */
async function cameBy(transport: string, { system, device, seen, withinMs }: Coming) {
  const event = await device.next(seen, { event: 'online', transport }, withinMs);
  const link = await eventually(async () => {
    const shown = (await system.show()).link;
    return shown?.transport === transport && shown;
  }, `the relay shows ${transport}`);
  return { event, link };
}

describe.skipIf(fault !== null).concurrent(`transports in changing networks${skipped}`, () => {
  it(
    'a filter that drops UDP midway: back over TLS, and on QUIC again after its end, while a command that began on TLS goes on',
    async () => {
      await using place = await openPlace();
      const { network, system } = place;
      const device = await system.startDevice();
      expect(await system.link()).toMatchObject({ transport: 'quic' });
      let seen = device.events().length;
      network.block('udp');
      const onTls = await cameBy('tls', { system, device, seen, withinMs: BACK_MS });
      expect(onTls.event.note).toMatch(LOST_OR_NO_ANSWER);
      expect(onTls.link.transport_note).toMatch(LOST_OR_NO_ANSWER);
      const long = await startCounting(system);
      expect(await device.status()).toMatchObject({ state: 'online', transport: 'tls', note: expect.stringMatching(LOST_OR_NO_ANSWER) });
      expect((await system.towline(['devices', 'show', 'pi'])).stdout).toMatch(/QUIC: /);
      seen = device.events().length;
      network.unblock();
      const { event, link } = await cameBy('quic', { system, device, seen, withinMs: BEST_AGAIN_MS });
      expect([event.note, link.transport_note]).toEqual([undefined, undefined]);
      expect(await device.status()).toMatchObject({ state: 'online', transport: 'quic', note: null });
      expect(await echo(system)).toBe('here\n');
      await long.finish();
      expect(device.events().slice(seen)).toHaveLength(1);
    },
    TEST_MS,
  );

  it(
    'everything is dropped for a while: commands outlive five seconds of it, and after ten the device is there again',
    async () => {
      await using place = await openPlace();
      const { network, system } = place;
      const device = await system.startDevice();
      const before = await system.link();
      const long = await startCounting(system);
      network.block('everything');
      await wait(5_000);
      network.unblock();
      expect(await echo(system)).toBe('here\n');
      expect(await system.link()).toEqual(before);
      await long.finish();
      network.block('everything');
      await wait(10_000);
      network.unblock();
      // It is close to what counts as lost: whether the connection is the same one is a matter of chance.
      await eventually(async () => (await echo(system)) === 'here\n', 'commands run again', BACK_MS);
      expect(device.program.child.exitCode).toBe(null);
    },
    TEST_MS,
  );

  it(
    'no UDP from the start: TLS, which is remembered and used at once the next time, and QUIC when UDP passes',
    async () => {
      await using place = await openPlace();
      const { network, system } = place;
      network.block('udp');
      {
        await using device = await system.startDevice();
        expect(await cameBy('tls', { system, device, seen: 0, withinMs: BACK_MS })).toMatchObject({
          event: { note: expect.stringMatching(NO_ANSWER) },
        });
        const remembered = JSON.parse(readFileSync(join(device.dir, 'transports.json'), 'utf8')) as Record<string, unknown>;
        expect(remembered[system.url]).toMatchObject({ transport: 'tls', reasons: { quic: expect.stringContaining('UDP port 8085') } });
      }
      const sent = countUdpFrom(network.device);
      const device = await system.startDevice();
      const { event } = await cameBy('tls', { system, device, seen: 0, withinMs: BACK_MS });
      expect(event.note).toMatch(NO_ANSWER);
      expect(sent()).toBe(0);
      network.unblock();
      await cameBy('quic', { system, device, seen: device.events().length, withinMs: BEST_AGAIN_MS });
      expect(sent()).toBeGreaterThan(0);
    },
    TEST_MS,
  );

  it.skipIf(!tinyproxy)(
    'an HTTP proxy is the only way out: TLS through it (needs tinyproxy)',
    async () => {
      await using place = await openPlace();
      const { network, system } = place;
      network.block('everything');
      await using proxy = await startNetworkProxy(network.router, { dir: system.dir, address: ROUTER_INSIDE, port: 3128 });
      const device = await system.startDevice({ env: { HTTPS_PROXY: proxy.url } });
      const { event, link } = await cameBy('tls', { system, device, seen: 0, withinMs: BACK_MS });
      expect(event.note).toMatch(NO_ANSWER);
      expect(link).toMatchObject({ address: ROUTER_ADDRESS, transport_note: expect.stringMatching(NO_ANSWER) });
      expect(await echo(system)).toBe('here\n');
      expect(new Set(proxy.targets())).toEqual(new Set([`${RELAY_ADDRESS}:${RELAY_PORT}`]));
    },
    TEST_MS,
  );

  it(
    'QUIC alone is wanted and UDP is dropped: the device says so, keeps trying, and is online when UDP passes',
    async () => {
      await using place = await openPlace();
      const { network, system } = place;
      network.block('udp');
      const device = system.beginDevice({ args: ['--transport', 'quic'] });
      const { request } = await device.next(0, { event: 'waiting' });
      expect(await system.towline(['devices', 'approve', String(request)])).toMatchObject({ code: 0 });
      const offline = await device.next(0, { event: 'offline' });
      expect(offline).toMatchObject({ code: 'relay_unreachable', message: expect.stringMatching(/UDP port 8085/) });
      expect(await device.status()).toMatchObject({ state: 'offline', transport: null });
      network.unblock();
      await cameBy('quic', { system, device, seen: 0, withinMs: BEST_AGAIN_MS });
      expect(device.events().some(({ event, transport }) => event === 'online' && transport !== 'quic')).toBe(false);
    },
    TEST_MS,
  );

  it(
    'TLS alone is wanted: no UDP packet is ever sent',
    async () => {
      await using place = await openPlace();
      const { network, system } = place;
      const sent = countUdpFrom(network.device);
      const device = await system.startDevice({ args: ['--transport', 'tls'] });
      expect(await echo(system)).toBe('here\n');
      expect(await device.status()).toMatchObject({ transport: 'tls' });
      // Longer than until a better transport would first be tried in the background.
      await wait(12_000);
      expect(sent()).toBe(0);
    },
    TEST_MS,
  );

  it(
    'a network that lets QUIC up and swallows it soon after: tried less and less often, and commands on TLS do not notice',
    async () => {
      await using place = await openPlace();
      const { network, system } = place;
      const device = await system.startDevice();
      const gapsMs: number[] = [];
      const swallow = async () => {
        await wait(3_000);
        const seen = device.events().length;
        network.block('udp');
        await device.next(seen, { event: 'online', transport: 'tls' }, BEST_AGAIN_MS);
        network.unblock();
        return performance.now();
      };
      let onTlsMs = await swallow();
      const long = await startCounting(system);
      for (let times = 0; times < 2; times += 1) {
        await device.next(device.events().length, { event: 'online', transport: 'quic' }, BEST_AGAIN_MS);
        gapsMs.push(performance.now() - onTlsMs);
        onTlsMs = await swallow();
        expect((await device.status()).note).toMatch(/^QUIC: its last connection was lost/);
      }
      // A quarter of each wait is left to chance.
      expect(gapsMs[1]! / gapsMs[0]!).toBeGreaterThan(1.3);
      expect(await echo(system)).toBe('here\n');
      await long.finish();
    },
    TEST_MS,
  );

  it.skipIf(!nginx)(
    'what stands before the relay passes WebSockets alone: the device comes through one (needs nginx)',
    async () => {
      await using system = createSystem();
      await using relay = await startRelayOn(join(system.dir, 'relay'));
      const authority = await makeAuthority(system.dir, 'nginx-ca');
      const { cert, key } = await makeLeaf(system.dir, 'nginx', { by: authority });
      const chain = join(system.dir, 'nginx-chain.pem');
      writeFileSync(chain, readFileSync(cert, 'utf8') + readFileSync(authority.cert, 'utf8'));
      await using middle = await startNginx(system.dir, { upstreamPort: relay.port, certificate: { cert: chain, key }, from: '127.0.0.8' });
      const there = {
        ...relay,
        url: `https://127.0.0.1:${middle.refusingPort}`,
        fingerprint: fingerprintOfKey(new X509Certificate(readFileSync(authority.cert))),
      };
      await system.enrolDevice(there, { name: 'behind' });
      const show = async () => JSON.parse((await system.towline(relay, ['devices', 'show', 'behind', '--json'])).stdout) as DeviceView;
      const { link } = await show();
      expect(link?.transport).toBe('websocket');
      expect(link?.transport_note).toMatch(/^QUIC: .* TLS: .*status 403/);
      expect(await system.towline(relay, ['behind', 'exec', '--', 'echo', 'here'])).toMatchObject({ code: 0, stdout: 'here\n' });
    },
    TEST_MS,
  );
});
