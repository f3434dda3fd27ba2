import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyChain } from '../core/kernel/src/audit/chain.ts';
import { endRelay, restartRelay, startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

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

const run = async (...words: string[]) => {
  const { code, stdout, stderr } = await system.towline(relay, words);
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`);
  return stdout;
};
const items = async (...words: string[]) => (JSON.parse(await run(...words, '--json')) as { items: Record<string, unknown>[] }).items;
const identity = (row: Record<string, unknown>) => [row.id, row.name, row.owner, row.fingerprint, row.enrolled_at];

it('is the same relay after kill -9, and its devices return by themselves', async () => {
  await run('pi', 'exec', '--', 'echo', 'before');
  const devices = (await items('devices', 'list')).map(identity);
  const records = storedTrail(relay.dir);
  expect(await endRelay(relay, 'SIGKILL')).toMatchObject({ signal: 'SIGKILL' });
  // Over QUIC the edge outlives its relay by a moment, and says that it is gone.
  expect((await device.event('offline')).code).toMatch(/^(link_lost|relay_unreachable|unavailable)$/);
  const ended = relay;
  relay = await restartRelay(relay);
  expect({ url: relay.url, fingerprint: relay.fingerprint, key: relay.adminKey }).toEqual({
    url: ended.url,
    fingerprint: ended.fingerprint,
    key: ended.adminKey,
  });
  await device.event('online');
  expect(await run('pi', 'exec', '--', 'echo', 'after')).toBe('after\n');
  expect((await items('devices', 'list')).map(identity)).toEqual(devices);
  const now = storedTrail(relay.dir);
  expect(now.slice(0, records.length)).toEqual(records);
  expect(await verifyChain(now)).toMatchObject({ ok: true });
});

it('ends with 0 on SIGTERM, tells devices and clients why, and has them back when it is started again', async () => {
  const session = system.startTowline(relay, ['pi', 'exec', '--', 'sh', '-c', 'echo begun; sleep 300']);
  await session.saw(/begun/);
  const waiting = device.event('offline');
  const ended = await endRelay(relay, 'SIGTERM');
  expect(ended.code).toBe(0);
  expect(ended.stderr).toContain('SIGTERM');
  expect(ended.stderr).not.toMatch(/"level":(40|50)/);
  expect(await waiting).toMatchObject({ code: 'unavailable', message: 'The relay is stopping.' });
  const left = await session.finished;
  expect(left.code).toBe(255);
  expect(left.stderr).toContain('The relay is stopping.');
  relay = await restartRelay(relay);
  await device.event('online');
  expect(await run('pi', 'exec', '--', 'echo', 'again')).toBe('again\n');
});

it('stops as well while somebody keeps an idle connection open', async () => {
  const idle = connect({ port: relay.port, host: '127.0.0.1', ca: readFileSync(join(relay.dir, 'ca.pem')) });
  await new Promise((resolve, reject) => idle.once('secureConnect', resolve).once('error', reject));
  idle.on('error', () => {});
  expect((await endRelay(relay, 'SIGINT')).code).toBe(0);
  idle.destroy();
  relay = await restartRelay(relay);
  await device.event('online');
});
