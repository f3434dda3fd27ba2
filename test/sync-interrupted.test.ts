import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Forwarder, forwardFrom } from './support/forwarder.ts';
import type { Program } from './support/process.ts';
import { createSystem, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';
import { createDice, describeTree, differencesOf, editTree, growTree } from './support/trees.ts';

const MIB = 1024 ** 2;

let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
let forwarder: Forwarder;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  device = await system.enrolDevice(relay);
  forwarder = await forwardFrom('127.0.0.1', relay.port);
});
afterAll(async () => {
  await forwarder?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

/** The command line program comes to the relay by the forwarder, where its connection can be held and cut. */
const start = (args: readonly string[]) =>
  system.startTowline(relay, ['--json', 'sync', '--delete', ...args], { env: { TOWLINE_RELAY: `https://127.0.0.1:${forwarder.port}` } });

const INTERRUPTIONS: Readonly<Record<string, (program: Program) => Promise<void>>> = {
  'kill -9 of the command': async (program) => {
    program.child.kill('SIGKILL');
    await program.finished;
  },
  'SIGINT of the command': async (program) => {
    program.child.kill('SIGINT');
    forwarder.cut();
    await program.finished;
  },
  'kill -9 of the runtime': async (program) => {
    device.program.child.kill('SIGKILL');
    await device.program.finished;
    program.child.kill('SIGKILL');
    await program.finished;
    forwarder.cut();
    device = system.startDevice(relay);
    await device.event('online');
  },
};

const files = (root: string) =>
  describeTree(root).flatMap(({ line }) => (line.startsWith('- ') ? [line.split(' ').slice(2).join(' ')] : []));
const isPartial = (line: string) => line.includes('.towline-part-');

describe.each(['to the device', 'from the device'] as const)('a sync %s', (way) => {
  it.each(Object.keys(INTERRUPTIONS))(
    'is completed by the next run after %s anywhere, with nothing half-written meanwhile',
    async (kind) => {
      const dir = join(system.dir, `${way}-${kind}`.replaceAll(' ', '-'));
      const [source, target] = [join(dir, 'source'), join(dir, 'target')];
      const dice = createDice(randomInt(2 ** 31));
      growTree(source, dice, 20);
      growTree(target, dice, 20);
      for (const name of ['large-1', 'large-2', 'sub-large']) writeFileSync(join(source, name), randomBytes(6 * MIB));
      const args = way === 'to the device' ? [source, `pi:${target}`] : [`pi:${source}`, target];
      for (let round = 0; round < 3; round += 1) {
        const allowed = new Set([...files(source), ...files(target)]);
        const held = forwarder.holdAfter(randomInt(5_000, 12 * MIB));
        const program = start(args);
        await Promise.race([held, program.finished]);
        await INTERRUPTIONS[kind]!(program);
        forwarder.cut();
        // What stands there is what it was or what it shall be.
        expect(files(target).filter((line) => !isPartial(line) && !allowed.has(line))).toEqual([]);
        for (let edit = 0; edit < 4; edit += 1) editTree(source, dice);
        writeFileSync(join(source, `large-${round}`), randomBytes(3 * MIB + round));
      }
      const { code, stdout } = await start(args).finished;
      expect({ code, last: JSON.parse(stdout.trim().split('\n').at(-1)!) }).toMatchObject({
        code: 0,
        last: { event: 'summary', failed: 0 },
      });
      expect(differencesOf(source, target)).toEqual([]);
      rmSync(dir, { recursive: true, force: true });
    },
    120_000,
  );

  it('goes on by itself when its link is cut, again and again', async () => {
    const dir = join(system.dir, `${way}-cut`.replaceAll(' ', '-'));
    const [source, target] = [join(dir, 'source'), join(dir, 'target')];
    growTree(source, createDice(3), 20);
    mkdirSync(target);
    writeFileSync(join(target, 'extra'), 'x');
    for (const name of ['large-1', 'large-2']) writeFileSync(join(source, name), randomBytes(10 * MIB));
    const program = start(way === 'to the device' ? [source, `pi:${target}`] : [`pi:${source}`, target]);
    for (let cut = 0; cut < 3; cut += 1) {
      await Promise.race([forwarder.holdAfter(randomInt(100_000, 3 * MIB)), program.finished]);
      forwarder.cut();
    }
    expect((await program.finished).code).toBe(0);
    expect(differencesOf(source, target)).toEqual([]);
  }, 120_000);
});
