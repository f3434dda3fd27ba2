import { execFileSync, spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createNetwork,
  DEVICE_ADDRESS,
  inside,
  networkFault,
  OTHER_ROUTER_ADDRESS,
  RELAY_ADDRESS,
  ROUTER_ADDRESS,
  type TestNetwork,
} from './support/network-namespaces.ts';
import { createTwoWayNetwork, type TwoWayNetwork, WAYS } from './support/network-two-ways.ts';
import { type Program, runProgram, startProgram } from './support/process.ts';

const PORT = 7000;
const CLIENT_PORT = 5555;
const fault = networkFault();

/** Answers each UDP packet and each TCP connection with the address it comes from, and says so. Sends what it reads, a text, an address and a port. */
const SERVER = `
  const udp = require('dgram').createSocket('udp4');
  udp.on('message', (text, from) => {
    const seen = text + ' from ' + from.address + ':' + from.port;
    console.log(seen);
    udp.send(seen, from.port, from.address);
  });
  const tcp = require('net').createServer((socket) => {
    const from = socket.remoteAddress.replace('::ffff:', '') + ':' + socket.remotePort;
    socket.on('error', () => {}).on('data', (text) => socket.write(text + ' from ' + from + '\\n'));
  });
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const [text, address, port] = line.split(' ');
    udp.send(text, Number(port), address, () => console.log('sent ' + text));
  });
  udp.bind(${PORT}, () => tcp.listen(${PORT}, () => console.log('listening')));`;

/** Sends each line it reads as a packet from one socket, again and again until the answer to it comes, and says what it did. */
const UDP_CLIENT = `
  const [host, port] = process.argv.slice(-2);
  const udp = require('dgram').createSocket('udp4');
  let waiting = null;
  const send = (text) => udp.send(text, Number(port), host, (error) => console.log((error ? 'not sent ' : 'sent ') + text));
  udp.on('message', (text) => {
    if (waiting !== null && String(text).startsWith(waiting + ' ')) waiting = null;
    console.log('answer ' + text);
  });
  udp.bind(${CLIENT_PORT}, () => console.log('bound'));
  require('readline').createInterface({ input: process.stdin }).on('line', (line) => send((waiting = line)));
  setInterval(() => waiting !== null && send(waiting), 100);`;

/** Holds one TCP connection and sends what it reads. */
const TCP_CLIENT = `
  const [host, port] = process.argv.slice(-2);
  const tcp = require('net').connect(Number(port), host, () => console.log('connected'));
  tcp.on('error', (error) => console.log('lost ' + error.code)).on('data', (text) => console.log('answer ' + text));
  process.stdin.on('data', (line) => tcp.write(String(line).trim())).on('end', () => tcp.destroy());`;

const start = (namespace: string, script: string, args: readonly (string | number)[] = []): Program =>
  startProgram(...inside(namespace, process.execPath, ['-e', script, '--', ...args.map(String)]), { stdin: 'pipe' });

async function startServer(namespace: string): Promise<Program> {
  const server = start(namespace, SERVER);
  await server.saw(/^listening$/m);
  return server;
}

/** Sends a line and returns the address from which the other end saw it. */
async function ask(client: Program, text: string): Promise<{ readonly address: string; readonly port: number }> {
  client.child.stdin?.write(`${text}\n`);
  const [, address = '', port = ''] = await client.saw(new RegExp(`^answer ${text} from (\\S+):(\\d+)$`, 'm'));
  return { address, port: Number(port) };
}

/** Sends a line that is not expected to arrive: resolves when it is on its way. */
async function sendInVain(client: Program, text: string): Promise<void> {
  client.child.stdin?.write(`${text}\n`);
  await client.saw(new RegExp(`^sent ${text}$`, 'm'));
}

/** Whether a TCP connection can be made at all. */
async function canConnect(from: string, host: string, port = PORT): Promise<boolean> {
  return (await runProgram(...inside(from, 'timeout', ['2', 'bash', '-c', `</dev/tcp/${host}/${port}`]))).code === 0;
}

const namespaces = () => execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
const skipped = fault === null ? '' : ` (skipped: ${fault})`;

describe.skipIf(fault !== null)(`a device behind a router with address translation${skipped}`, () => {
  let network: TestNetwork;
  let server: Program;
  let client: Program;

  beforeEach(async () => {
    network = createNetwork();
    network.closeToTheOutside();
    server = await startServer(network.relay);
    client = start(network.device, UDP_CLIENT, [RELAY_ADDRESS, PORT]);
    await client.saw(/^bound$/m);
  });
  afterEach(async () => {
    await client?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    network?.[Symbol.dispose]();
  });

  it('goes out under the address of the router', async () => {
    expect(await ask(client, 'hello')).toEqual({ address: ROUTER_ADDRESS, port: CLIENT_PORT });
    await using tcp = start(network.device, TCP_CLIENT, [RELAY_ADDRESS, PORT]);
    expect((await ask(tcp, 'hello')).address).toBe(ROUTER_ADDRESS);
  });

  it('is reached by nobody who was not asked, over TCP or UDP', async () => {
    await using listening = await startServer(network.device);
    await using outsider = start(network.relay, UDP_CLIENT, [DEVICE_ADDRESS, PORT]);
    await outsider.saw(/^bound$/m);
    await sendInVain(outsider, 'knock');
    expect(await canConnect(network.relay, DEVICE_ADDRESS)).toBe(false);
    expect(await canConnect(network.router, DEVICE_ADDRESS)).toBe(false);
    // Shows that the device's server does answer, and that the knock has had its time.
    expect(await canConnect(network.device, DEVICE_ADDRESS)).toBe(true);
    expect(listening.stdout).toBe('listening\n');
  });

  it('is seen from another port after a rebinding, then from another address, while its socket is the same', async () => {
    const before = await ask(client, 'one');
    network.rebind();
    const second = await ask(client, 'two');
    expect(second.address).toBe(before.address);
    expect(Math.floor(second.port / 1_000)).toBe(20);
    network.rebind();
    expect(Math.floor((await ask(client, 'three')).port / 1_000)).toBe(21);
    network.rebind({ address: OTHER_ROUTER_ADDRESS });
    const fourth = await ask(client, 'four');
    expect(fourth.address).toBe(OTHER_ROUTER_ADDRESS);
    expect(Math.floor(fourth.port / 1_000)).toBe(22);
  });

  it('gets nothing any more that goes to the port it had before', async () => {
    const { address, port } = await ask(client, 'one');
    server.child.stdin?.write(`early ${address} ${port}\n`);
    await client.saw(/^answer early$/m);
    network.rebind();
    await ask(client, 'two');
    server.child.stdin?.write(`late ${address} ${port}\n`);
    await server.saw(/^sent late$/m);
    await ask(client, 'three');
    expect(client.stdout).not.toContain('late');
  });

  it('loses an open TCP connection to a rebinding, and makes new ones', async () => {
    await using tcp = start(network.device, TCP_CLIENT, [RELAY_ADDRESS, PORT]);
    await ask(tcp, 'one');
    network.rebind();
    tcp.child.stdin?.write('two\n');
    await tcp.saw(/^lost ECONNRESET$/m);
    expect(await canConnect(network.device, RELAY_ADDRESS)).toBe(true);
  });

  it('gets no UDP through while the filter is on, but TCP, and UDP again afterwards on the same socket', async () => {
    await using tcp = start(network.device, TCP_CLIENT, [RELAY_ADDRESS, PORT]);
    await ask(tcp, 'before');
    const before = await ask(client, 'before');
    network.block('udp');
    await sendInVain(client, 'blocked');
    await ask(tcp, 'meanwhile');
    expect(server.stdout).not.toContain('blocked');
    network.unblock();
    expect(await ask(client, 'after')).toEqual(before);
  });

  it('gets nothing through while everything is blocked, and keeps its TCP connection when that ends soon', async () => {
    await using tcp = start(network.device, TCP_CLIENT, [RELAY_ADDRESS, PORT]);
    await ask(tcp, 'before');
    network.block('everything');
    tcp.child.stdin?.write('blocked\n');
    expect(await canConnect(network.device, RELAY_ADDRESS)).toBe(false);
    expect(tcp.stdout).not.toContain('answer blocked');
    network.unblock();
    await tcp.saw(/^answer blocked from/m);
  });

  it('moves to another address, as does its router', async () => {
    network.rebind({ address: OTHER_ROUTER_ADDRESS });
    await ask(client, 'one');
    network.moveDevice('192.168.77.9');
    network.moveRouter('198.51.100.9');
    expect(await ask(client, 'two')).toEqual({ address: '198.51.100.9', port: CLIENT_PORT });
    expect(await canConnect(network.relay, '192.168.77.9')).toBe(false);
  });
});

describe.skipIf(fault !== null)(`a device with two interfaces${skipped}`, () => {
  let network: TwoWayNetwork;
  let server: Program;
  let client: Program;

  beforeEach(async () => {
    network = createTwoWayNetwork();
    server = await startServer(network.relay);
    client = start(network.device, UDP_CLIENT, [RELAY_ADDRESS, PORT]);
    await client.saw(/^bound$/m);
  });
  afterEach(async () => {
    await client?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    network?.[Symbol.dispose]();
  });
  const addresses = () => execFileSync('ip', ['-n', network.device, '-4', '-o', 'addr', 'show'], { encoding: 'utf8' });

  it('goes on over the other one with the same socket, there and back', async () => {
    expect(network.way).toBe('first');
    expect(await ask(client, 'one')).toEqual({ address: WAYS.first.routerOutside, port: CLIENT_PORT });
    network.moveTo('second');
    expect(await ask(client, 'two')).toEqual({ address: WAYS.second.routerOutside, port: CLIENT_PORT });
    expect(addresses()).toContain(WAYS.second.device);
    expect(addresses()).not.toContain(WAYS.first.device);
    network.moveTo('first');
    expect((await ask(client, 'three')).address).toBe(WAYS.first.routerOutside);
    expect([network.way, addresses().includes(WAYS.second.device)]).toEqual(['first', false]);
  });

  it('loses an open TCP connection in the move: nothing of it arrives, and a new one comes from the other address', async () => {
    await using old = start(network.device, TCP_CLIENT, [RELAY_ADDRESS, PORT]);
    await ask(old, 'one');
    network.moveTo('second');
    old.child.stdin?.write('two\n');
    await using fresh = start(network.device, TCP_CLIENT, [RELAY_ADDRESS, PORT]);
    expect((await ask(fresh, 'three')).address).toBe(WAYS.second.routerOutside);
    expect(old.stdout).not.toContain('answer two');
  });

  it('is reached by nobody, whichever way it uses', async () => {
    await using listening = await startServer(network.device);
    for (const way of ['first', 'second'] as const) {
      network.moveTo(way);
      for (const from of [network.relay, network.routers[way].namespace]) expect(await canConnect(from, WAYS[way].device)).toBe(false);
    }
    expect(listening.stdout).toBe('listening\n');
  });

  it('rebinds, and is filtered, whichever way it uses', async () => {
    network.moveTo('second');
    network.routers.second.rebind();
    expect(Math.floor((await ask(client, 'one')).port / 1_000)).toBe(20);
    network.block('udp');
    await sendInVain(client, 'two');
    expect(await canConnect(network.device, RELAY_ADDRESS)).toBe(true);
    network.moveTo('first');
    await sendInVain(client, 'three');
    expect(await canConnect(network.device, RELAY_ADDRESS)).toBe(true);
    expect(server.stdout).not.toMatch(/two|three/);
    network.unblock();
    await ask(client, 'four');
  });
});

describe.skipIf(fault !== null)(`networks of tests${skipped}`, () => {
  it('are gone after disposal, with the processes left in them', async () => {
    const network = createTwoWayNetwork();
    const left = start(network.device, `setInterval(() => {}, 1000); process.on('SIGTERM', () => {}); console.log('here')`);
    await left.saw(/here/);
    expect(namespaces()).toContain(network.device);
    network[Symbol.dispose]();
    for (const name of [network.relay, network.device]) expect(namespaces()).not.toContain(name);
    expect(await left.finished).toMatchObject({ signal: 'SIGKILL' });
  });

  it('do not disturb each other in one process', async () => {
    using one = createNetwork();
    using other = createNetwork();
    await using server = await startServer(one.relay);
    expect(await canConnect(one.device, RELAY_ADDRESS)).toBe(true);
    expect(await canConnect(other.device, RELAY_ADDRESS)).toBe(false);
    await server[Symbol.asyncDispose]();
  });

  it('are gone when the test process ends without disposing of them', () => {
    const before = process.listeners('exit');
    const network = createNetwork();
    const atExit = process.listeners('exit').filter((listener) => !before.includes(listener));
    expect(namespaces()).toContain(network.device);
    for (const listener of atExit) listener(1);
    expect(namespaces()).not.toContain(network.device);
    network[Symbol.dispose]();
  });

  it('are gone with the next one when the test process was killed, and only then', () => {
    const { pid } = spawnSync('true');
    const [killed, running] = [`tl-${pid}-abcdef-relay`, `tl-${process.ppid}-abcdef-relay`];
    for (const name of [killed, running]) execFileSync('ip', ['netns', 'add', name]);
    try {
      createNetwork()[Symbol.dispose]();
      expect(namespaces()).not.toContain(killed);
      expect(namespaces()).toContain(running);
    } finally {
      for (const name of [killed, running]) spawnSync('ip', ['netns', 'del', name]);
    }
  });
});
