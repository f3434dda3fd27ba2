import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Forwarder, forwardFrom } from './support/forwarder.ts';
import { createNetwork, inside, networkFault, OTHER_ROUTER_ADDRESS, RELAY_ADDRESS, ROUTER_ADDRESS } from './support/network-namespaces.ts';
import { type NetworkDevice, type NetworkSystem, RELAY_PORT, startNetworkSystem } from './support/network-system.ts';
import { createTwoWayNetwork, TWO_WAYS_RELAY_ADDRESS, type TwoWayNetwork, WAYS, type Way } from './support/network-two-ways.ts';
import { bin, runProgram } from './support/process.ts';
import { createSystem, type TestRelay, type TestSystem } from './support/system.ts';
import { hasTmux, openTerminal } from './support/terminal.ts';
import { type Interruption, type Payload, receivePayload, sendPayload, writePayload } from './support/transfer.ts';
import { openUdpImpairment, type UdpImpairment } from './support/udp-impairment/impairment.mjs';

const fault = networkFault();
const skipped = fault === null ? '' : ` (skipped: ${fault})`;
const tmux = await hasTmux();
/** Size of what is transferred: so much that it takes some seconds. */
const MEBIBYTES = 100;
const TRANSFER_MS = 90_000;

/** Has the device send a payload, and checks that it came whole. */
async function fetchPayload(system: NetworkSystem, payload: Payload, interruptions: readonly Interruption[]): Promise<void> {
  const program = system.startTowline(['pi', 'exec', '--', 'cat', payload.path], { ownStdout: true });
  const sha256 = await receivePayload(program, payload, interruptions);
  expect(await program.finished).toMatchObject({ code: 0, stderr: '' });
  expect(sha256).toBe(payload.sha256);
}

/** Sends a payload to the device, and checks that it came whole. */
async function pushPayload(system: NetworkSystem, payload: Payload, interruptions: readonly Interruption[]): Promise<void> {
  const program = system.startTowline(['pi', 'exec', '-i', '--', 'sha256sum'], { stdin: 'pipe' });
  await sendPayload(program, payload, interruptions);
  expect(await program.finished).toMatchObject({ code: 0, stdout: `${payload.sha256}  -\n` });
}

/** Does something and checks that the device was on one QUIC connection all the time. */
async function stayOnConnection(system: NetworkSystem, device: NetworkDevice, act: () => Promise<void>): Promise<void> {
  const before = await system.link();
  expect(before.transport).toBe('quic');
  await act();
  expect(await system.link()).toEqual(before);
  expect(device.events().filter(({ event }) => event === 'online' || event === 'offline')).toMatchObject([{ transport: 'quic' }]);
}

const WAYS_TO_TRANSFER = [
  ['to the user', fetchPayload],
  ['to the device', pushPayload],
] as const;

describe.skipIf(fault !== null)(`a device behind a router${skipped}`, () => {
  let network: ReturnType<typeof createNetwork>;
  let system: NetworkSystem;
  let device: NetworkDevice;
  let payload: Payload;
  beforeAll(async () => {
    network = createNetwork();
    network.closeToTheOutside();
    system = await startNetworkSystem({ ...network, address: RELAY_ADDRESS });
    device = await system.startDevice();
    payload = writePayload(join(system.dir, 'payload'), MEBIBYTES);
  });
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
    network?.[Symbol.dispose]();
  });

  const sockets = async (...flags: string[]) =>
    (await runProgram(...inside(network.device, 'ss', ['-ntuH', ...flags]))).stdout.split('\n').filter(Boolean);
  const udpSockets = async () => (await sockets()).filter((line) => line.startsWith('udp')).map((line) => line.trim().split(/\s+/));

  it('listens on nothing, and holds one UDP socket, which takes packets of the relay alone', async () => {
    expect(await sockets('-l')).toEqual([]);
    expect(await udpSockets()).toMatchObject([['udp', 'ESTAB', '0', '0', expect.any(String), `${RELAY_ADDRESS}:${RELAY_PORT}`]]);
    expect((await system.towline(['pi', 'exec', '--', 'echo', 'here'])).stdout).toBe('here\n');
    expect(await sockets('-l')).toEqual([]);
  });

  it.each(WAYS_TO_TRANSFER)(
    'stays on its connection when the router forgets it in the middle of a transfer, with another address too, and no byte is lost %s',
    async (_name, transfer) => {
      await stayOnConnection(system, device, () =>
        transfer(system, payload, [
          { at: 0.15, act: () => network.rebind() },
          { at: 0.35, act: () => network.rebind({ address: OTHER_ROUTER_ADDRESS }) },
          { at: 0.55, act: () => network.rebind() },
          { at: 0.75, act: () => network.rebind({ address: ROUTER_ADDRESS }) },
        ]),
      );
    },
    TRANSFER_MS,
  );

  it('is found again when the router forgets it while nothing happens', async () => {
    await stayOnConnection(system, device, async () => {
      network.rebind();
      expect(await system.towline(['pi', 'exec', '--', 'echo', 'found'])).toMatchObject({ code: 0, stdout: 'found\n' });
    });
  });

  it('has left no socket behind', async () => {
    expect(await sockets('-l')).toEqual([]);
    expect(await udpSockets()).toHaveLength(1);
  });
});

describe.skipIf(fault !== null)(`a device that moves to another interface, address and router${skipped}`, () => {
  let network: TwoWayNetwork;
  let system: NetworkSystem;
  let device: NetworkDevice;
  let payload: Payload;
  beforeAll(async () => {
    network = createTwoWayNetwork();
    system = await startNetworkSystem({ ...network, address: TWO_WAYS_RELAY_ADDRESS });
    device = await system.startDevice();
    payload = writePayload(join(system.dir, 'payload'), MEBIBYTES);
  });
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
    network?.[Symbol.dispose]();
  });
  const move = (at: number, way: Way): Interruption => ({ at, act: () => network.moveTo(way) });

  it.each(WAYS_TO_TRANSFER)(
    'stays on its connection in the middle of a transfer, there and back, and no byte is lost %s',
    async (_name, transfer) => {
      await stayOnConnection(system, device, () =>
        transfer(system, payload, [move(0.2, 'second'), move(0.45, 'first'), move(0.7, 'second')]),
      );
      const { stdout } = await system.towline(['pi', 'exec', '--', 'ip', '-4', '-o', 'addr', 'show']);
      expect(stdout).toContain(WAYS.second.device);
      expect(stdout).not.toContain(WAYS.first.device);
      network.moveTo('first');
    },
    TRANSFER_MS,
  );
});

describe('a device on a bad line', () => {
  let system: TestSystem;
  let relay: TestRelay;
  let forwarder: Forwarder;
  let line: UdpImpairment;
  beforeAll(async () => {
    system = createSystem();
    relay = await system.startRelay();
    forwarder = await forwardFrom('127.0.0.1', relay.port);
    const bad = { loss: 0.05, delayMs: 25, jitterMs: 5, duplicate: 0.01, reorder: { probability: 0.02, holdMs: 10 } };
    line = await openUdpImpairment({
      seed: 20_260_801,
      target: { host: '127.0.0.1', port: relay.port },
      listen: { port: forwarder.port },
      up: bad,
      down: bad,
    });
    await system.enrolDevice({ ...relay, url: `https://127.0.0.1:${forwarder.port}` }, { name: 'far', args: ['--transport', 'quic'] });
  });
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
    await line?.[Symbol.asyncDispose]();
    await forwarder?.[Symbol.asyncDispose]();
  });

  it('that loses a twentieth, delays, reorders and doubles packets, brings every byte both ways', async () => {
    const bytes = randomBytes(3_750_000).toString('base64');
    const { code, stdout } = await system.towline(relay, ['far', 'exec', '-i', '--', 'cat'], { stdin: bytes, deadlineMs: 60_000 });
    expect({ code, whole: stdout === bytes }).toEqual({ code: 0, whole: true });
    const { up, down } = line.statistics();
    expect(Math.min(up.lost, down.lost)).toBeGreaterThan(20);
  }, 70_000);

  it.skipIf(!tmux)('has a shell that can be worked in (needs tmux)', async () => {
    await using terminal = await openTerminal(`${bin('towline')} far shell`, {
      TOWLINE_RELAY: relay.url,
      TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
      TOWLINE_API_KEY: relay.adminKey,
      TOWLINE_CONFIG_DIR: join(system.dir, 'user'),
    });
    await terminal.shows(/sha256:/);
    await terminal.type('PS1="ready> "; clear\n');
    await terminal.shows(/^ready>$/m);
    for (const [line, answer] of [
      ['seq 1000 | tail -n 1', /^1000$/m],
      ['echo $((6 * 7))', /^42$/m],
      ['printf "%s\\n" Zürich', /^Zürich$/m],
    ] as const) {
      await terminal.type(`${line}\n`);
      await terminal.shows(answer);
    }
    await terminal.type('exit 7\n');
    await terminal.shows(/\[ended with 7\]/);
  });
});
