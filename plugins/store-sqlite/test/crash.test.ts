import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { idOf, sampleRecords } from '@towline/conformance/store-cases';
import type { AuditRecord, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { expect, it } from 'vitest';
import { openStore, temporaryFolder } from './open-store.ts';

const PROGRAM = new URL('./programs/append.mjs', import.meta.url).pathname;
const ROUNDS = 10;

it(`keeps all that a writing process acknowledged before it was killed, ${ROUNDS} times over`, async () => {
  const folder = await temporaryFolder();
  const devices: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { lastRecord, inserted } = await writeUntilKilled(join(folder, 'towline.db'), round);
    devices.push(...inserted);
    const store = await openStore(folder);
    expect((await store.audit.head())!.number).toBeGreaterThanOrEqual(lastRecord);
    expectChain(await readTrail(store));
    for (const n of devices) expect(await store.devices.get(idOf(n), SYSTEM_SCOPE)).not.toBeNull();
    await store[Symbol.asyncDispose]();
  }
  expect(devices.length).toBeGreaterThan(ROUNDS);
  await rm(folder, { recursive: true });
}, 60_000);

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
    if (lines === 15 + round * 7) child.kill('SIGKILL');
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
