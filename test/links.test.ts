import { once, setMaxListeners } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer, type SecureVersion } from 'node:tls';
import type { DeviceView } from '@towline/contract';
import { createReconnectPolicy, keepLinked } from '@towline/link';
import { createId, type DeviceId, fingerprintOf, parsePrivateKey, type SessionId } from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createKey } from './support/keys.ts';
import { linkClient } from './support/raw-client.ts';
import { dialDevice, type EnrolledRawDevice, enrolRawDevice, linkDevice, type RawDeviceLink } from './support/raw-device.ts';
import { askUpgrade, inTime, linkRequest, openTls } from './support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { endRelay, restartRelay, startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** The promise is 15 s; the rest is room for a loaded machine. */
const SILENCE_NOTICED_MS = 20_000;
/** Over TLS the system closes the connection of a process that dies; over QUIC there is only silence. */
const DEATH_NOTICED_MS = Object.freeze({ tls: 4_000, quic: SILENCE_NOTICED_MS });

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'));
  api = openApi(relay);
});
afterAll(async () => {
  api?.[Symbol.dispose]();
  await relay?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

const show = async (name: string, of = api) => bodyOf<DeviceView>(await of.call('GET', `/v1/devices/${name}`, { key: of.relay.adminKey }));
const isOnline = async (name: string, of = api) => (await show(name, of)).online;
const becomesOffline = (name: string, deadlineMs?: number, of = api) =>
  eventually(async () => !(await isOnline(name, of)), `${name} is shown offline`, deadlineMs);
const becomesOnline = (name: string, of = api) => eventually(() => isOnline(name, of), `${name} is shown online`);
const enrol = (name: string) => enrolRawDevice(api, { name, owner: 'user:admin@example.com' });
const link = (device: EnrolledRawDevice, instance = createId<SessionId>()) =>
  linkDevice(relay, device.apiKey, { identity: device.identity, instance });
const stop = (device: TestDevice) => device.program.child.kill('SIGSTOP');
const goOn = (device: TestDevice) => device.program.child.kill('SIGCONT');

// Beside each other: most of their time is waiting.
describe.concurrent.each(['tls', 'quic'] as const)('a device over %s', (transport) => {
  const args = ['--transport', transport];
  it('that dies is shown offline, its sessions say so, and it is back when its runtime is started again', async () => {
    const name = `mortal-${transport}`;
    const device = await system.enrolDevice(relay, { name, args });
    const session = system.startTowline(relay, [name, 'exec', '--', 'sh', '-c', 'echo begun; exec sleep 300']);
    await session.saw(/begun/);
    expect((await show(name)).link).toMatchObject({ transport });
    device.program.child.kill('SIGKILL');
    await device.program.finished;
    await becomesOffline(name, DEATH_NOTICED_MS[transport]);
    const { code, stderr } = await inTime(session.finished, 'the session ends');
    expect(code).toBe(255);
    expect(stderr).toMatch(/connection .*lost/i);
    const refused = await system.towline(relay, [name, 'exec', '--', 'true']);
    expect(refused).toMatchObject({ code: 255, stdout: '' });
    expect(refused.stderr).toContain('offline');
    const again = system.startDevice(relay, { name, args });
    await again.event('online');
    expect(await isOnline(name)).toBe(true);
  }, 60_000);

  it('notices within 15 seconds that its relay froze, and the relay that its runtime did, and both pass by themselves', async () => {
    const [frozenName, waitingName] = [`frozen-${transport}`, `waiting-${transport}`];
    const frozen = await system.enrolDevice(relay, { name: frozenName, args });
    await using other = await startRelayOn(join(system.dir, `frozen-relay-${transport}`));
    using otherApi = openApi(other);
    const waiting = await system.enrolDevice(other, { name: waitingName, args });
    stop(frozen);
    other.program.child.kill('SIGSTOP');
    const since = performance.now();
    try {
      const [, offline] = await Promise.all([
        becomesOffline(frozenName, SILENCE_NOTICED_MS),
        waiting.event('offline').then((event) => ({ event, afterMs: performance.now() - since })),
      ]);
      expect(offline.afterMs).toBeLessThan(SILENCE_NOTICED_MS);
      // Over QUIC the edge of a relay that froze goes on, and says so.
      expect(offline.event).toMatchObject({ code: transport === 'tls' ? 'link_silent' : 'unavailable' });
    } finally {
      goOn(frozen);
      other.program.child.kill('SIGCONT');
    }
    await Promise.all([frozen.event('offline'), waiting.event('online')]);
    await Promise.all([frozen.event('online'), becomesOnline(waitingName, otherApi)]);
    await becomesOnline(frozenName);
    const said = await Promise.all([
      system.towline(relay, [frozenName, 'exec', '--', 'echo', 'thawed']),
      system.towline(other, [waitingName, 'exec', '--', 'echo', 'thawed']),
    ]);
    expect(said.map(({ stdout }) => stdout)).toEqual(['thawed\n', 'thawed\n']);
  }, 60_000);
});

describe.concurrent('silence', () => {
  it('of a stranger that has not proved itself is not waited for', async () => {
    const device = await enrol('mute');
    const mute = await dialDevice(relay, device.apiKey);
    mute.onStream((stream) => stream.on('error', () => {}));
    expect(await inTime(mute.closed, 'the relay hangs up', 15_000)).toMatchObject({ code: 'timeout', by: 'peer' });
    expect(await isOnline('mute')).toBe(false);
  });
});

describe.concurrent('a relay that is stopped and started', () => {
  it('has all its devices back', async () => {
    const dir = join(system.dir, 'many');
    mkdirSync(dir);
    let many = await startRelayOn(dir);
    const manyApi = openApi(many);
    const { key } = await createKey(system, many, ['--email', 'admin@example.com', '--admin']);
    const devices: EnrolledRawDevice[] = [];
    for (let number = 0; number < 30; number += 1)
      devices.push(await enrolRawDevice(manyApi, { name: `one-of-many-${number}`, owner: 'org:many' }));
    manyApi[Symbol.dispose]();
    const over = new AbortController();
    setMaxListeners(0, over.signal);
    const running = devices.map((device) => stayLinked(many, device, over.signal));
    const online = async () => {
      using anew = openApi(many);
      const { items } = bodyOf<{ items: DeviceView[] }>(await anew.call('GET', '/v1/devices?limit=100', { key }));
      return items.filter((device) => device.online).length;
    };
    try {
      await eventually(async () => (await online()) === 30, 'all thirty are online');
      expect((await endRelay(many, 'SIGTERM')).code).toBe(0);
      many = await restartRelay(many);
      await eventually(async () => (await online()) === 30, 'all thirty are back', 30_000);
      await endRelay(many, 'SIGKILL');
      many = await restartRelay(many);
      await eventually(async () => (await online()) === 30, 'all thirty are back again', 30_000);
    } finally {
      over.abort();
      await Promise.all(running);
      await many[Symbol.asyncDispose]();
    }
  }, 90_000);
});

describe('a new connection of the same device', () => {
  it('takes the place of the old one: of twenty at once exactly one remains, and is the one that is used', async () => {
    const device = await enrol('twenty');
    const links = await Promise.all(Array.from({ length: 20 }, () => link(device)));
    const over = new Set<RawDeviceLink>();
    for (const one of links) void one.link.closed.then(() => over.add(one));
    await eventually(async () => over.size >= 19, 'nineteen are over');
    // By now every late close of an old one has been dealt with: each was answered by the peer's own close.
    for (let look = 0; look < 5; look += 1) expect(await isOnline('twenty')).toBe(true);
    expect(over.size).toBe(19);
    const remaining = links.find((one) => !over.has(one))!;
    expect(remaining.answer).toMatchObject({ type: 'welcome' });
    const ends = await Promise.all([...over].map((one) => one.link.closed));
    expect(new Set(ends.map(({ code }) => code))).toEqual(new Set(['device_replaced']));
    const session = system.startTowline(relay, ['twenty', 'exec', '--', 'true']);
    await eventually(async () => remaining.openings.length === 1, 'the opening reaches the link that remains');
    session.child.kill('SIGTERM');
    await session.finished;
    await remaining.link.close('link_closed', 'The test is over.');
    await becomesOffline('twenty');
  });

  it('leaves no moment in which the device cannot be reached', async () => {
    const device = await enrol('replaced');
    const links = [await link(device)];
    await using client = await linkClient(relay, relay.adminKey);
    let replacing = true;
    const answers = new Set<string>();
    const asking = (async () => {
      while (replacing) answers.add(await client.open('replaced'));
    })();
    for (let round = 0; round < 20; round += 1) links.push(await link(device));
    replacing = false;
    await asking;
    expect([...answers].filter((answer) => answer !== 'accepted' && answer !== 'device_replaced')).toEqual([]);
    await links.at(-1)!.link.close('link_closed', 'The test is over.');
  });

  it('is not unregistered by an old one that closes late', async () => {
    const device = await system.enrolDevice(relay, { name: 'late' });
    const { identity, apiKey } = readRuntime(device.dir);
    const session = system.startTowline(relay, ['late', 'exec', '--', 'sh', '-c', 'echo begun; exec sleep 300']);
    await session.saw(/begun/);
    stop(device);
    await using newer = await linkDevice(relay, apiKey, { identity });
    expect(newer.answer).toMatchObject({ type: 'welcome' });
    expect((await show('late')).link).toMatchObject({ address: '127.0.0.1' });
    const { code, stderr } = await inTime(session.finished, 'the session on the old link ends');
    expect(code).toBe(255);
    expect(stderr).toContain('newer connection of the same device took over');
    goOn(device);
    expect(await device.event('stopped')).toMatchObject({ code: 'device_replaced' });
    await device.program.finished;
    for (let look = 0; look < 5; look += 1) expect(await isOnline('late')).toBe(true);
    const noted = await eventually(
      async () => storedTrail(relay.dir).find(({ action, device }) => action === 'device.replaced' && device?.name === 'late'),
      'the replacement is in the trail',
    );
    expect(noted.detail).toMatchObject({ old_address: '127.0.0.1', new_address: '127.0.0.1', new_hostname: 'pi.local' });
  });

  it('of the same runtime is no rival: the old one is told that it was lost, so that nobody stops', async () => {
    const device = await enrol('same');
    const instance = createId<SessionId>();
    const older = await link(device, instance);
    await using newer = await link(device, instance);
    expect(newer.answer).toMatchObject({ type: 'welcome' });
    expect(await inTime(older.link.closed, 'the old one is closed')).toMatchObject({ code: 'device_lost', by: 'peer' });
    expect(await isOnline('same')).toBe(true);
    expect(storedTrail(relay.dir).some(({ action, device }) => action === 'device.replaced' && device?.name === 'same')).toBe(false);
  });

  it('has to be proved before it takes a place', async () => {
    const device = await enrol('proven');
    await using honest = await link(device);
    const forger = await enrol('forger');
    await using liar = await linkDevice(relay, device.apiKey, { identity: { ...forger.identity, id: device.identity.id } });
    expect(await inTime(liar.link.closed, 'the liar is turned away')).toMatchObject({ code: 'proof_invalid' });
    expect(await isOnline('proven')).toBe(true);
    expect((await honest.link.ping(AbortSignal.timeout(15_000))) >= 0).toBe(true);
  });
});

describe('the way to the relay', () => {
  it('is TLS 1.2 or newer, for requests and for links', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await openTls(relay, { minVersion: version, maxVersion: version });
      expect(socket.getProtocol()).toBe(version);
      expect(await askUpgrade(socket, ['GET /healthz HTTP/1.1', 'Host: 127.0.0.1'])).toMatchObject({ status: 200 });
      const { status, text } = await askUpgrade(socket, linkRequest('client', relay.adminKey));
      expect(status, text).toBe(101);
      socket.destroy();
    }
  });

  it.each(['TLSv1', 'TLSv1.1'] as const)('is not %s, which a server that allowed it would speak', async (version) => {
    expect(await tryTls(relay.port, version)).toMatch(/ALERT_PROTOCOL_VERSION/);
    const pem = readFileSync(join(relay.dir, 'tls', 'relay.pem'));
    const allowing = createServer({
      key: pem,
      cert: pem,
      minVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0',
    }).listen(0, '127.0.0.1');
    await once(allowing, 'listening');
    expect(await tryTls((allowing.address() as { port: number }).port, version)).toBe(version);
    allowing.close();
  });
});

/** Who a runtime is, and its key, as a machine has them that was made from the same image. */
function readRuntime(dir: string): Pick<EnrolledRawDevice, 'identity' | 'apiKey'> {
  const read = (name: string) => JSON.parse(readFileSync(join(dir, name), 'utf8'));
  const { device_id: id, private_key, public_key: publicKey } = read('device.json') as Record<string, string>;
  const identity = {
    id: id as DeviceId,
    publicKey: publicKey!,
    privateKey: parsePrivateKey(private_key!)!,
    fingerprint: fingerprintOf(publicKey!),
  };
  return { identity, apiKey: read('credentials.json').device_credentials.api_key };
}

/** Keeps a device linked as a runtime does. */
function stayLinked(relay: TestRelay, device: EnrolledRawDevice, signal: AbortSignal): Promise<void> {
  const instance = createId<SessionId>();
  let current: RawDeviceLink;
  return keepLinked({
    dial: async () => {
      current = await linkDevice(relay, device.apiKey, { identity: device.identity, instance });
      return current.link;
    },
    serve: async () => {},
    onState: () => {},
    policy: createReconnectPolicy(Math.random),
    hopeless: new Set(['device_replaced', 'device_removed', 'key_revoked', 'proof_invalid']),
    signal,
  });
}

/** The version that was agreed on, or the code of what went wrong. */
async function tryTls(port: number, version: SecureVersion): Promise<string> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  try {
    await once(socket, 'secureConnect');
    return socket.getProtocol() ?? '';
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    socket.destroy();
  }
}
