import { mkdtempSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeviceView } from '@towline/contract';
import { createLink, requestUpgrade } from '@towline/link';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linkClient } from '../../../test/support/raw-client.ts';
import { type EnrolledRawDevice, enrolRawDevice } from '../../../test/support/raw-device.ts';
import { inTime, linkRequest, openTls, whenOver } from '../../../test/support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from '../../../test/support/relay-api.ts';
import { endRelay, startRelayOn } from '../../../test/support/relay-process.ts';
import { storedTrail } from '../../../test/support/stored.ts';
import { eventually, type TestRelay } from '../../../test/support/system.ts';
import { logInAs } from './raw-login.ts';
import { createSideSite, type SideSite } from './side-transport.ts';
import { fetchText } from './text-answer.ts';

/** Strangers have 5 s; the rest is room for a loaded machine. */
const STRANGER_MS = 10_000;
const OWNER = 'user:admin@example.com';

let dir: string;
let site: SideSite;
let relay: TestRelay;
let api: RelayApi;
let device: EnrolledRawDevice;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'towline-door-'));
  // The proxies that are trusted on the port of the API, one of which calls at the side port as well.
  site = createSideSite(dir, {}, ['server: { trusted_proxies: ["127.0.0.1", "198.51.100.1"] }']);
  relay = await startRelayOn(join(dir, 'data'), { config: site.config });
  api = openApi(relay);
  device = await enrolRawDevice(api, { name: 'pi', owner: OWNER });
});
afterAll(async () => {
  await relay?.[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
  rmSync(dir, { recursive: true, force: true });
});

const request = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
const forDevice = (key: string | null, ...more: string[]) => request(...linkRequest('device', key), ...more);

/** Everything that comes until the connection is over. */
async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  await inTime(whenOver(socket), 'the end of the connection');
  return text;
}

const ask = async (address: string, text: string) => readAll(await site.dial(address, text));
const refusals = (address: string) =>
  storedTrail(relay.dir).filter((record) => record.action === 'auth.refused' && record.address === address).length;

/** A device's link by the side port, made by the same code as any other. */
async function dialSide(address: string, apiKey: string) {
  const socket = await site.dial(address);
  const upgrade = { relay: new URL('https://relay.invalid'), role: 'device', credential: { header: 'X-API-Key', value: apiKey } } as const;
  return createLink(await requestUpgrade(socket, upgrade, AbortSignal.timeout(10_000)), { role: 'acceptor' });
}

describe('a link by a transport with a listener of its own', () => {
  it('is a link like any other, of the address that the transport named', async () => {
    await using link = await logInAs(await dialSide('203.0.113.9', device.apiKey), {
      identity: device.identity,
      transportNote: 'UDP is filtered',
    });
    const shown = bodyOf<DeviceView>(await api.call('GET', '/v1/devices/pi', { key: relay.adminKey }));
    expect(shown).toMatchObject({ online: true, link: { transport: 'side', transport_note: 'UDP is filtered', address: '203.0.113.9' } });
    await using client = await linkClient(relay, relay.adminKey);
    expect(await client.open('pi')).toBe('accepted');
    expect(link.openings).toHaveLength(1);
    await link.link.close('link_closed');
    const { last_address } = await eventually(async () => {
      const view = bodyOf<DeviceView>(await api.call('GET', '/v1/devices/pi', { key: relay.adminKey }));
      return view.online ? null : view;
    }, 'the device is offline');
    expect(last_address).toBe('203.0.113.9');
  });

  it('is told the port of the API that is bound, and may take it for another protocol', () => {
    expect(site.told()).toContain(`listen ${JSON.stringify({ host: '127.0.0.1', port: relay.port, tls: true })}`);
  });

  it('carries its listener’s name in the figures, and the listener’s own beside it', async () => {
    await using link = await logInAs(await dialSide('203.0.113.9', device.apiKey), { identity: device.identity });
    const text = await eventually(async () => {
      const metrics = await metricsText();
      return metrics.includes('towline_links{kind="device",transport="side"} 1') ? metrics : null;
    }, 'the link is counted');
    expect(text).toContain('towline_transport_up{transport="side"} 1');
    expect(text).toMatch(/^towline_transport_open\{transport="side"\} [1-9]/m);
    expect(text).toContain('# TYPE towline_transport_accepted_total counter');
    expect(text).not.toMatch(/no metric|endless|203\.0\.113/);
    expect(link.link.stats.openStreams).toBe(1);
  });
});

const metricsText = async () => (await fetchText(relay, '/metrics')).text;

describe('a connection that a transport hands over', () => {
  it.each([
    ['another path', request('GET /v1/devices HTTP/1.1', 'Host: x', 'Connection: close'), 404],
    ['another path, with an upgrade', request('GET /healthz HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: towline/1'), 404],
    ['the figures', request('GET /metrics HTTP/1.1', 'Host: x'), 404],
    ['another method', request('POST /v1/links/device HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: towline/1'), 404],
    [
      'a path that only means the same',
      request('GET /v1/links/../links/device HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: towline/1'),
      404,
    ],
    ['a link without an upgrade', request('GET /v1/links/device HTTP/1.1', 'Host: x'), 400],
    [
      'a body, announced with an expectation',
      request('POST /v1/registrations HTTP/1.1', 'Host: x', 'Content-Length: 9', 'Expect: 100-continue'),
      404,
    ],
    ['an expectation that nobody knows', request('GET /v1/links/device HTTP/1.1', 'Host: x', 'Expect: miracles'), 400],
    ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n\r\n', 400],
    ['a head without end', `GET /v1/links/device HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(20_000)}`, 431],
    ['no credential', forDevice(null), 401],
    ['a false credential', forDevice(`twl_d_${'0'.repeat(16)}_${'0'.repeat(64)}`), 401],
    ['the credential of another kind', () => forDevice(relay.adminKey), 401],
    ['two credentials', () => forDevice(device.apiKey, 'X-API-Key: other'), 400],
    ['a page of another site', () => forDevice(device.apiKey, 'Origin: https://evil.example'), 403],
  ])('is refused in words, and closed: %s', async (_what, text, status) => {
    const answer = await ask('203.0.113.20', typeof text === 'string' ? text : text());
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    const body = answer.slice(answer.indexOf('\r\n\r\n') + 4);
    expect(JSON.parse(body)).toMatchObject({ error: { code: expect.stringMatching(/^[a-z_]+$/), message: expect.stringMatching(/./) } });
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  it('serves one request: what is sent behind the first is not looked at', async () => {
    const first = request('GET /v1/links/device HTTP/1.1', 'Host: x');
    for (const second of [first, forDevice(device.apiKey), request('GET /healthz HTTP/1.1', 'Host: x')]) {
      const answer = await ask('203.0.113.21', first + second);
      expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    }
  });

  it('takes what comes behind an upgrade for bytes of the link, never for a request', async () => {
    const answer = await ask('203.0.113.22', forDevice(device.apiKey) + request('GET /healthz HTTP/1.1', 'Host: x'));
    expect(answer).toMatch(/^HTTP\/1\.1 101 /);
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });

  it('goes by the address that the transport named, whatever is forwarded in the request', async () => {
    const forged = ['X-Forwarded-For: 192.0.2.66', 'Forwarded: for=192.0.2.66', 'X-Real-IP: 192.0.2.66'];
    const key = `twl_d_${'1'.repeat(16)}_${'0'.repeat(64)}`;
    // The second is a proxy that is trusted on the port of the API.
    for (const address of ['203.0.113.30', '198.51.100.1']) {
      await ask(address, forDevice(key, ...forged));
      await eventually(async () => refusals(address) === 1, `a refusal of ${address} is on record`);
    }
    expect(refusals('192.0.2.66')).toBe(0);
    expect(refusals('127.0.0.1')).toBe(0);
  });

  it('cannot ask a listener for its own upgrade on the port of the API', async () => {
    const answer = await api.call('GET', '/v1/links/device', { key: device.apiKey, headers: { connection: 'Upgrade', upgrade: 'side/1' } });
    expect(answer).toMatchObject({ status: 400, code: 'protocol_error' });
  });

  it('of no address is closed, and the relay says which transport is at fault', async () => {
    expect(await ask('nowhere', forDevice(device.apiKey))).toBe('');
    await relay.program.saw(/a transport named no address/, 'stderr');
  });

  it('that says its request letter by letter is closed at the deadline of strangers', async () => {
    const socket = await site.dial('203.0.113.40');
    const over = whenOver(socket);
    const begun = performance.now();
    const letters = [...forDevice(device.apiKey)];
    const drip = setInterval(() => socket.write(letters.shift() ?? ''), 200);
    await inTime(over, 'the slow connection is over', STRANGER_MS);
    clearInterval(drip);
    expect(performance.now() - begun).toBeGreaterThan(3_000);
  });

  it('that breaks in the middle of its request, or of its answer, hurts nobody', async () => {
    for (const text of ['GET /v1/li', forDevice(device.apiKey), `${forDevice(device.apiKey)}\u0000\u0001`]) {
      const socket = await site.dial('203.0.113.41', text);
      socket.resetAndDestroy();
    }
    const half = await site.dial('203.0.113.41', 'GET /v1/links/device HTTP/1.1\r\n');
    half.end();
    await inTime(whenOver(half), 'the half closed connection is over', STRANGER_MS);
    expect((await fetchText(relay, '/readyz')).status).toBe(200);
  });

  it('in a thousand that say nothing: all are closed in time, and a device comes in meanwhile', async () => {
    const idle: Socket[] = [];
    for (let batch = 0; batch < 10; batch += 1) {
      idle.push(...(await Promise.all(Array.from({ length: 100 }, (_, at) => site.dial(`203.0.113.${at + 100}`, 'GET')))));
    }
    await using link = await logInAs(await dialSide('203.0.113.50', device.apiKey), { identity: device.identity });
    expect(link.answer).toMatchObject({ type: 'welcome' });
    await inTime(Promise.all(idle.map(whenOver)), 'all idle connections are over', STRANGER_MS);
    await eventually(async () => /^towline_transport_open\{transport="side"\} 1$/m.test(await metricsText()), 'only the link is left');
  });
});

describe('the port of the API', () => {
  it('closes a connection that asks for a link behind a request that waits for its answer, and lives', async () => {
    for (const first of ['GET /readyz', 'GET /v1/devices', 'GET /nothing']) {
      const socket = await openTls(relay);
      socket.write(request(`${first} HTTP/1.1`, 'Host: x') + forDevice(device.apiKey));
      const answer = await readAll(socket);
      expect(answer.match(/HTTP\/1\.1 101/g)).toBeNull();
    }
    expect((await fetchText(relay, '/readyz')).status).toBe(200);
  });
});

describe('SIGHUP', () => {
  it('hands a renewed certificate to the listener too', async () => {
    const before = site.told().filter((line) => line.startsWith('renewed')).length;
    // Then the relay makes itself another leaf.
    rmSync(join(relay.dir, 'tls', 'relay.pem'));
    relay.program.child.kill('SIGHUP');
    await eventually(async () => site.told().filter((line) => line.startsWith('renewed')).length > before, 'the listener has it');
  });
});

describe('a relay that stops', () => {
  it('lets its links take leave through the listener, and closes that afterwards', async () => {
    const link = await logInAs(await dialSide('203.0.113.60', device.apiKey), { identity: device.identity });
    const [{ code }, end, goodbye] = await Promise.all([endRelay(relay, 'SIGTERM'), link.link.closed, link.goodbye]);
    expect(code).toBe(0);
    expect(end).toMatchObject({ code: 'unavailable', by: 'peer' });
    expect(goodbye).toMatchObject({ type: 'goodbye', code: 'unavailable', message: 'The relay is stopping.' });
    expect(site.told().slice(-2)).toEqual([expect.stringMatching(/^closed/), 'disposed']);
  });
});
