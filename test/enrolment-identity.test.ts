import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditView, DeviceView, ListView } from '@towline/contract';
import { createId, type DeviceId, type SessionId } from '@towline/protocol';
import { createQuicDial } from '@towline/transport-quic/dial';
import { createTlsDial } from '@towline/transport-tls/dial';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forwardFrom } from './support/forwarder.ts';
import { createKey } from './support/keys.ts';
import { createIdentity, dialDevice, type EnrolledRawDevice, enrolRawDevice, linkDevice, type Proof } from './support/raw-device.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const DIALLER = Object.freeze({ environment: {}, warn: () => {} });

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let fleetKey: string;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  api = openApi(relay);
  fleetKey = (await createKey(system, relay, ['--enrol', '--org', 'acme'])).key;
});
afterAll(async () => {
  // First: it ends every process, also when the rest was never made.
  await system[Symbol.asyncDispose]();
  api[Symbol.dispose]();
});

const recordsOf = async (device: string, action: string) =>
  bodyOf<ListView<AuditView>>(await api.call('GET', `/v1/audit?device=${device}&action=${action}`, { key: relay.adminKey })).items;
const deviceNamed = async (name: string) => bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${name}`, { key: relay.adminKey }));

describe('a device that lies about itself at the link', () => {
  let honest: EnrolledRawDevice;
  let other: EnrolledRawDevice;
  beforeAll(async () => {
    honest = await enrolRawDevice(api, { name: 'honest', owner: 'org:acme' });
    other = await enrolRawDevice(api, { name: 'other', owner: 'org:acme' });
  });

  const refusals = async () => {
    const path = `/v1/audit?action=device.refused&user=device:${honest.identity.id}`;
    return bodyOf<ListView<AuditView>>(await api.call('GET', path, { key: relay.adminKey })).items;
  };

  it.each<[string, () => Proof]>([
    ['the whole identity of another device', () => ({ identity: other.identity })],
    ['the id of another device, signed with its own key', () => ({ identity: honest.identity, device: other.identity.id })],
    ['its own id, signed with the key of another device', () => ({ identity: other.identity, device: honest.identity.id })],
    ['its own id, signed with a key that nobody knows', () => ({ identity: createIdentity(honest.identity.id) })],
    [
      'the id of another device over a proof of its own',
      () => ({ identity: honest.identity, device: other.identity.id, signedDevice: honest.identity.id }),
    ],
    ['an id that does not exist', () => ({ identity: honest.identity, device: createId<DeviceId>() })],
    ['a proof for another relay', () => ({ identity: honest.identity, relay: createId() })],
    ['a proof over another nonce', () => ({ identity: honest.identity, nonce: 'A'.repeat(32) })],
    ['a proof for another start of the runtime', () => ({ identity: honest.identity, signedInstance: createId<SessionId>() })],
  ])('is refused: %s', async (_what, lie) => {
    await using real = await linkDevice(relay, honest.apiKey, { identity: honest.identity });
    expect(real.answer).toMatchObject({ type: 'welcome' });
    const before = (await refusals()).length;
    await using liar = await linkDevice(relay, honest.apiKey, lie());
    expect(liar.answer, 'no welcome').toBeNull();
    expect(await liar.link.closed).toMatchObject({ code: 'proof_invalid', by: 'peer' });
    expect(await real.link.ping(AbortSignal.timeout(10_000)), 'the true one is not disturbed').toBeGreaterThan(0);
    expect(await refusals()).toHaveLength(before + 1);
  });

  it('is not let in without any proof, nor with another message in its place', async () => {
    const silent = await dialDevice(relay, honest.apiKey);
    silent.onStream((stream) => stream.on('error', () => {}).resume());
    const talker = await dialDevice(relay, honest.apiKey);
    talker.onStream((stream) => {
      stream.on('error', () => {}).resume();
      const text = Buffer.from(JSON.stringify({ type: 'journal', entries: [] }));
      stream.write(Buffer.concat([Buffer.from([0, 0, 0, text.length]), text]));
    });
    expect(await talker.closed).toMatchObject({ code: 'protocol_error', by: 'peer' });
    expect((await deviceNamed('honest')).online).toBe(false);
    expect(await silent.closed).toMatchObject({ code: 'timeout', by: 'peer' });
  });

  it.each([createTlsDial(DIALLER), createQuicDial(DIALLER)])(
    'is refused nothing when it only leaves, as the slower of two ways is left: $name',
    async (transport) => {
      const before = (await refusals()).length;
      const left = await dialDevice(relay, honest.apiKey, transport);
      left.onStream((stream) => stream.on('error', () => {}).resume());
      await left.close('link_closed', 'Another transport was faster.');
      const told = new RegExp(`"device":"${honest.identity.id}".*"transport":"${transport.name}".*was over before its device had proved`);
      await relay.program.saw(told, 'stderr');
      expect(await refusals()).toHaveLength(before);
    },
  );

  it('cannot use the credential of another device, whose key it does not hold', async () => {
    await using thief = await linkDevice(relay, other.apiKey, { identity: honest.identity });
    expect(thief.answer).toBeNull();
    expect(await thief.link.closed).toMatchObject({ code: 'proof_invalid' });
  });
});

describe('one runtime that connects again', () => {
  it('takes its own place quietly: no alarm of two machines', async () => {
    const { identity, apiKey } = await enrolRawDevice(api, { name: 'again', owner: 'org:acme' });
    const instance = createId<SessionId>();
    await using first = await linkDevice(relay, apiKey, { identity, instance });
    await using second = await linkDevice(relay, apiKey, { identity, instance });
    expect(await first.link.closed, 'no reason to stop for good').toMatchObject({ code: 'device_lost' });
    expect(second.answer).toMatchObject({ type: 'welcome' });
    expect((await deviceNamed('again')).online).toBe(true);
    expect(await recordsOf(identity.id, 'device.replaced')).toEqual([]);
  });
});

describe('two runtimes with one identity', () => {
  const start = (name: string, dir?: string): TestDevice =>
    system.startDevice(relay, {
      name,
      org: 'acme',
      env: { TOWLINE_API_KEY: dir === undefined ? fleetKey : undefined, ...(dir === undefined ? {} : { TOWLINE_CONFIG_DIR: dir }) },
    });

  it('on one machine: the second says so and stops, the first is not disturbed', async () => {
    const first = start('single');
    await first.event('online');
    const second = start('single');
    const { code, stderr } = await second.program.finished;
    expect(code).toBe(1);
    expect(stderr).toContain('A runtime is running with these files already.');
    expect(stderr, 'it names the other').toContain(String(first.program.pid));
    const { stdout } = await system.towline(relay, ['single', 'exec', '--', 'echo', 'still here']);
    expect(stdout).toBe('still here\n');
    expect(first.program.stdout).not.toContain('"offline"');
    expect(await recordsOf((await deviceNamed('single')).id, 'device.replaced')).toEqual([]);
  });

  it('on two machines: the newer replaces the older, which says why and stops; the trail has both addresses', async () => {
    const older = start('cloned');
    await older.event('online');
    await using way = await forwardFrom('127.0.0.9', relay.port);
    const dir = join(system.dir, 'clone');
    mkdirSync(dir, { mode: 0o700 });
    const copy = (file: string) =>
      writeFileSync(join(dir, file), readFileSync(join(older.dir, file), 'utf8').replaceAll(`:${relay.port}`, `:${way.port}`), {
        mode: 0o600,
      });
    copy('device.json');
    copy('credentials.json');

    const url = `https://127.0.0.1:${way.port}`;
    const newer = system.startDevice(
      { ...relay, url },
      // The other way is one for TCP.
      { name: 'cloned', org: 'acme', args: ['--transport', 'tls'], env: { TOWLINE_CONFIG_DIR: dir } },
    );
    await newer.event('online');
    const stopped = await older.event('stopped');
    expect(stopped).toMatchObject({ code: 'device_replaced' });
    expect(stopped.message).toContain('127.0.0.9');
    const { code, stderr } = await older.program.finished;
    expect(code).toBe(1);
    expect(stderr, 'what to do').toContain('delete device.json on one');

    const { id, online, link } = await deviceNamed('cloned');
    expect({ online, address: link?.address }).toEqual({ online: true, address: '127.0.0.9' });
    const records = await eventually(async () => {
      const found = await recordsOf(id, 'device.replaced');
      return found.length > 0 && found;
    }, 'the replacement is recorded');
    expect(records).toMatchObject([{ detail: { old_address: '127.0.0.1', new_address: '127.0.0.9' } }]);
    expect((await system.towline(relay, ['cloned', 'exec', '--', 'echo', 'newer'])).stdout).toBe('newer\n');
  });
});
