// A copy of one large file that is interrupted ten times at random moments, in turn by what a user meets: the command killed and started again, the
// relay killed, the runtime killed, the connection of the command cut, that of the device cut. What a break costs: seconds until content
// flows again, and bytes on the line beyond those of the file. Both connections lead through ways of this benchmark's own, which count.
// `node bench/cp-interrupted.mjs [MiB] [breaks]`
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { childOf, processorSeconds, watchProcesses } from './support/processes.mjs';
import { startSystem } from './support/towline.mjs';
import { openWay } from './support/way.mjs';

const MIB = 1_048_576;
const size = Number(process.argv[2] ?? 5_120) * MIB;
const breaks = Number(process.argv[3] ?? 10);
/** A copy without a break, for what the line carries beyond content: framing and encryption. */
const PLAIN_BYTES = Math.min(size, 512 * MIB);
/** Content flows again when so much has come since the break: more than all hashes of a partial file. */
const FLOWING_BYTES = 4 * MIB;
/** How long what was killed stays away, milliseconds. */
const AWAY_MS = 1_000;
const LOOK_MS = 25;
/** Longest time of one step, milliseconds. */
const STEP_MS = 600_000;

const pause = (ms) => new Promise((later) => setTimeout(later, ms));
const folder = mkdtempSync(join(tmpdir(), 'towline-long-'));
const [source, plainSource, targets] = ['source', 'plain', 'targets'].map((name) => join(folder, name));
const system = await startSystem();
const port = new URL(system.url).port;
const ways = { command: await openWay(port), device: await openWay(port) };
let device;
const running = new Set();

const cleanUp = () => {
  for (const command of running) command.kill('SIGKILL');
  for (const way of Object.values(ways)) way.close();
  system.end();
  rmSync(folder, { recursive: true, force: true });
};
// Gigabytes would be left behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(cleanUp() ?? 130));

/** How each break is made; what was killed is started again. Answers when the way could work again. */
const KINDS = {
  async 'command killed'(copy) {
    copy.command.child.kill('SIGKILL');
    await copy.command.over;
    copy.start();
  },
  async 'relay killed'() {
    await system.killRelay();
    await pause(AWAY_MS);
    await system.startRelayAgain();
  },
  async 'runtime killed'() {
    device.kill('SIGKILL');
    await once(device, 'exit');
    await pause(AWAY_MS);
    device = await system.startDevice('bench', 'tls', ways.device.url);
  },
  async 'connection of the command cut'() {
    await ways.command.cut();
  },
  async 'connection of the device cut'() {
    await ways.device.cut();
  },
};

try {
  device = await system.startDevice('bench', 'tls', ways.device.url);
  makeFile(source, size);
  makeFile(plainSource, PLAIN_BYTES);
  const hash = hashOf(source);
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}; ${size / MIB} MiB`);
  const summary = [];
  for (const direction of ['to the device', 'from the device']) {
    const overhead = await measurePlain(direction);
    const { rows, ...figures } = await measureInterrupted(direction, { overhead, hash });
    console.log(direction);
    console.table(rows);
    summary.push({ direction, ...figures });
  }
  console.table(Object.fromEntries(summary.map(({ direction, ...figures }) => [direction, figures])));
} finally {
  cleanUp();
}

/** Content that neither compresses nor repeats. */
function makeFile(path, bytes) {
  const key = 'openssl enc -aes-128-ctr -nosalt -K 746f776c696e65000000000000000000 -iv 00000000000000000000000000000000';
  execFileSync('sh', ['-c', `head -c ${bytes} /dev/zero | ${key} > ${path}`]);
}

function hashOf(path) {
  return execFileSync('sha256sum', [path], { encoding: 'utf8' }).split(' ')[0];
}

/** The same command each time. */
function begin(direction, from, target) {
  const words = direction === 'to the device' ? [from, `bench:${target}`] : [`bench:${from}`, target];
  const file = join(import.meta.dirname, '..', 'node_modules', '.bin', 'towline');
  const env = { ...process.env, ...system.user, TOWLINE_RELAY: ways.command.url };
  const child = spawn(file, ['--json', 'cp', ...words], { stdio: ['ignore', 'pipe', 'pipe'], env });
  const said = { out: '', error: '' };
  child.stdout.on('data', (text) => (said.out += text));
  child.stderr.on('data', (text) => (said.error += text));
  running.add(child);
  const over = once(child, 'close').then(([code, signal]) => {
    running.delete(child);
    return { code: code ?? signal, ...said };
  });
  const command = {
    child,
    over,
    ended: null,
    notes: () => [...said.out.matchAll(/"event":"note","message":("[^\n]*")\}/g)].map((m) => JSON.parse(m[1])),
  };
  over.then((ended) => (command.ended = ended));
  return command;
}

/** Bytes of content and all else that passed on both lines, in both directions. */
async function passed() {
  const [command, there] = [await ways.command.passed(), await ways.device.passed()];
  return { command: command.up + command.down, device: there.up + there.down };
}

/** What the lines carry for a byte of content when nothing breaks. */
async function measurePlain(direction) {
  mkdirSync(targets, { recursive: true });
  const before = await passed();
  const { code, error } = await begin(direction, plainSource, join(targets, 'plain')).over;
  if (code !== 0) throw new Error(`exit code ${code}: ${error}`);
  const after = await passed();
  rmSync(join(targets, 'plain'));
  return { command: (after.command - before.command) / PLAIN_BYTES, device: (after.device - before.device) / PLAIN_BYTES };
}

async function measureInterrupted(direction, { overhead, hash }) {
  const target = join(targets, 'file');
  const copy = {
    target,
    command: null,
    start() {
      copy.command = begin(direction, source, target);
    },
  };
  const [before, begun, rows] = [await passed(), performance.now(), []];
  const watch = watchProcesses(() => ({
    relay: system.relay.pid,
    runtime: device.pid,
    program: childOf(device.pid),
    command: copy.command?.child.pid,
  }));
  copy.start();
  for (let at = 0; at < breaks; at += 1) {
    // At random within its own part of the file, so that all parts have one.
    const position = ((at + Math.random()) / breaks) * size;
    await reached(copy, position);
    if (copy.command.ended !== null) throw new Error(`ended early: ${copy.command.ended.code} ${copy.command.ended.error}`);
    rows.push(await breakOnce(copy, Object.keys(KINDS)[at % Object.keys(KINDS).length]));
  }
  const { code, error } = await copy.command.over;
  const seconds = (performance.now() - begun) / 1_000;
  const took = watch.stop();
  const after = await passed();
  if (code !== 0) throw new Error(`exit code ${code}: ${error}`);
  const left = readdirSync(targets);
  if (hashOf(target) !== hash || left.length !== 1) throw new Error(`the copy is not the source, or something is left: ${left}`);
  rmSync(target);
  const beyond = (line) => Math.round((after[line] - before[line] - size * overhead[line]) / MIB);
  const figures = { rows, seconds: Math.round(seconds), 'MiB beyond, line of command': beyond('command'), 'of device': beyond('device') };
  for (const [role, { mib, seconds: processor }] of Object.entries(took))
    figures[`${role}: MiB, CPU s`] = `${Math.round(mib)}, ${Math.round(processor)}`;
  return figures;
}

/** Breaks the copy, and waits until content flows again. */
async function breakOnce(copy, kind) {
  const there = partialBytes();
  const notes = copy.command.notes().length;
  await KINDS[kind](copy);
  const [since, from] = [performance.now(), (await passed()).command];
  let ended = '';
  await until(async () => {
    if (copy.command.ended !== null && copy.command.ended.code !== 0) {
      ended = `ended with ${copy.command.ended.code}: ${copy.command.ended.error.trim()}`;
      copy.start();
    }
    return copy.command.ended?.code === 0 || (await passed()).command - from > FLOWING_BYTES;
  });
  const seconds = (performance.now() - since) / 1_000;
  // A new program each time: what it took so far is its start and the comparison of what is there.
  const processor = processorSeconds(childOf(device.pid));
  const told = kind === 'command killed' ? 'started again' : copy.command.notes().slice(notes).join(' ');
  return {
    break: kind,
    'at MiB': Math.round(there / MIB),
    'flows again after s': seconds.toFixed(1),
    'CPU s of the program until then': processor?.toFixed(1),
    command: ended || told || 'went on',
  };
}

async function reached(copy, position) {
  await until(() => copy.command.ended !== null || partialBytes() >= position);
}

async function until(isSo) {
  const limit = performance.now() + STEP_MS;
  while (!(await isSo())) {
    if (performance.now() > limit) throw new Error('nothing goes on');
    await pause(LOOK_MS);
  }
}

/** Bytes of the target's partial file. */
function partialBytes() {
  try {
    return Math.max(0, ...readdirSync(targets).map((name) => statSync(join(targets, name)).size));
  } catch {
    // Renamed just now.
    return 0;
  }
}
