// Throughput of `exec -- cat`, echo round trips alone and beside a bulk stream, and memory of the three processes.
// Figures are of this machine in this run; compare lines with each other. `node bench/main-job.mjs [MiB]`
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MIB = 1024 * 1024;
const total = Number(process.argv[2] ?? 1024) * MIB;
const ROUND_TRIPS = 2_000;
const bin = (name) => join(import.meta.dirname, '..', 'node_modules', '.bin', name);
const folder = mkdtempSync(join(tmpdir(), 'towline-bench-'));
const running = [];
const rows = [];

try {
  await run();
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}`);
  console.table(rows);
} finally {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}

async function run() {
  const relay = begin('towline-relay', ['start', '--data', join(folder, 'relay'), '--host', '127.0.0.1', '--port', '0'], {});
  const [, url, fingerprint] = await lineOf(relay, /^ready url=(\S+) fingerprint=(\S+)/);
  const user = {
    TOWLINE_RELAY: url,
    TOWLINE_TLS_FINGERPRINT: fingerprint,
    TOWLINE_API_KEY: readFileSync(join(folder, 'relay/admin.key'), 'utf8').trim(),
    TOWLINE_CONFIG_DIR: join(folder, 'user'),
  };
  const args = [
    'run',
    '--relay',
    url,
    '--fingerprint',
    fingerprint,
    '--email',
    'admin@example.com',
    '--name',
    'bench',
    '--json',
    '--run-as',
    'root',
  ];
  const device = begin('towline-agent', process.getuid() === 0 ? args : args.slice(0, -2), { TOWLINE_CONFIG_DIR: join(folder, 'device') });
  const lines = createInterface({ input: device.stdout })[Symbol.asyncIterator]();
  const { request } = JSON.parse((await lines.next()).value);
  await once(begin('towline', ['devices', 'approve', request], user), 'exit');
  while (JSON.parse((await lines.next()).value).event !== 'online');

  const idle = { relay: rss(relay), runtime: rss(device) };
  row('directly: cat of the same bytes through a pipe', `${await throughput('head', ['-c', String(total), '/dev/zero'], {})} MB/s`);
  const tty = ['bench', 'exec', '--'];
  row('exec: from the device', `${await throughput(bin('towline'), [...tty, 'head', '-c', String(total), '/dev/zero'], user)} MB/s`);
  row('exec: again', `${await throughput(bin('towline'), [...tty, 'head', '-c', String(total), '/dev/zero'], user)} MB/s`);
  row('whole command exec -- true', `${await wholeCommand(bin('towline'), [...tty, 'true'], user)} ms`);
  row('  against node -e 0', `${await wholeCommand(process.execPath, ['-e', '0'], {})} ms`);
  row('echo round trip alone', await echo(user));
  const bulk = begin('towline', [...tty, 'sh', '-c', 'cat /dev/zero'], user);
  bulk.stdout.resume();
  await new Promise((later) => setTimeout(later, 500));
  row('echo beside a bulk exec to another client', await echo(user));
  const busy = { relay: rss(relay), runtime: rss(device), cli: rss(bulk) };
  bulk.kill();
  row('memory idle: relay, runtime', `${idle.relay}, ${idle.runtime} MiB`);
  row('memory in bulk transfer: relay, runtime, cli', `${busy.relay}, ${busy.runtime}, ${busy.cli} MiB`);
}

function row(what, figure) {
  rows.push({ what, figure });
}

function begin(name, args, env) {
  const child = spawn(name.includes('/') || name === 'head' ? name : bin(name), args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
  });
  child.stdin.on('error', () => {});
  running.push(child);
  return child;
}

async function lineOf(child, pattern) {
  for await (const line of createInterface({ input: child.stdout })) {
    const match = pattern.exec(line);
    if (match) return match;
  }
  throw new Error('ended early');
}

async function throughput(file, args, env) {
  const child = begin(file, args, env);
  let bytes = 0;
  let first = 0;
  child.stdout.on('data', (chunk) => {
    first ||= performance.now();
    bytes += chunk.length;
  });
  await once(child, 'close');
  if (bytes !== total) throw new Error(`${bytes} bytes instead of ${total}`);
  return (bytes / 1e3 / (performance.now() - first)).toFixed(0);
}

async function wholeCommand(file, args, env) {
  const times = [];
  for (let turn = 0; turn < 11; turn += 1) {
    const since = performance.now();
    await once(begin(file, args, env), 'exit');
    times.push(performance.now() - since);
  }
  return times.sort((a, b) => a - b)[5].toFixed(0);
}

async function echo(user) {
  const child = begin('towline', ['bench', 'exec', '-i', '--', 'cat'], user);
  const times = [];
  for (let turn = 0; turn < ROUND_TRIPS; turn += 1) {
    const since = performance.now();
    child.stdin.write('x');
    await once(child.stdout, 'data');
    if (turn > 50) times.push(performance.now() - since);
  }
  child.stdin.end();
  await once(child, 'exit');
  times.sort((a, b) => a - b);
  return `p50 ${times[times.length >> 1].toFixed(2)} ms, p99 ${times[Math.floor(times.length * 0.99)].toFixed(2)} ms`;
}

function rss({ pid }) {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024);
}
