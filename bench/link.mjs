// Compares the link protocol with plain TLS, both through a relay process: client -> relay -> device, each leg encrypted.
// Plain: one TLS connection a flow, and the relay pipes sockets. Link: one TLS connection a leg, and the relay pipes streams.
// Read the ratios, not the figures: node bench/link.mjs [megabytes]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import tls from 'node:tls';
import { createLink } from '../core/link/dist/index.js';

const MEGABYTE = 1e6;
const ROUND_TRIPS = 2_000;
const ROUNDS = 3;
const PLAIN_FLOWS = 8;
const given = process.argv.slice(2);
const [role, ...args] = ['relay', 'device', 'client'].includes(given[0]) ? given : ['bench', ...given];

// A key both ends know stands for certificates: what is measured begins after the handshake.
const PSK = Buffer.alloc(32, 7);
const CIPHERS = 'PSK+AESGCM:TLS_AES_128_GCM_SHA256';
const listenTls = async (onSocket) => {
  const server = tls.createServer({ pskCallback: () => PSK, ciphers: CIPHERS }, (socket) =>
    onSocket(socket.on('error', () => {}).setNoDelay(true)),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return server.address().port;
};
const dialTls = async (port) => {
  const socket = tls.connect({
    port,
    host: '127.0.0.1',
    ciphers: CIPHERS,
    pskCallback: () => ({ psk: PSK, identity: 'bench' }),
    checkServerIdentity: () => undefined,
  });
  await once(socket, 'secureConnect');
  return socket.on('error', () => {}).setNoDelay(true);
};
const join = (near, far) => {
  near.pipe(far);
  far.pipe(near);
};

/** What the device does on a flow, by the order that comes first: echo, take bytes, or give bytes. It says so before it begins. */
function serveFlow(flow) {
  flow.on('error', () => {});
  flow.once('data', (first) => {
    const [order, bytes] = first.toString().split(' ');
    flow.write('begin');
    if (order === 'echo') flow.pipe(flow);
    else if (order === 'take') flow.resume().once('end', () => flow.end('taken'));
    else pour(flow, Number(bytes));
  });
}

async function begin(open, order) {
  const flow = await open();
  flow.on('error', () => {});
  flow.write(order);
  await once(flow, 'data');
  return flow;
}

function pour(flow, bytes) {
  const chunk = Buffer.alloc(65_536, 1);
  let left = bytes;
  const more = () => {
    while (left > 0 && !flow.destroyed) {
      left -= chunk.length;
      if (!flow.write(chunk)) return flow.once('drain', more);
    }
    flow.end();
  };
  more();
}

async function runRelay() {
  const spare = [];
  let toDevice;
  const ports = await Promise.all([
    listenTls((socket) => spare.push(socket)),
    listenTls((socket) => join(socket, spare.shift())),
    listenTls((socket) => {
      toDevice = createLink(socket, { role: 'opener' });
    }),
    listenTls((socket) => createLink(socket, { role: 'acceptor' }).onStream((near) => join(near, toDevice.openStream(near.head)))),
  ]);
  process.send(ports);
  process.on('message', () => process.send(process.cpuUsage()));
}

async function runDevice(plainPort, _clientPort, linkPort) {
  for (let n = 0; n < PLAIN_FLOWS * ROUNDS; n += 1) serveFlow(await dialTls(plainPort));
  createLink(await dialTls(linkPort), { role: 'acceptor' }).onStream(serveFlow);
  process.send('ready');
}

async function runClient(megabytes, _devicePort, plainPort, _linkPort, clientLinkPort) {
  const bytes = Number(megabytes) * MEGABYTE;
  const link = createLink(await dialTls(Number(clientLinkPort)), { role: 'opener' });
  const openers = { plain: () => dialTls(Number(plainPort)), link: async () => link.openStream(Buffer.from('/bench/1')) };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, open] of Object.entries(openers)) process.send({ name, ...(await measure(open, bytes)) });
  }
}

async function measure(open, bytes) {
  const alone = await roundTrip(await begin(open, 'echo'));
  const upload = await throughput(bytes, async () => {
    const flow = await begin(open, 'take');
    pour(flow, bytes);
    return flow;
  });
  const download = await throughput(bytes, () => begin(open, `give ${bytes}`));
  const bulk = await begin(open, `give ${bytes * 1_000}`);
  bulk.resume();
  const beside = await roundTrip(await begin(open, 'echo'));
  bulk.destroy();
  return { alone, upload, download, beside };
}

async function roundTrip(flow) {
  const taken = [];
  for (let n = 0; n < ROUND_TRIPS; n += 1) {
    const since = performance.now();
    flow.write('x');
    await once(flow, 'data');
    taken.push(performance.now() - since);
  }
  flow.destroy();
  return taken.sort((a, b) => a - b)[ROUND_TRIPS >> 1];
}

async function throughput(bytes, start) {
  const since = performance.now();
  const flow = await start();
  await once(flow.resume(), 'end');
  flow.destroy();
  return bytes / MEGABYTE / ((performance.now() - since) / 1e3);
}

async function runBench(megabytes = '400') {
  const child = (...childArgs) => fork(process.argv[1], childArgs.map(String));
  const relay = child('relay');
  const [ports] = await once(relay, 'message');
  const device = child('device', ...ports);
  await once(device, 'message');
  const client = child('client', megabytes, ...ports);
  const results = { plain: [], link: [] };
  client.on('message', ({ name, ...figures }) => results[name].push(figures));
  await once(client, 'exit');
  relay.kill();
  device.kill();
  printTable(results);
}

function printTable({ plain, link }) {
  const median = (rows, key) => rows.map((row) => row[key]).sort((a, b) => a - b)[rows.length >> 1];
  const rows = [
    ['to the device, MB/s', 'upload', 0],
    ['from the device, MB/s', 'download', 0],
    ['1-byte round trip p50 alone, ms', 'alone', 3],
    ['1-byte round trip p50 beside bulk, ms', 'beside', 3],
  ].map(([what, key, digits]) => [
    what,
    median(plain, key).toFixed(digits),
    median(link, key).toFixed(digits),
    (median(link, key) / median(plain, key)).toFixed(2),
  ]);
  const line = (cells) =>
    `| ${cells[0].padEnd(38)} | ${cells
      .slice(1)
      .map((cell) => cell.padStart(9))
      .join(' | ')} |`;
  console.log(line(['through a relay, two TLS legs', 'plain TLS', 'link', 'ratio']));
  console.log(`|${'-'.repeat(40)}|${'-'.repeat(11)}|${'-'.repeat(11)}|${'-'.repeat(11)}|`);
  for (const row of rows) console.log(line(row));
}

const roles = { relay: runRelay, device: runDevice, client: runClient, bench: runBench };
await roles[role](...args);
if (role === 'client') process.exit(0);
