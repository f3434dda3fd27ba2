import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createNetwork,
  DEVICE_ADDRESS,
  inside,
  networkFault,
  RELAY_ADDRESS,
  ROUTER_ADDRESS,
  type TestNetwork,
} from './support/network-namespaces.ts';
import { bin, type Program, runProgram, startProgram } from './support/process.ts';
import { createSystem, eventually, type TestSystem } from './support/system.ts';
import { hasTmux, openTerminal } from './support/terminal.ts';

const PORT = 8085;
/** A port on which something listens on the device for a while, to see who can reach it. */
const PROBE_PORT = 7000;
const fault = networkFault();
const tmux = await hasTmux();

describe.skipIf(fault !== null)(`behind a router that lets nobody in${fault === null ? '' : ` (skipped: ${fault})`}`, () => {
  let system: TestSystem;
  let network: TestNetwork;
  let relay: Program;
  /** One that goes by the best transport, which is QUIC here, and one that goes by TLS. */
  let devices: Readonly<Record<'pi' | 'by-tls', Program>>;
  let env: Record<string, string>;
  let reachable: { readonly before: boolean; readonly after: boolean };
  let listened: string;

  beforeAll(async () => {
    system = createSystem();
    network = createNetwork();
    reachable = await watchProbe();
    const config = join(system.dir, 'relay.yaml');
    writeFileSync(config, `server:\n  host: ${RELAY_ADDRESS}\n  port: ${PORT}\n`);
    const data = join(system.dir, 'relay');
    relay = startProgram(...inside(network.relay, bin('towline-relay'), ['start', '--config', config, '--data', data]));
    const [, url = '', fingerprint = ''] = await relay.saw(/^ready url=(\S+) fingerprint=(\S+)$/m);
    expect(url).toBe(`https://${RELAY_ADDRESS}:${PORT}`);
    env = {
      TOWLINE_RELAY: url,
      TOWLINE_TLS_FINGERPRINT: fingerprint,
      TOWLINE_API_KEY: readFileSync(join(data, 'admin.key'), 'utf8').trim(),
      TOWLINE_CONFIG_DIR: join(system.dir, 'user'),
    };
    devices = { pi: await enrol('pi'), 'by-tls': await enrol('by-tls', '--transport', 'tls') };
  });
  afterAll(async () => {
    for (const device of Object.values(devices ?? {})) await device[Symbol.asyncDispose]();
    await relay?.[Symbol.asyncDispose]();
    network?.[Symbol.dispose]();
    await system?.[Symbol.asyncDispose]();
  });

  const towline = (...words: string[]) => runProgram(...inside(network.relay, bin('towline'), words), { env });
  const show = async (name: string) => JSON.parse((await towline('devices', 'show', name, '--json')).stdout) as DeviceView;
  /** Starts a runtime on the device and approves it. */
  async function enrol(name: string, ...more: string[]): Promise<Program> {
    const relayWords = ['--relay', env.TOWLINE_RELAY!, '--fingerprint', env.TOWLINE_TLS_FINGERPRINT!];
    const words = ['run', ...relayWords, '--email', 'admin@example.com', '--name', name, '--json', '--run-as', 'root', ...more];
    const device = startProgram(...inside(network.device, bin('towline-agent'), words), {
      env: { TOWLINE_CONFIG_DIR: join(system.dir, name) },
    });
    const [, request = ''] = await device.saw(/"event":"waiting","request":"([0-9a-f]+)"/);
    expect(await towline('devices', 'approve', request)).toMatchObject({ code: 0 });
    await device.saw(/"event":"online"/);
    return device;
  }
  const listening = async () => (await runProgram(...inside(network.device, 'ss', ['-lntupH']))).stdout;
  const canReach = async (from: string) =>
    (await runProgram(...inside(from, 'timeout', ['2', 'bash', '-c', `</dev/tcp/${DEVICE_ADDRESS}/${PROBE_PORT}`]))).code === 0;

  /** Listens on the device for a moment, first open to the outside and then closed: what the network does must be its own doing. */
  async function watchProbe() {
    const listen = `require('net').createServer((socket) => socket.end()).listen(${PROBE_PORT}, () => console.log('listening'))`;
    await using probe = startProgram(...inside(network.device, process.execPath, ['-e', listen]));
    await probe.saw(/listening/);
    listened = await listening();
    const before = await canReach(network.relay);
    network.closeToTheOutside();
    return { before, after: (await canReach(network.relay)) || (await canReach(network.router)) };
  }

  it('nobody can reach the device, neither from outside nor from the router, as they could without the filter', () => {
    expect(reachable).toEqual({ before: true, after: false });
  });

  it('the device has no listening socket, neither TCP nor UDP', async () => {
    expect(listened).toContain(`:${PROBE_PORT}`);
    expect(await listening()).toBe('');
  });

  it('commands run on the device', async () => {
    const { code, stdout } = await towline('pi', 'exec', '--', 'sh', '-c', 'hostname -I 2>/dev/null || ip -4 -o addr show lan');
    expect(code).toBe(0);
    expect(stdout).toContain(DEVICE_ADDRESS);
    expect(await show('pi')).toMatchObject({ online: true, link: { address: ROUTER_ADDRESS } });
    expect(await listening()).toBe('');
  });

  it('bytes flow both ways', async () => {
    const bytes = 'x'.repeat(3_000_000);
    const sent = await runProgram(...inside(network.relay, bin('towline'), ['pi', 'exec', '-i', '--', 'cat']), { env, stdin: bytes });
    expect(sent.code).toBe(0);
    expect(sent.stdout === bytes).toBe(true);
  });

  it.skipIf(!tmux)('a shell opens on the device (needs tmux)', async () => {
    const [file, args] = inside(network.relay, bin('towline'), ['pi', 'shell']);
    await using terminal = await openTerminal([file, ...args].join(' '), env);
    await terminal.shows(/sha256:/);
    await terminal.type('PS1="ready> "; clear\n');
    await terminal.shows(/^ready>$/m);
    await terminal.type('ip -4 -o addr show lan | cut -d" " -f7; exit 7\n');
    await terminal.shows(new RegExp(`^${DEVICE_ADDRESS}/24`, 'm'));
    await terminal.shows(/\[ended with 7\]/);
  });

  it('when its address and that of its router change, QUIC goes on, and over TLS the device comes back by itself', async () => {
    const movedTo = '192.168.77.9';
    const routerMovedTo = '198.51.100.9';
    // On a busy machine it may have begun with TLS, which it leaves soon.
    await eventually(async () => (await show('pi')).link?.transport === 'quic', 'it is on QUIC');
    expect((await show('by-tls')).link?.transport).toBe('tls');
    network.moveDevice(movedTo);
    network.moveRouter(routerMovedTo);
    const online = (name: keyof typeof devices) => (devices[name].stdout.match(/"event":"online"/g) ?? []).length;
    await eventually(async () => online('by-tls') >= 2, 'it is online again', 40_000);
    for (const name of ['pi', 'by-tls'] as const) {
      const { stdout } = await towline(name, 'exec', '--', 'ip', '-4', '-o', 'addr', 'show', 'lan');
      expect(stdout, name).toContain(movedTo);
      expect(await show(name)).toMatchObject({ online: true });
      expect(devices[name].child.exitCode).toBe(null);
    }
    expect(devices.pi.stdout).not.toContain('"offline"');
    expect(await show('by-tls')).toMatchObject({ link: { address: routerMovedTo } });
    expect(await listening()).toBe('');
  }, 60_000);
});
