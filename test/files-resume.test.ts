import { createHash, randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Forwarder, forwardFrom } from './support/forwarder.ts';
import { bin } from './support/process.ts';
import { createSystem, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';
import { hasTmux, openTerminal } from './support/terminal.ts';

const isTmuxThere = await hasTmux();
const MIB = 1024 ** 2;
const SIZE = 200 * MIB;

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

const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
/** The command line program comes to the relay by the forwarder, where its connection can be held and cut. */
const startCopy = (args: readonly string[]) =>
  system.startTowline(relay, ['cp', '--json', ...args], { env: { TOWLINE_RELAY: `https://127.0.0.1:${forwarder.port}` } });
/** Somewhere in the next quarter of the file: nothing passes any more when this resolves. */
const heldAtRandom = () => forwarder.holdAfter(randomInt(15 * MIB, 45 * MIB));

async function killDevice(): Promise<void> {
  device.program.child.kill('SIGKILL');
  await device.program.finished;
}

async function startDevice(): Promise<void> {
  device = system.startDevice(relay);
  await device.event('online');
}

describe.each(['to the device', 'from the device'] as const)('a copy of 200 MB %s', (way) => {
  it('goes on after its link was cut, its device killed and its own program killed, with a hash that matches', async () => {
    const dir = join(system.dir, way.replaceAll(' ', '-'));
    mkdirSync(join(dir, 'target'), { recursive: true });
    const [source, target] = [join(dir, 'source'), join(dir, 'target/file')];
    writeFileSync(source, randomBytes(SIZE));
    const args = way === 'to the device' ? [source, `pi:${target}`] : [`pi:${source}`, target];

    let held = heldAtRandom();
    const first = startCopy(args);
    await held;
    forwarder.cut();
    held = heldAtRandom();
    await held;
    await killDevice();
    forwarder.cut();
    held = heldAtRandom();
    await startDevice();
    await held;
    expect(readdirSync(join(dir, 'target'))).toEqual([expect.stringMatching(/^\.towline-part-[0-9a-f]{32}\.[0-9a-f]{16}$/)]);
    first.child.kill('SIGKILL');
    await first.finished;
    forwarder.cut();

    const { code, stdout } = await startCopy(args).finished;
    expect(code).toBe(0);
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ event: 'summary', copied: 1, failed: 0 });
    expect(sha256(target)).toBe(sha256(source));
    expect(readdirSync(join(dir, 'target'))).toEqual(['file']);
    const moved = (JSON.parse(stdout.trim().split('\n').at(-1)!) as { bytes: number }).bytes;
    // At least 45 MiB had come before; some of each time may have been under way only.
    expect(moved).toBeLessThan(SIZE - 15 * MIB);
  }, 180_000);

  it('throws away what of a partial file is not the source', async () => {
    const dir = join(system.dir, `${way.replaceAll(' ', '-')}-damaged`);
    mkdirSync(join(dir, 'target'), { recursive: true });
    const [source, target] = [join(dir, 'source'), join(dir, 'target/file')];
    const content = randomBytes(40 * MIB);
    writeFileSync(source, content);
    const args = way === 'to the device' ? [source, `pi:${target}`] : [`pi:${source}`, target];
    const held = forwarder.holdAfter(20 * MIB);
    const first = startCopy(args);
    await held;
    first.child.kill('SIGKILL');
    await first.finished;
    forwarder.cut();

    const [partial] = readdirSync(join(dir, 'target'));
    const damaged = readFileSync(join(dir, 'target', partial!));
    const at = Math.floor(damaged.length / 2);
    damaged[at] = damaged[at]! ^ 0xff;
    writeFileSync(join(dir, 'target', partial!), damaged);
    const { code, stdout } = await startCopy(args).finished;
    expect(code).toBe(0);
    expect(readFileSync(target).equals(content)).toBe(true);
    const { bytes } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { bytes: number };
    expect(bytes).toBeGreaterThan(content.length - damaged.length);
    expect(bytes).toBeLessThan(content.length);
  }, 120_000);
});

describe('a copy that its user interrupts', () => {
  it('ends with 130, leaves the target as it was, and goes on when it is run again', async () => {
    const dir = join(system.dir, 'interrupted');
    mkdirSync(dir);
    const [source, target] = [join(dir, 'source'), join(dir, 'target')];
    writeFileSync(source, randomBytes(40 * MIB));
    writeFileSync(target, 'as before');
    const held = forwarder.holdAfter(20 * MIB);
    const program = startCopy([source, `pi:${target}`]);
    await held;
    program.child.kill('SIGINT');
    expect(await program.finished).toMatchObject({ code: 130, stderr: expect.stringContaining('Interrupted') });
    forwarder.cut();
    expect(readFileSync(target, 'utf8')).toBe('as before');
    const { code, stdout } = await startCopy([source, `pi:${target}`]).finished;
    expect(code).toBe(0);
    expect(sha256(target)).toBe(sha256(source));
    expect((JSON.parse(stdout.trim().split('\n').at(-1)!) as { bytes: number }).bytes).toBeLessThan(36 * MIB);
  }, 120_000);

  it.runIf(isTmuxThere)(
    'shows a bar with rate and time left on a terminal',
    async () => {
      const dir = join(system.dir, 'bar');
      mkdirSync(dir);
      writeFileSync(join(dir, 'source'), randomBytes(80 * MIB));
      const held = forwarder.holdAfter(30 * MIB);
      await using terminal = await openTerminal(`${bin('towline')} cp ${dir}/source pi:${dir}/target`, {
        TOWLINE_RELAY: `https://127.0.0.1:${forwarder.port}`,
        TOWLINE_TLS_FINGERPRINT: relay.fingerprint,
        TOWLINE_API_KEY: relay.adminKey,
        TOWLINE_CONFIG_DIR: join(system.dir, 'user-of-terminal'),
      });
      await held;
      await terminal.shows(/\[#{3,15}\.+\] +\d+% {2}\d+\.\d MB of 83\.9 MB/);
      forwarder.cut();
      await terminal.shows(/The copy goes on when the way is back\./);
      await terminal.shows(/1 copied \(\d+\.\d MB in \d+s, .*\/s\)\s+\[ended with 0\]/);
    },
    60_000,
  );
});

describe('a copy of a tree', () => {
  it('goes on where it was when its link is cut: what stands there is compared by its hash', async () => {
    const [source, target] = [join(system.dir, 'many'), join(system.dir, 'many-copied')];
    for (let folder = 0; folder < 10; folder += 1) {
      mkdirSync(join(source, String(folder)), { recursive: true });
      for (let at = 0; at < 60; at += 1) writeFileSync(join(source, String(folder), `f${at}`), randomBytes(20_000));
    }
    const held = forwarder.holdAfter(5 * MIB);
    const program = startCopy([source, `pi:${target}`]);
    await held;
    forwarder.cut();
    const { code, stdout } = await program.finished;
    expect(code).toBe(0);
    const summary = JSON.parse(stdout.trim().split('\n').at(-1)!) as { copied: number; unchanged: number };
    expect(summary).toMatchObject({ failed: 0 });
    expect(summary.copied + summary.unchanged).toBeGreaterThanOrEqual(600);
    for (const folder of readdirSync(source))
      for (const name of readdirSync(join(source, folder)))
        expect(sha256(join(target, folder, name))).toBe(sha256(join(source, folder, name)));
    expect(readdirSync(join(target, '0'))).toHaveLength(60);
  }, 120_000);
});
