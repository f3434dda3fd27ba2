// Transfers over a path of 100 Mbit/s, 100 ms round trip and 1 % loss: a device on QUIC behind the userspace proxy of test/support/udp-impairment.
// How much of the path is used: by exec from the first byte on, by cp of one file with all that a command does, from its start to its end; and
// how many small files a second cp moves. Of each the median and the best of some rounds.
//   node bench/lossy.mjs [megabytes] [loss per cent] [rounds]
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { median, startSystem, throughput } from './support/towline.mjs';
import { startUdpImpairment } from './support/udp-impairment.mjs';

const PATH_BITS = 100e6;
const megabytes = Number(process.argv[2] ?? 40);
const loss = Number(process.argv[3] ?? 1) / 100;
const rounds = Number(process.argv[4] ?? 3);
const bytes = megabytes * 1e6;
const SMALL_FILES = 1_000;
const SMALL_BYTES = 4_096;
const way = { loss, delayMs: 50, rate: { bitsPerSecond: PATH_BITS, queueBytes: 1_250_000 } };

const folder = mkdtempSync(join(tmpdir(), 'towline-lossy-'));
const [file, many, target] = ['file', 'many', 'target'].map((name) => join(folder, name));
const system = await startSystem();
let proxy;
let tcp;
try {
  const port = Number(new URL(system.url).port);
  proxy = await startUdpImpairment({ seed: 7, target: { host: '127.0.0.1', port }, up: way, down: way });
  tcp = await openTcp(proxy.local.port, port);
  await system.startDevice('far', 'quic', `https://127.0.0.1:${proxy.local.port}`);
  makeFiles();
  const figures = await measure();
  const { process: proxyProcess, ...statistics } = await proxy.statistics();
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}; ${megabytes} MB, ${loss * 100} % loss, 100 ms`);
  console.table(figures);
  console.log(JSON.stringify({ statistics, proxyProcess }));
} finally {
  tcp?.close();
  await proxy?.close();
  system.end();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);

/** Enrolment goes over HTTPS, on the same port number as UDP. */
async function openTcp(from, to) {
  const server = net.createServer((near) => {
    const far = net.connect(to, '127.0.0.1');
    near
      .on('error', () => far.destroy())
      .pipe(far.on('error', () => near.destroy()))
      .pipe(near);
  });
  await once(server.listen(from, '127.0.0.1'), 'listening');
  return server;
}

function makeFiles() {
  writeFileSync(file, randomBytes(bytes));
  mkdirSync(many);
  for (let at = 0; at < SMALL_FILES; at += 1) writeFileSync(join(many, `file-${at}`), randomBytes(SMALL_BYTES));
}

async function measure() {
  const path = (perSecond) => `${(perSecond / 1e6).toFixed(1)} Mbit/s, ${((perSecond / PATH_BITS) * 100).toFixed(0)} %`;
  const small = (perSecond) => `${perSecond.toFixed(0)} files/s`;
  const lines = [
    {
      what: 'exec, from the device',
      show: path,
      run: async () => (await throughput(system, ['far', 'exec', '--', 'cat', file], bytes)) * 8e6,
    },
    { what: 'exec, to the device', show: path, run: async () => (await upload()) * 8e6 },
    { what: 'cp, from the device', show: path, run: async () => (bytes * 8) / (await copy(`far:${file}`, target)) },
    { what: 'cp, to the device', show: path, run: async () => (bytes * 8) / (await copy(file, `far:${target}`)) },
    { what: `cp of ${SMALL_FILES} small files, from`, show: small, run: async () => SMALL_FILES / (await copy(`far:${many}`, target)) },
    { what: `cp of ${SMALL_FILES} small files, to`, show: small, run: async () => SMALL_FILES / (await copy(many, `far:${target}`)) },
    { what: 'cp again, all unchanged, to', show: small, run: async () => SMALL_FILES / (await copy(`${many}/.`, `far:${target}`, true)) },
  ];
  const found = new Map(lines.map(({ what }) => [what, []]));
  for (let round = 0; round < rounds; round += 1) for (const { what, run } of lines) found.get(what).push(await run());
  return lines.map(({ what, show }) => ({ what, median: show(median(found.get(what))), best: show(Math.max(...found.get(what))) }));
}

/** Seconds of a whole command. */
async function copy(from, to, isThere = false) {
  if (!isThere) rmSync(target, { recursive: true, force: true });
  const since = performance.now();
  const program = join(import.meta.dirname, '..', 'node_modules', '.bin', 'towline');
  const child = spawn(program, ['cp', from, to], { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, ...system.user } });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`cp ${from} ${to}: exit code ${code}`);
  return (performance.now() - since) / 1_000;
}

async function upload() {
  const child = system.begin('towline', ['far', 'exec', '-i', '--', 'sh', '-c', 'echo; cat >/dev/null; echo done'], system.user);
  child.stdout.resume();
  await once(child.stdout, 'data');
  const since = performance.now();
  const chunk = Buffer.alloc(65_536);
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (!child.stdin.write(chunk.subarray(0, Math.min(left, chunk.length)))) await once(child.stdin, 'drain');
  }
  child.stdin.end();
  await once(child, 'exit');
  return bytes / 1e3 / (performance.now() - since);
}
