import { join } from 'node:path';
import type { AuditRecord } from '@towline/contract';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyChain } from '../core/kernel/src/audit/chain.ts';
import type { Program } from './support/process.ts';
import { endRelay, restartRelay, startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** What every session here prints before it waits: six bytes from the device. */
const BEGUN = 'begun\n';
let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'));
  device = await system.enrolDevice(relay);
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

/** A session that prints, was sent five bytes, and waits. */
async function openSession(on: TestDevice = device, key = relay.adminKey): Promise<{ readonly program: Program; readonly id: string }> {
  const script = 'head -c 5 >/dev/null; echo begun; sleep 300';
  const program = system.startTowline(relay, [on.name, 'exec', '--json', '-i', '--', 'sh', '-c', script], { stdin: 'pipe', key });
  program.child.stdin!.on('error', () => {});
  program.child.stdin!.write('12345');
  await program.saw(/begun/);
  const id = storedTrail(relay.dir).findLast(({ action }) => action === 'session.opened')!.session!;
  return { program, id };
}

const closedOf = (id: string): Promise<AuditRecord> =>
  eventually(
    async () => storedTrail(relay.dir).find(({ action, session }) => action === 'session.closed' && session === id),
    'the session is closed',
  );
/** Code that the client ends with. */
const codeOf = async (program: Program) => {
  const { code, stderr } = await program.finished;
  expect(code).toBe(255);
  return (JSON.parse(stderr) as { error: { code: string } }).error.code;
};
const loggedEnd = (on: TestDevice, id: string) => on.program.saw(new RegExp(`session ended session=${id} reason=(\\S+)`), 'stderr');
const bytes = { bytesToDevice: 5, bytesFromDevice: BEGUN.length };

it('a device that is killed in the middle leaves a session that is lost, not one that never ends', async () => {
  await using doomed = await system.enrolDevice(relay, { name: 'doomed' });
  const { program, id } = await openSession(doomed);
  doomed.program.child.kill('SIGKILL');
  expect(await codeOf(program)).toMatch(/^(device_lost|link_lost|link_closed)$/);
  await doomed.program.finished;
  await using back = system.startDevice(relay, { name: 'doomed' });
  await back.event('online');
  const returned = Date.now();
  const closed = await closedOf(id);
  expect(closed).toMatchObject({ outcome: 'lost', reason: 'device_lost', reportedBy: 'relay', device: { name: 'doomed' } });
  expect(closed.at - returned).toBeLessThan(15_000);
  expect(closed).not.toHaveProperty('exitCode');
  expect(JSON.parse((await system.towline(relay, ['doomed', 'sessions', '--json'])).stdout)).toMatchObject({ items: [] });
}, 60_000);

it('a user who gives up ends it: the device and the trail say so', async () => {
  const { program, id } = await openSession();
  program.child.kill('SIGTERM');
  expect((await program.finished).code).toBe(143);
  expect(await closedOf(id)).toMatchObject({ ...bytes, outcome: 'ok', reason: 'cancelled', reportedBy: 'device' });
  await loggedEnd(device, id);
});

it('a client that is killed breaks it', async () => {
  const { program, id } = await openSession();
  program.child.kill('SIGKILL');
  expect(await closedOf(id)).toMatchObject({ ...bytes, outcome: 'interrupted', reason: 'link_lost', reportedBy: 'device' });
  expect((await loggedEnd(device, id))[1]).toBe('broken');
});

it('an admin ends it: the user and the device are told, and the trail shows by whom', async () => {
  const created = await system.rescue(relay, ['keys', 'create', '--email', 'user@example.com', '--scope', 'user:admin@example.com']);
  const { program, id } = await openSession(device, created.stdout.trim());
  const ended = await system.towline(relay, ['pi', 'sessions', '--end', id.slice(0, 12)]);
  expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining(id) });
  expect(await codeOf(program)).toBe('session_ended');
  expect(await closedOf(id)).toMatchObject({
    ...bytes,
    outcome: 'ok',
    reason: expect.stringMatching(/^(session_)?ended$/),
    reportedBy: 'device',
    actor: { label: 'user@example.com' },
  });
  const asked = storedTrail(relay.dir).find(({ action, session }) => action === 'session.end_requested' && session === id);
  expect(asked).toMatchObject({ outcome: 'ok', actor: { label: 'first admin' }, address: '127.0.0.1', device: { name: 'pi' } });
  expect((await loggedEnd(device, id))[1]).toBe('ended');
  await device.program.saw(/Ended by first admin\./, 'stderr');
});

it('a key that is revoked ends it: all three say the same', async () => {
  const created = await system.rescue(relay, [
    'keys',
    'create',
    '--json',
    '--email',
    'leaver@example.com',
    '--scope',
    'user:admin@example.com',
  ]);
  const { id: keyId, key } = JSON.parse(created.stdout) as { id: string; key: string };
  const { program, id } = await openSession(device, key);
  await system.rescue(relay, ['keys', 'revoke', keyId]);
  expect(await codeOf(program)).toBe('key_revoked');
  expect(await closedOf(id)).toMatchObject({ ...bytes, outcome: 'ok', reason: 'key_revoked', reportedBy: 'device' });
  await loggedEnd(device, id);
});

it('a runtime that is stopped ends it, and reports it before it goes', async () => {
  const { program, id } = await openSession();
  device.program.child.kill('SIGTERM');
  expect(await codeOf(program)).toBe('device_offline');
  expect((await device.program.finished).code).toBe(0);
  expect(await closedOf(id)).toMatchObject({ ...bytes, outcome: 'interrupted', reason: 'runtime_stopped', reportedBy: 'device' });
  device = system.startDevice(relay);
  await device.event('online');
});

it('a relay that is killed in the middle notes it, and has its end from the journal of the device', async () => {
  const { program, id } = await openSession();
  await endRelay(relay, 'SIGKILL');
  expect(await codeOf(program)).toBe('link_lost');
  relay = await restartRelay(relay);
  await device.event('online');
  const closed = await closedOf(id);
  // Over QUIC the edge outlives its relay by a moment, and tells the device that it is gone.
  const reason = expect.stringMatching(/^(link_lost|unavailable)$/);
  expect(closed).toMatchObject({ ...bytes, outcome: 'interrupted', reason, reportedBy: 'device' });
  const trail = storedTrail(relay.dir);
  const about = trail.filter(({ session }) => session === id);
  expect(about.map(({ action }) => action)).toEqual(['session.opened', 'session.interrupted', 'session.closed']);
  expect(about[1]).toMatchObject({ outcome: 'interrupted', reason: 'relay_restarted', address: '127.0.0.1', protocol: '/exec/1' });
  // The session ended with the relay, not when that was reported.
  expect(about[0]!.at + closed.durationMs!).toBeLessThanOrEqual(about[1]!.at + 1_000);
  expect(await verifyChain(trail)).toMatchObject({ ok: true });
});

it('a device that is removed ends it: all three say the same', async () => {
  const { program, id } = await openSession();
  expect((await system.towline(relay, ['devices', 'remove', 'pi'])).code).toBe(0);
  expect(await codeOf(program)).toBe('device_removed');
  expect((await device.program.finished).code).toBe(3);
  expect(device.program.stdout).toContain('"code":"device_removed"');
  expect(await closedOf(id)).toMatchObject({ outcome: 'interrupted', reason: 'device_removed', reportedBy: 'relay' });
});
