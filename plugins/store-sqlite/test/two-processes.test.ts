import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { idOf, sampleDevice } from '@towline/conformance/store-cases';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { expect, it } from 'vitest';
import { openStore, temporaryFolder } from './open-store.ts';

const PROGRAM = new URL('./programs/open.mjs', import.meta.url).pathname;

function runProgram(...args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'], timeout: 25_000 });
  return text(child.stdout);
}

it('four processes that start at once on an empty folder all work, and the tables are made once', async () => {
  const folder = await temporaryFolder();
  const path = join(folder, 'towline.db');
  const answers = await Promise.all([0, 1, 2, 3].map((n) => runProgram(path, String(n * 10), String(n * 10 + 4))));
  expect(answers.map((answer) => JSON.parse(answer))).toEqual(answers.map(() => ({ ok: true })));
  const store = await openStore(folder);
  expect((await store.devices.list({}, { limit: 100 }, SYSTEM_SCOPE)).items).toHaveLength(20);
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

it('a process beside an open store writes, and the store sees it and goes on', async () => {
  const folder = await temporaryFolder();
  const store = await openStore(folder);
  const beside = runProgram(join(folder, 'towline.db'), '100', '119');
  for (let n = 0; n < 20; n += 1) expect(await store.devices.insert(sampleDevice(n))).toBe(true);
  expect(JSON.parse(await beside)).toEqual({ ok: true });
  expect(await store.devices.get(idOf(119), SYSTEM_SCOPE)).toEqual(sampleDevice(119));
  expect((await store.devices.list({}, { limit: 100 }, SYSTEM_SCOPE)).items).toHaveLength(40);
  await store.ping();
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
