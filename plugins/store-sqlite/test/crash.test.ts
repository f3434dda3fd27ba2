import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { idOf, sampleRecords } from '@towline/conformance/store-cases';
import type { AuditRecord, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import SQLite from 'better-sqlite3';
import { expect, it } from 'vitest';
import { openStore, temporaryFolder } from './open-store.ts';

const PROGRAM = new URL('./programs/append.mjs', import.meta.url).pathname;
const ROUNDS = 50;
/** Databases that are written to side by side: most of a round is the start of a process. */
const LANES = 2;

it(`keeps all that a writing process acknowledged before it was killed, ${ROUNDS} times over`, async () => {
  const found = await Promise.all(Array.from({ length: LANES }, (_, lane) => killAgainAndAgain(lane)));
  expect(found.flatMap(({ kills }) => kills)).toHaveLength(ROUNDS);
  for (const { devices, trail } of found) {
    expect(devices).toBeGreaterThan(ROUNDS);
    expect(trail).toBeGreaterThan(ROUNDS);
  }
}, 180_000);

/** Rounds of one database. What a round acknowledged is looked for at once, and all of it again, by the store, in the end. */
async function killAgainAndAgain(lane: number): Promise<{ kills: number[]; devices: number; trail: number }> {
  const folder = await temporaryFolder();
  const devices: number[] = [];
  const kills: number[] = [];
  for (let round = lane; round < ROUNDS; round += LANES) {
    const { lastRecord, inserted } = await writeUntilKilled(join(folder, 'towline.db'), round);
    expect(lastStored(join(folder, 'towline.db'))).toBeGreaterThanOrEqual(lastRecord);
    devices.push(...inserted);
    kills.push(round);
  }
  const store = await openStore(folder);
  const trail = await readTrail(store);
  expectChain(trail);
  for (const n of devices) expect(await store.devices.get(idOf(n), SYSTEM_SCOPE)).not.toBeNull();
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
  return { kills, devices: devices.length, trail: trail.length };
}

/** At once, for the next process would append the same records again. Whoever opens the file next heals it. */
function lastStored(path: string): number {
  const database = new SQLite(path);
  const last = database.prepare('SELECT coalesce(max(number), 0) FROM audit').pluck().get() as number;
  database.close();
  return last;
}

/** Kills the process at another moment each round: after so many acknowledgements. */
async function writeUntilKilled(path: string, round: number): Promise<{ lastRecord: number; inserted: number[] }> {
  const child = spawn(process.execPath, [PROGRAM, path, String(round * 1_000_000)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit', { signal: AbortSignal.timeout(20_000) });
  const seen = { lastRecord: 0, inserted: [] as number[] };
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    const [what, number] = line.split(' ');
    if (what === 'audit') seen.lastRecord = Number(number);
    if (what === 'device') seen.inserted.push(Number(number));
    lines += 1;
    if (lines === 15 + (round % 10) * 7) child.kill('SIGKILL');
  }
  expect(await exited).toEqual([null, 'SIGKILL']);
  return seen;
}

async function readTrail(store: Store): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  let cursor: string | null = null;
  do {
    const page = await store.audit.list({}, 'ascending', { limit: 500, ...(cursor && { cursor }) }, SYSTEM_SCOPE);
    records.push(...page.items);
    cursor = page.next;
  } while (cursor !== null);
  return records;
}

function expectChain(records: readonly AuditRecord[]): void {
  expect(records).toEqual(sampleRecords(records.map(() => ({}))));
}
