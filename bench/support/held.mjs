// What a process of the system holds, without garbage.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const pause = (ms) => new Promise((later) => setTimeout(later, ms));
/** Longest wait for the answer of a process, milliseconds. */
const ANSWER_MS = 60_000;

/** Environment of processes that can be asked; they answer in this folder. */
export function askable(folder) {
  mkdirSync(folder, { recursive: true });
  return { NODE_OPTIONS: `--require=${join(import.meta.dirname, 'held.cjs')}`, TOWLINE_BENCH_HELD: folder };
}

/** MiB that its objects hold and that are resident, entries of all its maps and sets, active resources, and descriptors. */
export async function heldBy(pid, folder) {
  const answer = join(folder, `${pid}.json`);
  rmSync(answer, { force: true });
  process.kill(pid, 'SIGUSR2');
  for (const until = performance.now() + ANSWER_MS; !existsSync(answer); await pause(50))
    if (performance.now() > until) throw new Error(`process ${pid} does not answer`);
  const { held, resident, ...counts } = JSON.parse(readFileSync(answer, 'utf8'));
  const mib = (bytes) => Number((bytes / 1_048_576).toFixed(1));
  return { 'held MiB': mib(held), 'resident MiB': mib(resident), ...counts, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}
