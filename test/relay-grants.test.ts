import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deriveGrantKey } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, runProgram } from './support/process.ts';
import { endRelay, type RelayStart, restartRelay, startRelayOn } from './support/relay-process.ts';
import { forgetEncryption, replaceMeta, storedMeta, storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const FIRST = 'zK3vQ9xT7mW1pL5rH8nB4cJ6fD2gS0yA-uE_iOqVtXw';
const SECOND = 'Hq5Zt8Lw2Rb7Xn4Vc9Kj1Fm6Gp3Ds0Ya-Ti_eUoQzBx';
/** Name of the relay's own secrets in its store. */
const SECRETS = 'grant.secrets';

let system: TestSystem;
let relay: TestRelay;
/** Stays linked while keys are rotated. */
let near: TestDevice;
/** Is away meanwhile. */
let far: TestDevice;
beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'));
  near = await system.enrolDevice(relay, { name: 'near' });
  far = await system.enrolDevice(relay, { name: 'far' });
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const exec = ({ name }: TestDevice) => system.towline(relay, [name, 'exec', '--json', '--', 'echo', 'done']);
const keysOf = ({ dir }: TestDevice) =>
  (JSON.parse(readFileSync(join(dir, 'device.json'), 'utf8')) as { relay: { grant_keys: { id: string }[] } }).relay.grant_keys.map(
    ({ id }) => id,
  );

async function rotate(): Promise<string> {
  const { code, stdout } = await system.rescue(relay, ['grants', 'rotate']);
  expect(code).toBe(0);
  return /^grants are signed with key ([0-9a-f]{16}) from now on\n$/.exec(stdout)![1]!;
}

/** Starts the relay anew, otherwise than before, and waits until a device is back. */
async function restart(device: TestDevice, start: RelayStart, change = () => {}): Promise<void> {
  await endRelay(relay, 'SIGTERM');
  await device.event('offline');
  change();
  relay = await restartRelay(relay, start);
  await device.event('online');
}

async function expectRefused(device: TestDevice): Promise<void> {
  const { code, stdout, stderr } = await exec(device);
  expect({ code, stdout }).toEqual({ code: 255, stdout: '' });
  const { error } = JSON.parse(stderr) as { error: { code: string; hint: string } };
  expect(error.code).toBe('grant_invalid');
  expect(error.hint).toContain('approve the device again');
}

describe('towline-relay grants rotate beside a running relay', () => {
  it('is followed at once by a device that is linked, whose sessions go on', async () => {
    const [before] = keysOf(near);
    const session = system.startTowline(relay, ['near', 'exec', '-i', '--', 'sh', '-c', 'echo begun; cat'], { stdin: 'pipe' });
    await session.saw(/begun/);
    await far[Symbol.asyncDispose]();
    const made = await rotate();
    await eventually(async () => keysOf(near).includes(made), 'the device holds the new key');
    expect(keysOf(near)).toEqual([before, made]);
    session.child.stdin!.end('still here\n');
    expect(await session.finished).toMatchObject({ code: 0, stdout: 'begun\nstill here\n' });
    expect(await exec(near)).toMatchObject({ code: 0, stdout: 'done\n' });
    expect(near.program.stdout).not.toContain('"event":"offline"');
    expect(storedTrail(relay.dir)).toContainEqual(
      expect.objectContaining({
        action: 'grant_key.rotated',
        outcome: 'ok',
        detail: { key: made },
        actor: expect.objectContaining({ kind: 'operator' }),
      }),
    );
  });

  it('is followed at its next link by a device that was away, also for the second time', async () => {
    const made = await rotate();
    far = system.startDevice(relay, { name: 'far' });
    await far.event('online');
    await eventually(async () => keysOf(far).includes(made), 'the device holds the newest key');
    expect(keysOf(far)).toHaveLength(3);
    expect(await exec(far)).toMatchObject({ code: 0, stdout: 'done\n' });
  });
});

describe('a relay with other grant keys', () => {
  it('as of another database is refused by its devices, which say what to do, and believed again when it has its own', async () => {
    const own = storedMeta(relay.dir, SECRETS);
    await restart(near, {}, () => {
      forgetEncryption(relay.dir);
      replaceMeta(relay.dir, SECRETS, JSON.stringify(['an entirely other secret of this relay']));
    });
    await expectRefused(near);
    expect(near.program.stderr).toMatch(/every session is refused.*runtime logout.*approved again/);
    await restart(near, {}, () => replaceMeta(relay.dir, SECRETS, own));
    expect(await exec(near)).toMatchObject({ code: 0, stdout: 'done\n' });
  });

  it('as of another forward_secret is refused, until the device is approved again', async () => {
    await restart(near, { env: { TOWLINE_FORWARD_SECRET: FIRST } });
    await expectRefused(near);
    await near[Symbol.asyncDispose]();
    const env = { TOWLINE_CONFIG_DIR: near.dir };
    expect((await runProgram(bin('towline-agent'), ['logout'], { env })).code).toBe(0);
    near = await system.enrolDevice(relay, { name: 'near' });
    expect(keysOf(near)).toEqual([deriveGrantKey(FIRST).id]);
    expect(await exec(near)).toMatchObject({ code: 0, stdout: 'done\n' });
  });

  it('is followed when the config has the new secret before the old one', async () => {
    const config = join(system.dir, 'towline.yaml');
    writeFileSync(config, `forward_secrets: [${SECOND}, ${FIRST}]\n`);
    await restart(near, { config });
    expect(await exec(near)).toMatchObject({ code: 0, stdout: 'done\n' });
    expect(keysOf(near)).toEqual([FIRST, SECOND].map((secret) => deriveGrantKey(secret).id));
    const refused = await system.rescue(relay, ['grants', 'rotate', '--config', config]);
    expect(refused).toMatchObject({ code: 2, stdout: '' });
    expect(refused.stderr).toContain('forward_secrets');
  });
});
