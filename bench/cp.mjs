// Copies of one large file and of many small ones, beside a bare exec stream of the same bytes, and scp and rsync through OpenSSH's reverse
// tunnel. Each line is measured in turn, twice, and the better one is told. Figures are of this machine in this run; compare lines with each other.
// Small files are not deleted between runs: ext4 goes round the numbers of files that were deleted just now, which takes longer than the copy.
// `node bench/cp.mjs [MiB] [files]`
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasOpenSsh, startOpenSsh } from './support/openssh.mjs';
import { startSystem } from './support/towline.mjs';

const MIB = 1024 * 1024;
const size = Number(process.argv[2] ?? 1024);
const files = Number(process.argv[3] ?? 10_000);
/** Bytes of a small file. */
const SMALL = 4_096;
/** Small files of one folder. */
const IN_A_FOLDER = 200;
const ROUNDS = 2;
/** Targets so far: each is a name of its own. */
let targets = 0;

const folder = mkdtempSync(join(tmpdir(), 'towline-cp-'));
const system = await startSystem();
let ssh = null;
/** Leads to the server of OpenSSH by a reverse tunnel through itself. */
let tunnelPort = 0;
try {
  await system.startDevice('bench', 'tls');
  if (hasOpenSsh()) ssh = await startOpenSsh();
  if (ssh !== null) [tunnelPort] = await ssh.reverse([ssh.port]);
  makeFiles();
  console.log(`${cpus().length} x ${cpus()[0].model}, Node ${process.version}`);
  const large = await measure(largeLines(), (seconds) => `${(size / seconds).toFixed(0)} MiB/s`);
  console.table(large);
  const small = await measure(smallLines(), (seconds) => `${(files / seconds).toFixed(0)} files/s`);
  console.table(small);
} finally {
  ssh?.end();
  system.end();
  rmSync(folder, { recursive: true, force: true });
}

function makeFiles() {
  const block = randomBytes(MIB);
  const file = openSync(join(folder, 'large'), 'w');
  for (let at = 0; at < size; at += 1) {
    block.writeUInt32BE(at);
    writeSync(file, block);
  }
  closeSync(file);
  for (let at = 0; at < files; at += 1) {
    const into = join(folder, 'many', String(Math.floor(at / IN_A_FOLDER)));
    if (at % IN_A_FOLDER === 0) mkdirSync(into, { recursive: true });
    writeFileSync(join(into, `file-${at}`), block.subarray(0, SMALL));
  }
}

/** What is timed, with a target: its name, the words of the command, and where its standard streams lead. */
function largeLines() {
  const source = join(folder, 'large');
  return [
    { what: 'exec, the bytes from the device into a file', words: () => ['towline', 'bench', 'exec', '--', 'cat', source], into: true },
    { what: 'towline cp, from the device', words: (target) => ['towline', 'cp', `bench:${source}`, target] },
    {
      what: 'exec, the bytes to the device into a file',
      words: (target) => ['towline', 'bench', 'exec', '-i', '--', 'sh', '-c', `cat > ${target}`],
      from: source,
    },
    { what: 'towline cp, to the device', words: (target) => ['towline', 'cp', source, `bench:${target}`] },
    ...(ssh === null
      ? []
      : [
          { what: 'scp, directly, to', words: (target) => scp(ssh.port, source, target) },
          { what: 'scp through a reverse tunnel, to', words: (target) => scp(tunnelPort, source, target) },
        ]),
  ];
}

function smallLines() {
  const source = join(folder, 'many');
  const rsync = (target) => ['rsync', '-a', '-e', `ssh -p ${tunnelPort} ${ssh?.options.join(' ')}`, source, `${ssh?.host}:${target}`];
  if (!existsSync('/usr/bin/rsync')) console.log('skipped: rsync is not installed here');
  return [
    { what: 'towline cp, to the device', words: (target) => ['towline', 'cp', source, `bench:${target}`] },
    { what: 'towline cp, from the device', words: (target) => ['towline', 'cp', `bench:${source}`, target] },
    { what: 'towline cp again, all unchanged', words: (target) => ['towline', 'cp', `${source}/.`, `bench:${target}`], again: true },
    ...(ssh === null
      ? []
      : [
          ...(existsSync('/usr/bin/rsync') ? [{ what: 'rsync through a reverse tunnel, to', words: rsync }] : []),
          {
            what: 'scp -r through a reverse tunnel, to',
            words: (target) => ['scp', '-r', ...scp(tunnelPort, source, target).slice(1)],
          },
        ]),
  ];
}

function scp(port, source, target) {
  return ['scp', '-q', '-p', '-P', String(port), ...ssh.options, source, `${ssh.host}:${target}`];
}

async function measure(lines, rate) {
  const best = new Map();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const line of lines) {
      targets += line.again ? 0 : 1;
      const target = join(folder, `target-${targets}`);
      const seconds = await time(line, target);
      if (statSync(target).isFile()) rmSync(target);
      best.set(line.what, Math.min(best.get(line.what) ?? Number.POSITIVE_INFINITY, seconds));
    }
  }
  return [...best].map(([what, seconds]) => ({ what, seconds: seconds.toFixed(1), rate: rate(seconds) }));
}

async function time({ what, words, from, into }, target) {
  const [name, ...args] = words(target);
  const [input, output] = [from === undefined ? 'ignore' : openSync(from, 'r'), into === undefined ? 'ignore' : openSync(target, 'w')];
  const file = name === 'towline' ? join(import.meta.dirname, '..', 'node_modules', '.bin', name) : name;
  const begun = performance.now();
  const child = spawn(file, args, { stdio: [input, output, 'inherit'], env: { ...process.env, ...system.user } });
  const [code] = await once(child, 'exit');
  const seconds = (performance.now() - begun) / 1_000;
  for (const descriptor of [input, output]) if (typeof descriptor === 'number') closeSync(descriptor);
  if (code !== 0) throw new Error(`${what}: exit code ${code}`);
  return seconds;
}
