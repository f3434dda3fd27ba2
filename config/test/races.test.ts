import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLockRecord } from '../src/process-lock/lock-record.ts';
import { readCredentials } from '../src/user-files/index.ts';
import { nodeProcesses } from './node-process.ts';
import { put, scratchFolders } from './scratch-folder.ts';

const scratch = scratchFolders();
const startNode = nodeProcesses();
const RACERS = 20;
const ROUNDS = 8;

test('of twenty processes that race for stale locks exactly one gets each, and the others name it', async () => {
  const dir = scratch();
  for (let round = 0; round < ROUNDS; round += 1) {
    const record = { ...(await createLockRecord()), pid: 4_194_305 };
    put(join(dir, `${round}.lock`), `${JSON.stringify(record)}\n`);
  }
  const source = `
    import { acquireProcessLock } from '@towline/config/process-lock';
    import { createInterface } from 'node:readline';
    console.log('ready');
    for await (const path of createInterface({ input: process.stdin }))
      console.log(await acquireProcessLock(path).then(() => 'won', (error) => error.code + ' ' + error.message));
  `;
  const racers = Array.from({ length: RACERS }, () => startNode(source));
  await Promise.all(racers.map((racer) => racer.line()));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const racer of racers) racer.send(join(dir, `${round}.lock`));
    const answers = await Promise.all(racers.map((racer) => racer.line()));
    const winners = racers.filter((_, at) => answers[at] === 'won');
    expect(winners).toHaveLength(1);
    const refusal = new RegExp(`^data_in_use Process ${winners[0]!.child.pid} on `);
    for (const answer of answers.filter((each) => each !== 'won')) expect(answer).toMatch(refusal);
  }
  expect(readdirSync(dir).sort()).toEqual(Array.from({ length: ROUNDS }, (_, round) => `${round}.lock`));
}, 60_000);

test('processes that change credentials.json at once lose nothing, killed ones beside them included', async () => {
  const dir = scratch();
  const source = `
    import { updateCredentials } from '@towline/config/user-files';
    const [dir, name, count] = process.argv.slice(1);
    for (let at = 0; at < Number(count); at += 1) {
      await updateCredentials(dir, (present) => ({ ...present, [name + at]: 'x'.repeat(200) }));
      if (at === 0) console.log('busy');
    }
    console.log('done');
  `;
  const writers = ['a', 'b', 'c', 'd'].map((name) => startNode(source, [dir, name, '15']));
  const victims = ['v', 'w'].map((name) => startNode(source, [dir, name, '1000000']));
  for (const victim of victims) {
    expect(await victim.line()).toBe('busy');
    await victim.kill();
  }
  for (const writer of writers) {
    expect(await writer.line()).toBe('busy');
    expect(await writer.line()).toBe('done');
  }
  const credentials = await readCredentials(dir);
  for (const name of ['a', 'b', 'c', 'd']) for (let at = 0; at < 15; at += 1) expect(credentials).toHaveProperty(`${name}${at}`);
}, 60_000);

test('the command line loads neither the YAML parser nor a schema of the configuration for its files and locks', async () => {
  const source = `
    import { createRequire } from 'node:module';
    for (const part of process.argv.slice(1)) await import('@towline/config/' + part);
    console.log(JSON.stringify(Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes('node_modules/yaml/'))));
  `;
  expect(await startNode(source, ['user-files', 'process-lock', 'device']).line()).toBe('[]');
  expect(await startNode(source, ['relay']).line()).toContain('/yaml/');
});
