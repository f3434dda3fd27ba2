import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceView } from '@towline/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchText } from '../core/kernel/test/text-answer.ts';
import { inTime } from './support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** A device is back within this after its edge has gone, milliseconds: 15 s are promised for a way that is cut. */
const BACK_MS = 15_000;

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  api = openApi(relay);
});
afterAll(async () => {
  api?.[Symbol.dispose]();
  await system?.[Symbol.asyncDispose]();
});

const show = async (name: string) => bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${name}`, { key: relay.adminKey }));
const transportOf = async (name: string) => (await show(name)).link?.transport ?? null;
const edgePid = () => (JSON.parse(readFileSync(join(relay.dir, 'quic-edge.json'), 'utf8')) as { pid: number }).pid;
const readiness = async () =>
  bodyOf<{ transports?: Record<string, { status: string }> }>(await api.call('GET', '/readyz')).transports?.quic?.status;

/** Starts a device that only knows one way. */
function enrol(name: string, transport: string): Promise<TestDevice> {
  return system.enrolDevice(relay, { name, args: ['--transport', transport] });
}

describe('a device over QUIC', () => {
  it('serves commands and carries bytes both ways, and is shown with its transport', async () => {
    await enrol('quick', 'quic');
    expect(await transportOf('quick')).toBe('quic');
    const input = Buffer.alloc(3_000_000, 'towline over quic ');
    const { code, stdout } = await system.towline(relay, ['quick', 'exec', '-i', '--', 'sha256sum'], { stdin: input });
    expect(code).toBe(0);
    expect(stdout.split(' ')[0]).toBe(createHash('sha256').update(input).digest('hex'));
    const bulk = await system.towline(
      relay,
      ['quick', 'exec', '--', 'sh', '-c', 'head -c 20000000 /dev/zero | tee /dev/stderr | sha256sum'],
      {},
    );
    expect(bulk.code).toBe(0);
    expect(bulk.stderr.length).toBe(20_000_000);
    const failed = await system.towline(relay, ['quick', 'exec', '--', 'sh', '-c', 'exit 41']);
    expect(failed.code).toBe(41);
  });

  it('a user may come over QUIC as well', async () => {
    const done = await system.towline(relay, ['--transport', 'quic', 'quick', 'exec', '--', 'echo', 'over quic twice']);
    expect(done).toMatchObject({ code: 0, stdout: 'over quic twice\n' });
  });

  it('records and shows the address of the device, not that of the edge', async () => {
    expect((await show('quick')).link?.address).toBe('127.0.0.1');
  });

  it('a wrong key is refused as over TLS, and the device is told why', async () => {
    const key = `twl_u_${'0'.repeat(80)}`;
    const over = async (transport: string) => {
      const { code, stderr } = await system.towline(relay, ['--transport', transport, 'quick', 'exec', '--', 'true'], { key });
      return { code, stderr };
    };
    expect(await over('quic')).toEqual(await over('tls'));
  });

  it('removed, it is told so and stops', async () => {
    const device = await enrol('gone', 'quic');
    expect(await system.towline(relay, ['devices', 'remove', 'gone'])).toMatchObject({ code: 0 });
    const stopped = await device.event('stopped');
    expect(stopped.code).toBe('device_removed');
  });
});

describe('the ladder', () => {
  it('takes QUIC where it works, and says nothing of the others', async () => {
    await system.enrolDevice(relay, { name: 'best' });
    const { link } = await show('best');
    expect(link).toMatchObject({ transport: 'quic' });
    expect(link?.transport_note).toBeUndefined();
  });

  it('each transport can be fixed', async () => {
    await enrol('fixed-tls', 'tls');
    await enrol('fixed-websocket', 'websocket');
    expect(await transportOf('fixed-tls')).toBe('tls');
    expect(await transportOf('fixed-websocket')).toBe('websocket');
    const done = await system.towline(relay, ['fixed-websocket', 'exec', '--', 'echo', 'in a websocket']);
    expect(done).toMatchObject({ code: 0, stdout: 'in a websocket\n' });
  });
});

describe('the edge process', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    '%s: links over TLS do not notice, readiness tells, and devices are back over QUIC by themselves',
    async (signal) => {
      const beside = system.startTowline(relay, [
        'fixed-tls',
        'exec',
        '--',
        'sh',
        '-c',
        'for i in $(seq 60); do echo $i; sleep 0.25; done',
      ]);
      await beside.saw(/^1$/m);
      const pid = edgePid();
      process.kill(pid, signal);
      await eventually(async () => (await readiness()) === 'down', 'readiness tells', BACK_MS);
      await eventually(async () => (await readiness()) === 'up' && edgePid() !== pid, 'another edge serves', BACK_MS);
      expect(await transportOf('fixed-tls')).toBe('tls');
      await eventually(async () => (await transportOf('quick')) === 'quic', 'the device is back', 20_000);
      const { code, stdout } = await inTime(beside.finished, 'the session beside');
      expect({ code, lines: stdout.split('\n').length - 1 }).toEqual({ code: 0, lines: 60 });
      const done = await system.towline(relay, ['quick', 'exec', '--', 'echo', 'again']);
      expect(done).toMatchObject({ code: 0, stdout: 'again\n' });
      expect(existsSync(`/proc/${pid}`)).toBe(false);
      expect((await fetchText(relay, '/metrics')).text).toMatch(/^towline_transport_restarts_total\{transport="quic"\} [1-9]/m);
    },
    90_000,
  );
});
