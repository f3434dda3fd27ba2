import { join } from 'node:path';
import type { DeviceView } from '@towline/contract';
import { createTlsDial, createWebSocketDial } from '@towline/transport-tls/dial';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, isInstalled, startTinyproxy, type Tinyproxy } from './support/proxy-programs.ts';
import { linkClient } from './support/raw-client.ts';
import { inTime } from './support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

/** Where the proxies connect from, so that the relay tells who came through one. */
const PROXY_ADDRESS = '127.0.0.7';
const LOGIN = Object.freeze({ user: 'ada', password: 'lovelace-1815' });
const installed = isInstalled('tinyproxy');

describe.skipIf(!installed)(`behind an HTTP proxy${installed ? '' : ' (skipped: needs tinyproxy)'}`, () => {
  let system: TestSystem;
  let relay: TestRelay;
  let api: RelayApi;
  let proxy: Tinyproxy;
  /** One that asks for a password. */
  let guarded: Tinyproxy;
  beforeAll(async () => {
    system = createSystem();
    relay = await startRelayOn(join(system.dir, 'relay'));
    api = openApi(relay);
    proxy = await startTinyproxy(system.dir, { from: PROXY_ADDRESS });
    guarded = await startTinyproxy(system.dir, { from: PROXY_ADDRESS, login: LOGIN });
  });
  afterAll(async () => {
    api?.[Symbol.dispose]();
    await relay?.[Symbol.asyncDispose]();
    await system?.[Symbol.asyncDispose]();
    await proxy?.[Symbol.asyncDispose]();
    await guarded?.[Symbol.asyncDispose]();
  });

  const urlOf = ({ port }: Tinyproxy, login = '') => `http://${login}127.0.0.1:${port}`;
  const whoami = (env: Record<string, string>) => system.towline(relay, ['whoami'], { env });
  const show = async (name: string) => bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${name}`, { key: relay.adminKey }));
  const target = () => `127.0.0.1:${relay.port}`;

  describe('a device and its user', () => {
    let device: TestDevice;
    beforeAll(async () => {
      device = await system.enrolDevice(relay, { name: 'walled', args: ['--transport', 'tls'], env: { HTTPS_PROXY: urlOf(proxy) } });
    });

    it('meet through it, and every connection of the device is one that it made', async () => {
      const asked = proxy.targets().length;
      const { code, stdout } = await system.towline(relay, ['walled', 'exec', '--', 'echo', 'through'], {
        env: { HTTPS_PROXY: urlOf(proxy) },
      });
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'through\n' });
      expect(proxy.targets().length).toBeGreaterThan(asked);
      expect(new Set(proxy.targets())).toEqual(new Set([target()]));
      const { link, last_address } = await show('walled');
      expect([link?.address, link?.transport, last_address]).toEqual([PROXY_ADDRESS, 'tls', PROXY_ADDRESS]);
    });

    it('lose each other with it, and are back when it is', async () => {
      await proxy[Symbol.asyncDispose]();
      expect(await device.event('offline')).toMatchObject({ event: 'offline' });
      await eventually(async () => !(await show('walled')).online, 'the relay notices');
      proxy = await startTinyproxy(system.dir, { from: PROXY_ADDRESS, port: proxy.port });
      await device.event('online');
      expect((await show('walled')).link?.address).toBe(PROXY_ADDRESS);
    });
  });

  it.each([
    ['TLS', createTlsDial],
    ['WebSocket', createWebSocketDial],
  ] as const)('a link over %s goes through it, the look at a pinned certificate too', async (_name, createDial) => {
    const asked = proxy.targets().length;
    const transport = createDial({ environment: { HTTPS_PROXY: urlOf(proxy) }, warn: () => {} });
    await using client = await linkClient(relay, relay.adminKey, transport);
    expect(await client.open('nobody')).toBe('not_found');
    expect(proxy.targets().slice(asked)).toEqual([target(), target()]);
    expect(await client.link.ping(AbortSignal.timeout(5_000))).toBeGreaterThan(0);
  });

  it('lower case counts as well, and NO_PROXY goes around it', async () => {
    const asked = proxy.targets().length;
    expect((await whoami({ https_proxy: urlOf(proxy) })).code).toBe(0);
    const through = proxy.targets().length;
    expect(through).toBeGreaterThan(asked);
    for (const NO_PROXY of ['127.0.0.1', '*', '127.0.0.0/8', `127.0.0.1:${relay.port}`])
      expect((await whoami({ HTTPS_PROXY: urlOf(proxy), NO_PROXY })).code).toBe(0);
    expect((await whoami({ HTTP_PROXY: urlOf(proxy), ALL_PROXY: urlOf(proxy) })).code).toBe(0);
    expect(proxy.targets()).toHaveLength(through);
  });

  it('a password is sent to it, and shown nowhere', async () => {
    const right = await whoami({ HTTPS_PROXY: urlOf(guarded, `${LOGIN.user}:${LOGIN.password}@`) });
    expect(right).toMatchObject({ code: 0, stdout: expect.stringContaining('admin') });
    expect(right.stdout + right.stderr).not.toContain(LOGIN.password);
  });

  it('says that it wants a password, or that the one it got is wrong', async () => {
    const none = await whoami({ HTTPS_PROXY: urlOf(guarded) });
    expect(none).toMatchObject({ code: 1, stdout: '' });
    expect(none.stderr).toMatch(/The proxy 127\.0\.0\.1:\d+ asks for a user name and password .*USER:PASSWORD@HOST/s);
    const wrong = await system.towline(relay, ['-v', 'whoami'], { env: { HTTPS_PROXY: urlOf(guarded, 'ada:babbage-1791@') } });
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('does not accept the user name and password of HTTPS_PROXY');
    expect(wrong.stderr).not.toMatch(/babbage|YWRhO/);
    expect(guarded.program.stdout).not.toContain('twl_');
  });

  it('that refuses the port of the relay is named, with what to do', async () => {
    await using strict = await startTinyproxy(system.dir, { connectPort: 443 });
    const { code, stderr } = await whoami({ HTTPS_PROXY: urlOf(strict) });
    expect(code).toBe(1);
    expect(stderr).toMatch(/refuses to connect to 127\.0\.0\.1:\d+ \(status 403\).*NO_PROXY/s);
  });

  it('that finds no relay behind it says so', async () => {
    const gone: TestRelay = { ...relay, url: `https://127.0.0.1:${await freePort()}` };
    const { code, stderr } = await system.towline(gone, ['whoami'], { env: { HTTPS_PROXY: urlOf(proxy) } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/could not connect to 127\.0\.0\.1:\d+ \(status 50\d\).*Check the URL of the relay/s);
  });

  it('that is not there, or is no proxy, is named', async () => {
    const gone = await whoami({ HTTPS_PROXY: `http://127.0.0.1:${await freePort()}` });
    expect(gone.code).toBe(1);
    expect(gone.stderr).toMatch(/The proxy cannot be reached: .*refuses connections.*HTTPS_PROXY/s);
    const noProxy = await whoami({ HTTPS_PROXY: `http://127.0.0.1:${relay.port}` });
    expect(noProxy.code).toBe(1);
    expect(noProxy.stderr).toMatch(/The proxy 127\.0\.0\.1:\d+ /);
  });

  it('whose URL cannot be read is a fault of the setting, whose password is not repeated', async () => {
    const { code, stderr } = await whoami({ HTTPS_PROXY: 'socks5://ada:lovelace-1815@127.0.0.1:1080' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/HTTPS_PROXY begins with socks5:\/\//);
    expect(stderr).not.toContain('lovelace');
  });

  it('is not asked by a runtime that cannot read its URL, which says why and goes on trying', async () => {
    const device = system.startDevice(relay, { name: 'misled', env: { HTTPS_PROXY: 'http://127.0.0.1:0' } });
    await inTime(device.program.saw(/HTTPS_PROXY names the port 0/, 'stderr'), 'the runtime says why');
  });
});
