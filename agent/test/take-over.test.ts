import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { DeviceHandler } from '@towline/contract';
import { type ClientSession, createApiKeyText, createId, type SessionId, type TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stayConnected } from '../src/connect.ts';
import { createEventWatch } from '../src/event-watch.ts';
import type { RuntimeEvent } from '../src/events.ts';
import { loadSettings } from '../src/settings.ts';
import { readStatus, StatusFile } from '../src/status-file.ts';
import { createRungs, type TransportChoice } from '../src/transports.ts';
import { temporaryFolder } from './agent-process.ts';
import { echo } from './device-side.ts';
import type { RelaySide } from './relay-side.ts';
import { caPem, TestRelay } from './test-relay.ts';

/** Waits take so much less time than they would. */
const HURRY = 100;

let dir: string;
let relay: TestRelay;
const devices: Device[] = [];
beforeEach(async () => {
  dir = await temporaryFolder();
  await writeFile(join(dir, 'ca.pem'), caPem);
  relay = await TestRelay.start();
});
afterEach(async () => {
  for (const device of devices.splice(0)) await device.stop();
  await relay[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

/** A connection as the runtime has it, in this process. */
interface Device {
  readonly events: RuntimeEvent[];
  readonly log: string[];
  readonly status: StatusFile;
  readonly over: Promise<TowlineError | null>;
  until(condition: () => boolean): Promise<void>;
  stop(): Promise<void>;
}

async function connect(choice: TransportChoice = 'auto'): Promise<Device> {
  const env = { TOWLINE_CONFIG_DIR: dir };
  const settings = await loadSettings({ relay: relay.url.origin, ca: join(dir, 'ca.pem'), transport: choice }, env);
  const identity = await settings.files.identity();
  const [events, log]: [RuntimeEvent[], string[]] = [[], []];
  const waiting: (() => void)[] = [];
  const changed = () => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  const write = (message: string, fields?: object) => {
    log.push(`${message} ${JSON.stringify(fields ?? {})}`);
    changed();
  };
  const sink = { debug: write, info: write, warn: write, error: write };
  const status = new StatusFile(dir, { now: () => Date.now() });
  const emit = (event: RuntimeEvent) => {
    events.push(event);
    changed();
  };
  const watch = createEventWatch({ emit, status, settings, log: sink });
  const stop = new AbortController();
  const over = stayConnected({
    runtime: { settings, identity, env, log: sink, clock: { now: () => Date.now() }, emit: watch.emit, status, signal: stop.signal },
    handlers: new Map<string, DeviceHandler>([[echo.protocol, echo as DeviceHandler]]),
    credential: { apiKey: createApiKeyText('device').text, source: 'environment' },
    // This relay has no UDP port.
    rungs: createRungs(choice, { environment: {}, warn: () => undefined }).filter(({ name }) => name !== 'quic'),
    instance: createId<SessionId>(),
    sleep: (ms, signal) => wait(ms / HURRY, undefined, { signal }),
  }).then(
    () => null,
    (error: unknown) => error as TowlineError,
  );
  const device: Device = {
    events,
    log,
    status,
    over,
    async until(condition) {
      while (!condition()) await new Promise<void>((resolve) => waiting.push(resolve));
    },
    async stop() {
      stop.abort();
      await over;
      await watch.settled();
      await status.settled();
    },
  };
  devices.push(device);
  return device;
}

const TLS = 'towline/1';
const onlineOver = (device: Device) => device.events.flatMap((event) => (event.event === 'online' ? [event.transport] : []));

/** What a session sends back. */
function say(session: ClientSession, text: string): Promise<string> {
  const answer = new Promise<string>((resolve) => session.input(0).once('data', (bytes) => resolve(String(bytes))));
  session.output(0).write(text);
  return answer;
}

/** A device that came by WebSocket, since something refused the bare upgrade, and can have it now. */
async function heldBack(): Promise<{ readonly device: Device; readonly first: RelaySide }> {
  relay.refusedUpgrades.add(TLS);
  const device = await connect();
  const first = await relay.device();
  await device.until(() => onlineOver(device).length === 1);
  return { device, first };
}

describe('a device that was held back from the better transport', () => {
  it('tells which one it uses and why: in the event, the proof and the status', async () => {
    const { device, first } = await heldBack();
    const note = expect.stringMatching(/^TLS: What answers there is not a Towline relay: .*403/);
    expect(relay.transports).toEqual(['websocket']);
    expect(device.events.at(-1)).toMatchObject({ event: 'online', transport: 'websocket', note });
    expect(first.proof.transport_note).toEqual(note);
    expect(first.proof.beside).toBeUndefined();
    await device.status.settled();
    expect(await readStatus(dir)).toMatchObject({ state: 'online', transport: 'websocket', note });
    expect(JSON.parse(await readFile(join(dir, 'transports.json'), 'utf8'))).toMatchObject({
      [relay.url.origin]: { transport: 'websocket', reasons: { tls: expect.stringContaining('403') } },
    });
  });

  it('moves to it as soon as it works: sessions go on where they are, new ones come on the new link', async () => {
    const { device, first } = await heldBack();
    const { session } = await first.openSession({}, '/echo/1');
    expect(await say(session, 'before')).toBe('before');
    relay.refusedUpgrades.clear();
    const second = await relay.device(1);
    await device.until(() => onlineOver(device).length === 2);
    expect(relay.transports).toEqual(['websocket', 'tls']);
    expect(second.proof).toMatchObject({ beside: true, instance: first.proof.instance, sessions: [session.id] });
    expect(second.proof.transport_note).toBeUndefined();
    expect(onlineOver(device)).toEqual(['websocket', 'tls']);
    expect(device.log.join('\n')).toContain(
      'a better transport took over; sessions on the older one go on there {"from":"websocket","to":"tls"}',
    );

    expect(await say(session, 'after')).toBe('after');
    const { session: another } = await second.openSession({}, '/echo/1');
    expect(await say(another, 'there')).toBe('there');

    session.output(0).end();
    expect(await session.result).toMatchObject({ exit_code: 7 });
    // The journal goes over the link that stands for the device.
    expect(await second.endOf(session.id)).toMatchObject({ end: { reason: 'exited', exit_code: 7 } });
    expect(await first.link.closed).toMatchObject({ by: 'peer', code: 'link_closed' });
    expect(await say(another, 'still')).toBe('still');
    await device.status.settled();
    expect(await readStatus(dir)).toMatchObject({ state: 'online', transport: 'tls', note: null });
    expect(device.events.filter(({ event }) => event === 'offline')).toEqual([]);
  });

  it('obeys on both links while it has two', async () => {
    const { device, first } = await heldBack();
    const [one, two] = [await first.openSession({ hang: true }, '/echo/1'), await first.openSession({ hang: true }, '/echo/1')];
    relay.refusedUpgrades.clear();
    const second = await relay.device(1);
    await device.until(() => onlineOver(device).length === 2);
    second.control.send({ type: 'end_session', session: one.session.id, code: 'access_ended', message: 'Withdrawn.' });
    await expect(one.session.result).rejects.toMatchObject({ code: 'access_ended' });
    first.control.send({ type: 'end_session', session: two.session.id, code: 'access_ended', message: 'Withdrawn.' });
    await expect(two.session.result).rejects.toMatchObject({ code: 'access_ended' });
    expect((await second.endOf(two.session.id)).end).toMatchObject({ reason: 'ended' });
  });

  it('uses the older link again, journal and all, when the better one is lost first', async () => {
    const { device, first } = await heldBack();
    const { session } = await first.openSession({}, '/echo/1');
    expect(await say(session, 'before')).toBe('before');
    relay.refusedUpgrades.clear();
    const second = await relay.device(1);
    await device.until(() => onlineOver(device).length === 2);
    relay.refusedUpgrades.add(TLS);
    await second.link.close('link_lost', 'Gone.', 0);
    await device.until(() => onlineOver(device).length === 3);
    expect(device.events.at(-1)).toMatchObject({
      transport: 'websocket',
      note: expect.stringMatching(/^TLS: its last connection was lost/),
    });
    expect(await say(session, 'after')).toBe('after');
    const { session: another } = await first.openSession({}, '/echo/1');
    another.output(0).end();
    expect(await first.endOf(another.id)).toMatchObject({ end: { exit_code: 7 } });
    expect(device.events.filter(({ event }) => event === 'offline')).toEqual([]);
  });

  it('stays where it is when the relay lets it in no second time', async () => {
    const { device, first } = await heldBack();
    const { session } = await first.openSession({}, '/echo/1');
    relay.linkError = { code: 'rate_limited', message: 'Too many links.' };
    relay.refusedUpgrades.clear();
    await device.until(() => device.log.some((line) => line.includes('Too many links.')));
    expect(await say(session, 'on')).toBe('on');
    expect(onlineOver(device)).toEqual(['websocket']);
  });

  it('ends sessions on both links and reports them when it is stopped', async () => {
    const { device, first } = await heldBack();
    const { session: old } = await first.openSession({ hang: true }, '/echo/1');
    relay.refusedUpgrades.clear();
    const second = await relay.device(1);
    await device.until(() => onlineOver(device).length === 2);
    const { session: young } = await second.openSession({ hang: true }, '/echo/1');
    await device.stop();
    expect(await device.over).toBeNull();
    for (const { id } of [old, young]) expect((await second.endOf(id)).end.reason).toBe('runtime_stopped');
    for (const { link } of [first, second]) expect(await link.closed).toMatchObject({ by: 'peer', code: 'link_closed' });
  });

  it('is not held back for good by one whose links come up and break', async () => {
    relay.brokenUpgrades.add(TLS);
    const device = await connect();
    await device.until(() => onlineOver(device).length === 1);
    expect(device.events.at(-1)).toMatchObject({
      transport: 'websocket',
      note: 'TLS: its connection came up, but was lost before the relay had let the device in.',
    });
    relay.brokenUpgrades.clear();
    await device.until(() => onlineOver(device).length === 2);
    expect(onlineOver(device)).toEqual(['websocket', 'tls']);
  });

  it('starts with the transport that worked when it comes back, and moves on from there', async () => {
    const { device } = await heldBack();
    await device.stop();
    relay.refusedUpgrades.clear();
    const next = await connect();
    await next.until(() => onlineOver(next).length === 2);
    expect(onlineOver(next)).toEqual(['websocket', 'tls']);
    const again = await next.stop().then(() => connect());
    await again.until(() => onlineOver(again).length === 1);
    expect(onlineOver(again)).toEqual(['tls']);
  });
});

describe('a device that was told its transport', () => {
  it('uses that one alone, and says so', async () => {
    const device = await connect('websocket');
    await device.until(() => onlineOver(device).length === 1);
    expect(device.events.at(-1)).toMatchObject({ transport: 'websocket', note: 'The runtime was told to use this transport alone.' });
    expect(relay.transports).toEqual(['websocket']);
  });

  it('says what keeps it from it', async () => {
    relay.refusedUpgrades.add(TLS);
    const device = await connect('tls');
    expect(await device.over).toMatchObject({ code: 'relay_not_towline', message: expect.stringContaining('403') });
    expect(relay.transports).toEqual([]);
  });
});
