// A forward through the relay over TLS against OpenSSH's reverse tunnel, in turn in one run: throughput of one flow, round trips of one
// byte alone and beside a bulk flow of the same link, 100 flows at once, 500 new connections a second.
// Needs sshd and ssh of this machine. `node bench/forward.mjs [MiB]`
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startOpenSsh } from './support/openssh.mjs';
import { median, percentile, startSystem } from './support/towline.mjs';
import { beginBulk, fetchBytes, openings, rate, roundTrips, sendBytes } from './support/traffic.mjs';

const bytes = Number(process.argv[2] ?? 512) * 1_048_576;
const TURNS = 3;
const ROUND_TRIPS = 2_000;
const FLOWS = 100;
const PER_SECOND = 500;
const SECONDS = 10;

const servers = fork(join(import.meta.dirname, 'support/traffic-server.mjs'));
const [targets] = await once(servers, 'message');
const wanted = [targets.echo, targets.source, targets.sink];
const system = await startSystem();
let ssh;
try {
  await system.startDevice('bench', 'tls');
  const forward = system.begin('towline', ['--json', 'bench', 'forward', ...wanted.map((port) => `0:127.0.0.1:${port}`)], system.user);
  const ways = { towline: named(await localPorts(forward)) };
  ssh = await startOpenSsh();
  ways.ssh = named(await ssh.through(wanted));
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}, ${bytes / 1_048_576} MiB a flow`);
  console.table(await measure(ways));
} finally {
  servers.kill();
  ssh?.end();
  system.end();
}

function named([echo, source, sink]) {
  return { echo, source, sink };
}

async function localPorts(forward) {
  const ports = [];
  for await (const line of createInterface({ input: forward.stdout })) {
    const event = JSON.parse(line);
    if (event.event === 'listening') ports.push(Number(/:(\d+)$/.exec(event.places[0])[1]));
    if (event.event === 'ready') return ports;
  }
  throw new Error('the forward ended early');
}

async function measure({ towline, ssh: tunnel }) {
  const rows = [];
  const compare = async (what, unit, work, show = (value) => Number(value.toFixed(2))) => {
    const figures = { towline: [], ssh: [] };
    for (let turn = 0; turn < TURNS; turn += 1) {
      figures.towline.push(await work(towline));
      figures.ssh.push(await work(tunnel));
    }
    const [ours, theirs] = [median(figures.towline), median(figures.ssh)];
    rows.push({ what, unit, towline: show(ours), ssh: show(theirs), 'towline / ssh': Number((ours / theirs).toFixed(2)) });
  };
  await fetchBytes(towline.source, bytes / 8);
  await fetchBytes(tunnel.source, bytes / 8);
  await compare('one flow, from the device', 'MB/s', ({ source }) => rate(bytes, () => fetchBytes(source, bytes)));
  await compare('one flow, to the device', 'MB/s', ({ sink }) => rate(bytes, () => sendBytes(sink, bytes)));
  await compare(`${FLOWS} flows at once, from the device`, 'MB/s', ({ source }) => {
    const each = Math.floor(bytes / FLOWS);
    return rate(each * FLOWS, () => Promise.all(Array.from({ length: FLOWS }, () => fetchBytes(source, each))));
  });
  await compare('round trip of a byte, p50', 'ms', async ({ echo }) => percentile(await roundTrips(echo, ROUND_TRIPS), 0.5));
  const beside =
    (part) =>
    async ({ echo, source }) => {
      const stop = await beginBulk(source);
      try {
        return percentile(await roundTrips(echo, ROUND_TRIPS / 4), part);
      } finally {
        stop();
      }
    };
  await compare('the same beside a bulk flow, p50', 'ms', beside(0.5));
  await compare('the same beside a bulk flow, p99', 'ms', beside(0.99));
  for (const [name, { echo }] of Object.entries({ towline, ssh: tunnel })) {
    const { times, failed } = await openings(echo, PER_SECOND, SECONDS);
    rows.push({
      what: `${name}: ${PER_SECOND} connections a second for ${SECONDS} s`,
      unit: 'ms',
      [name]: `p50 ${percentile(times, 0.5).toFixed(1)}, p99 ${percentile(times, 0.99).toFixed(1)}, ${failed} failed`,
    });
  }
  return rows;
}
