// Kills a process that writes to a SQLite store, at another moment each round, and counts what it had acknowledged and what of that is lost.
// node bench/store-kill.mjs [rounds]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ROUNDS = Number(process.argv[2] ?? 1_000);
/** After so many rounds a new database is begun, so that the checks do not come to cost more than the writing. */
const ROUNDS_PER_DATABASE = 50;
const PROGRAM = join(import.meta.dirname, '..', 'plugins', 'store-sqlite', 'test', 'programs', 'append.mjs');
// The package of the store has the driver.
const SQLite = createRequire(join(import.meta.dirname, '..', 'plugins', 'store-sqlite', 'package.json'))('better-sqlite3');

/** Answers the last record and the devices that the process acknowledged before it was killed. */
async function writeUntilKilled(path, round) {
  const child = spawn(process.execPath, [PROGRAM, path, String(round * 1_000_000)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const seen = { records: 0, devices: [] };
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [what, number] = line.split(' ');
    if (what === 'audit') seen.records = Number(number);
    else seen.devices.push(Number(number));
    lines += 1;
    if (lines === 10 + (round % 97)) child.kill('SIGKILL');
  }
  await exited;
  return seen;
}

/** Looks for what was acknowledged; opening the database as its next user would heals it. */
function findLost(path, { records, devices }) {
  const database = new SQLite(path);
  const whole = database.pragma('integrity_check', { simple: true }) === 'ok';
  const trail = database.prepare('SELECT count(*) AS count, coalesce(max(number), 0) AS last FROM audit').get();
  const has = database.prepare('SELECT 1 FROM device WHERE id = ?');
  const gone = devices.filter((n) => has.get(n.toString(16).padStart(32, '0')) === undefined).length;
  const broken = database
    .prepare(
      "SELECT count(*) AS count FROM audit AS a JOIN audit AS b ON b.number = a.number + 1 WHERE b.record ->> 'previousHash' <> a.hash",
    )
    .get().count;
  database.close();
  return { lost: gone + Math.max(0, records - trail.last), broken: broken + (trail.last - trail.count) + (whole ? 0 : 1) };
}

const total = { rounds: 0, records: 0, devices: 0, lost: 0, broken: 0 };
for (let first = 0; first < ROUNDS; first += ROUNDS_PER_DATABASE) {
  const folder = mkdtempSync(join(tmpdir(), 'towline-kill-'));
  const path = join(folder, 'towline.db');
  const devices = [];
  let before = 0;
  for (let round = first; round < Math.min(ROUNDS, first + ROUNDS_PER_DATABASE); round += 1) {
    const seen = await writeUntilKilled(path, round);
    devices.push(...seen.devices);
    const { lost, broken } = findLost(path, { records: seen.records, devices });
    total.rounds += 1;
    total.devices += seen.devices.length;
    total.records += Math.max(0, seen.records - before);
    before = Math.max(before, seen.records);
    total.lost += lost;
    total.broken += broken;
  }
  rmSync(folder, { recursive: true });
}
console.log(
  `killed ${total.rounds} times; acknowledged ${total.records} records and ${total.devices} devices; lost ${total.lost}; chains or files broken ${total.broken}`,
);
process.exit(total.lost + total.broken === 0 ? 0 : 1);
