// Copies of a tree of 100,000 small files, both ways. The command is killed with SIGKILL in the middle and the same command is run again: what is
// there is compared by its hash, the rest is copied. Tells times, what each process takes at most, and what relay and runtime hold
// before and after, garbage collected. `node bench/cp-many.mjs [files]`
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { askable, heldBy } from './support/held.mjs';
import { childOf, watchProcesses } from './support/processes.mjs';
import { startSystem } from './support/towline.mjs';

const files = Number(process.argv[2] ?? 100_000);
/** Bytes of the largest file: sizes are spread evenly below. */
const LARGEST = 8_192;
const IN_A_FOLDER = 250;
/** Time for what a session leaves behind to be cleared away, milliseconds. */
const SETTLE_MS = 10_000;
const DIRECTIONS = ['to the device', 'from the device'];

const folder = mkdtempSync(join(tmpdir(), 'towline-many-'));
const [source, target, answers] = ['source', 'target', 'answers'].map((name) => join(folder, name));
const system = await startSystem(askable(answers));

const cleanUp = () => {
  system.end();
  rmSync(folder, { recursive: true, force: true });
};
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(cleanUp() ?? 130));
try {
  const device = await system.startDevice('bench', 'tls');
  makeTree();
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}; ${files} files`);
  // Everything that is loaded at first use is loaded before the first look.
  for (const direction of DIRECTIONS) await copy(device, direction, join(source, '0'));
  const held = { 'relay before': await hold(system.relay), 'runtime before': await hold(device) };
  const rows = [];
  for (const direction of DIRECTIONS) rows.push(...(await copyInterrupted(device, direction)));
  held['relay after'] = await hold(system.relay);
  held['runtime after'] = await hold(device);
  console.table(rows);
  console.table(held);
} finally {
  cleanUp();
}
process.exit(0);

function makeTree() {
  const block = randomBytes(LARGEST + files);
  for (let at = 0; at < files; at += 1) {
    const into = join(source, String(Math.floor(at / IN_A_FOLDER)));
    if (at % IN_A_FOLDER === 0) mkdirSync(into, { recursive: true });
    writeFileSync(join(into, `file-${at}`), block.subarray(at, at + ((at * 7_919) % LARGEST)));
  }
}

async function hold(child) {
  await new Promise((later) => setTimeout(later, SETTLE_MS));
  return heldBy(child.pid, answers);
}

async function copyInterrupted(device, direction) {
  const killAfter = Math.floor(files * (0.3 + Math.random() * 0.4));
  const first = await copy(device, direction, source, killAfter);
  const second = await copy(device, direction, source);
  execFileSync('diff', ['-r', source, join(target, 'source')], { stdio: 'inherit' });
  const left = execFileSync('find', [target, '-name', '.towline-part-*'], { encoding: 'utf8' });
  if (left !== '') throw new Error(`left behind: ${left}`);
  rmSync(target, { recursive: true });
  return [
    { copy: `${direction}, killed`, ...first },
    { copy: 'run again', ...second },
  ];
}

/** Runs a copy to its end, or kills it when so many files are settled. */
async function copy(device, direction, from, killAfter = Number.POSITIVE_INFINITY) {
  const words = direction === 'to the device' ? [from, `bench:${target}/`] : [`bench:${from}`, `${target}/`];
  const program = join(import.meta.dirname, '..', 'node_modules', '.bin', 'towline');
  const since = performance.now();
  const env = { ...process.env, ...system.user };
  const child = spawn(program, ['--json', 'cp', ...words], { stdio: ['ignore', 'pipe', 'inherit'], env });
  const watch = watchProcesses(() => ({ relay: system.relay.pid, runtime: device.pid, program: childOf(device.pid), command: child.pid }));
  const ended = once(child, 'exit');
  const seen = { settled: 0, summary: null };
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{"event":"file"')) seen.settled += 1;
    if (line.startsWith('{"event":"summary"')) seen.summary = JSON.parse(line);
    if (seen.settled === killAfter) child.kill('SIGKILL');
  }
  const [code, signal] = await ended;
  const seconds = (performance.now() - since) / 1_000;
  if (code !== 0 && killAfter === Number.POSITIVE_INFINITY) throw new Error(`exit code ${code ?? signal}`);
  const { copied = seen.settled, unchanged = 0 } = seen.summary ?? {};
  const figures = { seconds: seconds.toFixed(1), copied, unchanged };
  for (const [role, { mib, descriptors }] of Object.entries(watch.stop()))
    figures[`${role}: MiB, descriptors`] = `${Math.round(mib)}, ${descriptors}`;
  return figures;
}
