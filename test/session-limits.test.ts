import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from './support/keys.ts';
import { type LiveClient, linkLive, startLiveRelay } from './support/live-relay.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const IDLE_MS = 1_500;
const MAX_MS = 5_000;

let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
let client: LiveClient;
beforeAll(async () => {
  system = createSystem();
  relay = await startLiveRelay(system, 'site', ['sessions: { idle: 1500ms, max_duration: 5s }']);
  const { key } = await createKey(system, relay, ['--enrol', '--org', 'acme']);
  device = system.startDevice(relay, { name: 'pi', org: 'acme', env: { TOWLINE_API_KEY: key } });
  await device.event('online');
  client = await linkLive(relay, relay.adminKey);
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
  await relay?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

const closed = (session: string) =>
  eventually(
    async () => storedTrail(relay.dir).find((each) => each.action === 'session.closed' && each.session === session),
    'the end is written',
  );

describe('a session', () => {
  it('that carries nothing ends as idle, with the reason on both ends and in the trail', async () => {
    const from = performance.now();
    const session = await client.open('pi', '/exec/1', ['sleep', '60']);
    expect(await session.ended).toBe('session_idle');
    const tookMs = performance.now() - from;
    expect(tookMs).toBeGreaterThanOrEqual(IDLE_MS - 50);
    expect(tookMs).toBeLessThan(MAX_MS - 500);
    expect(await closed(session.id)).toMatchObject({ reason: 'session_idle', outcome: 'interrupted', reportedBy: 'device' });
    await device.program.saw(new RegExp(`session=${session.id}.*session_idle`), 'stderr');
  });

  it('that carries something now and then goes on to the longest there is', async () => {
    const from = performance.now();
    const session = await client.open('pi', '/exec/1', ['sh', '-c', 'while :; do echo tick; sleep 0.4; done']);
    expect(await session.ended).toBe('session_too_long');
    expect(performance.now() - from).toBeGreaterThanOrEqual(MAX_MS - 50);
    expect(await closed(session.id)).toMatchObject({ reason: 'session_too_long', outcome: 'interrupted', reportedBy: 'device' });
  });

  it('that is over by itself is not touched', async () => {
    const { code } = await system.towline(relay, ['pi', 'exec', '--', 'true']);
    expect(code).toBe(0);
    const id = storedTrail(relay.dir).findLast(({ action }) => action === 'session.opened')!.session!;
    expect(await closed(id)).toMatchObject({ outcome: 'ok', reason: 'exited', exitCode: 0 });
    await new Promise((later) => setTimeout(later, IDLE_MS + 500));
    expect(storedTrail(relay.dir).filter((each) => each.session === id)).toHaveLength(2);
  });
});
