import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from './open-store.ts';

const PROGRAM = new URL('./programs/acknowledge.mjs', import.meta.url).pathname;
const tracing = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

/** What matters in the trace of a process, in its order. */
type Step = { readonly what: 'written' | 'sync begins' | 'sync ends' } | { readonly what: 'acknowledged'; readonly text: string };

it.skipIf(!tracing)(
  'the log is on the disk before a write is acknowledged (needs strace)',
  async () => {
    const folder = await temporaryFolder();
    const trace = join(folder, 'trace');
    const calls = 'trace=write,pwrite64,pwritev,pwritev2,fsync,fdatasync';
    execFileSync('strace', ['-f', '-y', '-s', '32', '-e', calls, '-o', trace, process.execPath, PROGRAM, join(folder, 'towline.db')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 50_000,
    });
    const steps = readSteps(readFileSync(trace, 'utf8'));
    let acknowledged = 0;
    let unsynced = 0;
    let covered = 0;
    let commits = 0;
    for (const step of steps) {
      if (step.what === 'written') unsynced += 1;
      if (step.what === 'sync begins') covered = unsynced;
      if (step.what === 'sync ends') [unsynced, covered, commits] = [unsynced - covered, 0, commits + 1];
      if (step.what !== 'acknowledged' || !step.text.startsWith('done')) continue;
      acknowledged += 1;
      expect(unsynced, `writes to the log that were not synced when “${step.text}” was acknowledged`).toBe(0);
      expect(commits, `syncs before “${step.text}”`).toBeGreaterThan(Math.floor(Number(step.text.split(' ')[1]) / 10));
    }
    expect(acknowledged).toBe(100);
    await rm(folder, { recursive: true });
  },
  60_000,
);

/** Steps between the lines `begin` and `end` of the program. A call that another thread interrupts stands on two lines. */
function readSteps(trace: string): Step[] {
  const syncing = new Set<string>();
  const steps: Step[] = [];
  for (const line of trace.split('\n')) {
    const [, thread = '', call = ''] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    const text = /^write\(1<[^>]*>, "([a-z]+ \d+)\\n"/.exec(call)?.[1];
    if (text === 'begin 0') steps.length = 0;
    if (text === 'end 0') break;
    if (text !== undefined) steps.push({ what: 'acknowledged', text });
    if (/^pwrite\w*\(\d+<[^>]*-wal>/.test(call)) steps.push({ what: 'written' });
    const begins = /^f(?:data)?sync\(\d+<[^>]*-wal>/.test(call);
    if (begins) {
      syncing.add(thread);
      steps.push({ what: 'sync begins' });
    }
    if (syncing.has(thread) && (begins || /^<\.\.\. f(?:data)?sync resumed>/.test(call)) && /\)\s+= 0$/.test(call)) {
      syncing.delete(thread);
      steps.push({ what: 'sync ends' });
    }
  }
  return steps;
}
