// A sync of many small files, the same again, and how soon `sync --watch` follows an edit in such a tree, both ways; processor time and
// peak of memory of the command line (cli) and of the device's programs. Files of 100 bytes, 200 in a folder.
// Processor time holds beside other work; seconds do not. `node bench/watch.mjs [files,files] [edits] [seconds of quiet] [in a folder]`
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { median, startSystem } from './support/towline.mjs';

const sizes = (process.argv[2] ?? '1000,20000,100000').split(',').map(Number);
const edits = Number(process.argv[3] ?? 10);
const quietSeconds = Number(process.argv[4] ?? 70);
const inAFolder = Number(process.argv[5] ?? 200);
const FILE_BYTES = 100;
/** An edit that has not come by then never does, milliseconds. */
const LONGEST_MS = 120_000;
/** getconf CLK_TCK of every Linux: ticks of processor time a second. */
const TICKS = 100;

const folder = mkdtempSync(join(tmpdir(), 'towline-watch-'));
const system = await startSystem();
try {
  const device = await system.startDevice('bench', 'tls');
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}`);
  for (const files of sizes) {
    const source = join(folder, `source-${files}`);
    makeTree(source, files);
    const ways = { 'to the device': (target) => [source, `bench:${target}`], 'from the device': (target) => [`bench:${source}`, target] };
    for (const [way, words] of Object.entries(ways)) {
      const target = join(folder, 'target');
      const row = { files, way, ...(await measure(device, { source, target, words: words(target) })) };
      console.log(JSON.stringify(row));
      rmSync(target, { recursive: true });
    }
    rmSync(source, { recursive: true });
  }
} finally {
  system.end();
  rmSync(folder, { recursive: true, force: true });
}

function makeTree(root, files) {
  for (let at = 0; at < files; at += 1) {
    const into = join(root, String(Math.floor(at / inAFolder / 50)), String(Math.floor(at / inAFolder) % 50));
    if (at % inAFolder === 0) mkdirSync(into, { recursive: true });
    writeFileSync(join(into, `file-${at}`), randomBytes(FILE_BYTES));
  }
}

async function measure(device, { source, target, words }) {
  const first = await plain(device, words);
  const again = await plain(device, words);
  const watching = await watch(device, { source, target, words });
  return { first, again, ...watching };
}

/** One run without `--watch`. */
async function plain(device, words) {
  const before = used(device.pid);
  const begun = performance.now();
  const child = system.begin('towline', ['sync', '--delete', ...words], system.user);
  const meter = startMeter(child.pid, device.pid);
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`exit code ${code}`);
  const seconds = round((performance.now() - begun) / 1_000);
  const { cliSeconds, cliMiB, deviceMiB } = meter.end();
  return { seconds, cliSeconds, deviceSeconds: round(used(device.pid) - before), cliMiB, deviceMiB };
}

async function watch(device, { source, target, words }) {
  const child = system.begin('towline', ['--json', 'sync', '--watch', '--delete', ...words], system.user);
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (let event = ''; event !== 'run'; ) event = JSON.parse((await lines.next()).value).event;
    child.stdout.resume();
    await pause(1_000);
    const before = processorTime(child, device);
    const times = [];
    for (let edit = 0; edit < edits; edit += 1) times.push(await follow(source, target, edit));
    const latencyMs = { median: Math.round(median(times)), longest: Math.round(Math.max(...times)) };
    const after = processorTime(child, device);
    await pause(quietSeconds * 1_000);
    const quiet = processorTime(child, device);
    const share = (from, to, of) => ({ cli: round((to.cli - from.cli) / of), device: round((to.device - from.device) / of) });
    const more = { cliMiB: peakMiB(child.pid) };
    return { latencyMs, secondsPerEdit: share(before, after, edits), secondsOfQuiet: share(after, quiet, 1), ...more };
  } finally {
    child.kill('SIGINT');
    await once(child, 'exit');
  }
}

/** Milliseconds until an edit of a file somewhere in the tree is at the other side. */
async function follow(source, target, edit) {
  const outer = pick(readdirSync(source));
  const inner = join(outer, pick(readdirSync(join(source, outer))));
  const path = join(inner, pick(readdirSync(join(source, inner))));
  const text = `edit ${edit} ${Math.random()}`;
  const begun = performance.now();
  writeFileSync(join(source, path), text);
  while (readFileSync(join(target, path), 'utf8') !== text) {
    if (performance.now() - begun > LONGEST_MS) throw new Error(`${path} was not followed`);
    await pause(5);
  }
  const ms = performance.now() - begun;
  // The next edit comes when this one is done with.
  await pause(1_000);
  return ms;
}

/** Looks at memory until it is ended, and at the processor time of the command, which is not its parent's while it lives. */
function startMeter(cli, device) {
  const peak = { cliSeconds: 0, cliMiB: 0, deviceMiB: 0 };
  const look = () => {
    try {
      peak.cliSeconds = Math.max(peak.cliSeconds, used(cli));
      peak.cliMiB = Math.max(peak.cliMiB, peakMiB(cli));
      for (const child of childrenOf(device)) peak.deviceMiB = Math.max(peak.deviceMiB, peakMiB(child));
    } catch {
      // A process may end while it is looked at.
    }
  };
  const timer = setInterval(look, 50);
  return {
    end() {
      clearInterval(timer);
      return peak;
    },
  };
}

/** Seconds of the command, and of the runtime with the programs that it has started. */
function processorTime(cli, device) {
  const programs = childrenOf(device.pid).reduce((sum, pid) => sum + used(pid), 0);
  return { cli: used(cli.pid), device: used(device.pid) + programs };
}

/** Processor time of a process and of its children that have ended, seconds: proc(5). */
function used(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / TICKS;
}

function childrenOf(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
}

function peakMiB(pid) {
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024);
}

function pick(names) {
  return names[Math.floor(Math.random() * names.length)];
}

function round(value) {
  return Math.round(value * 1_000) / 1_000;
}
