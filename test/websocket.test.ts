import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ByteStream, DeviceView, DialTransport } from '@towline/contract';
import { fingerprintOfKey, readMessage } from '@towline/link';
import { clientOpen, createId, openAnswer, type SessionId } from '@towline/protocol';
import { createTlsDial, createWebSocketDial } from '@towline/transport-tls/dial';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeAuthority, makeLeaf } from './support/openssl.ts';
import { isInstalled, type Nginx, startNginx } from './support/proxy-programs.ts';
import { linkClient } from './support/raw-client.ts';
import { dialDevice, type EnrolledRawDevice, enrolRawDevice, linkDevice } from './support/raw-device.ts';
import { askUpgrade, inTime, openTls, whenOver } from './support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { startRelayOn } from './support/relay-process.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

/** Where nginx connects from: the only proxy that the relay trusts. */
const PROXY_ADDRESS = '127.0.0.9';
const nginxInstalled = isInstalled('nginx');
const host = { environment: {}, warn: () => {} };
const websocket = createWebSocketDial(host);
const tls = createTlsDial(host);

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
beforeAll(async () => {
  system = createSystem();
  const config = join(system.dir, 'relay.yaml');
  writeFileSync(config, `server: { trusted_proxies: ["${PROXY_ADDRESS}/32"] }\n`);
  relay = await startRelayOn(join(system.dir, 'relay'), { config });
  api = openApi(relay);
});
afterAll(async () => {
  api?.[Symbol.dispose]();
  await relay?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

const enrol = (name: string) => enrolRawDevice(api, { name, owner: 'user:admin@example.com' });
const show = async (name: string) => bodyOf<DeviceView>(await api.call('GET', `/v1/devices/${name}`, { key: relay.adminKey }));
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** A device that is linked by this transport, and gives back what a client sends it on a stream. */
async function carryThrough(at: TestRelay, device: EnrolledRawDevice, transport: DialTransport): Promise<void> {
  const linked = await linkDevice(at, device.apiKey, { identity: device.identity, transport });
  expect(linked.answer).toMatchObject({ type: 'welcome' });
  expect((await show(device.request.name)).link).toMatchObject({ transport: transport.name, address: '127.0.0.1' });
  await using client = await linkClient(at, relay.adminKey, transport);
  const stream = await openStream(client.link.openStream.bind(client.link), device.request.name);
  await eventually(async () => linked.openings.length === 1, 'the opening reaches the device');
  const far = linked.openings[0]!.stream;
  far.removeAllListeners('data');
  far.pipe(far);
  const sent = randomBytes(5_000_000);
  const got: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => got.push(chunk));
  stream.end(sent);
  await inTime(once(stream, 'end'), 'the bytes come back');
  expect(sha256(Buffer.concat(got))).toBe(sha256(sent));
  await linked[Symbol.asyncDispose]();
}

async function openStream(open: (head: Uint8Array) => ByteStream, device: string): Promise<ByteStream> {
  const body = { argv: ['true'], stdin: false };
  const stream = open(clientOpen.encode({ device, session: createId<SessionId>(), protocol: '/exec/1', body }));
  const answer = openAnswer.decode(await readMessage(stream, 262_144, AbortSignal.timeout(10_000)));
  expect(answer).toMatchObject({ status: 'accepted' });
  return stream;
}

describe('a WebSocket link', () => {
  it('carries streams between client and device, and the relay names the transport', async () => {
    await carryThrough(relay, await enrol('direct'), websocket);
  });

  it.each(['device', 'client'] as const)('is refused to a %s as any other is', async (role) => {
    const dial = role === 'device' ? dialDevice(relay, 'twl_d_none', websocket) : linkClient(relay, 'twl_u_none', websocket);
    await expect(dial).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  const request = (changes: Readonly<Record<string, string>> = {}) =>
    Object.entries({
      Host: `127.0.0.1:${relay.port}`,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
      'Sec-WebSocket-Protocol': 'towline.1',
      'X-API-Key': relay.adminKey,
      ...changes,
    }).map(([name, value]) => `${name}: ${value}`);
  const ask = async (changes: Readonly<Record<string, string>>) => {
    const socket = await openTls(relay);
    const answer = await askUpgrade(socket, ['GET /v1/links/client HTTP/1.1', ...request(changes)]);
    socket.destroy();
    return answer;
  };

  it('is not opened on behalf of a page of another site, nor under a version that names the page elsewhere', async () => {
    expect((await ask({})).status).toBe(101);
    expect((await ask({ Origin: `https://127.0.0.1:${relay.port}` })).status).toBe(101);
    for (const origin of ['https://evil.example.com', `https://127.0.0.1.evil.example.com:${relay.port}`, 'https://127.0.0.1', 'null', ''])
      expect(await ask({ Origin: origin })).toMatchObject({ status: 403, text: expect.stringContaining('another site') });
    expect((await ask({ 'Sec-WebSocket-Version': '8', 'Sec-WebSocket-Origin': 'https://evil.example.com' })).status).toBe(400);
  });

  it('is not opened without our subprotocol', async () => {
    for (const subprotocol of ['', 'chat', 'towline.2'])
      expect(await ask({ 'Sec-WebSocket-Protocol': subprotocol })).toMatchObject({
        status: 400,
        text: expect.stringContaining('towline.1'),
      });
  });

  it('that is half asked for is not waited for', async () => {
    const socket = await openTls(relay);
    socket.write(`GET /v1/links/client HTTP/1.1\r\n${request().slice(0, 4).join('\r\n')}\r\n`);
    await inTime(whenOver(socket), 'the relay hangs up', 15_000);
  });
});

describe.skipIf(!nginxInstalled)(`behind nginx that passes on WebSockets alone${nginxInstalled ? '' : ' (skipped: needs nginx)'}`, () => {
  let nginx: Nginx;
  let refusing: TestRelay;
  let stripping: TestRelay;
  beforeAll(async () => {
    const authority = await makeAuthority(system.dir, 'nginx-ca');
    const { cert, key } = await makeLeaf(system.dir, 'nginx', { by: authority });
    const chain = join(system.dir, 'nginx-chain.pem');
    writeFileSync(chain, readFileSync(cert, 'utf8') + readFileSync(authority.cert, 'utf8'));
    nginx = await startNginx(system.dir, { upstreamPort: relay.port, certificate: { cert: chain, key }, from: PROXY_ADDRESS });
    const fingerprint = fingerprintOfKey(new X509Certificate(readFileSync(authority.cert)));
    const at = (port: number): TestRelay => ({ ...relay, url: `https://127.0.0.1:${port}`, port, fingerprint });
    [refusing, stripping] = [at(nginx.refusingPort), at(nginx.strippingPort)];
  });
  afterAll(() => nginx?.[Symbol.asyncDispose]());

  it('a bare upgrade is refused, and the dialler says that no relay answers there', async () => {
    const { apiKey } = await enrol('refused');
    await expect(dialDevice(refusing, apiKey, tls)).rejects.toMatchObject({
      code: 'relay_not_towline',
      message: expect.stringContaining('status 403 with text/html'),
    });
  });

  it('a bare upgrade whose headers were taken out is refused by the relay', async () => {
    const { apiKey } = await enrol('stripped');
    await expect(dialDevice(stripping, apiKey, tls)).rejects.toMatchObject({ code: 'protocol_error' });
  });

  it.each(['refusing', 'stripping'])(
    'a WebSocket passes, streams work, and the address is that of the peer and not of nginx (%s)',
    async (how) => {
      await carryThrough(how === 'refusing' ? refusing : stripping, await enrol(`through-${how}`), websocket);
    },
  );

  it('what the relay refuses arrives in its own words', async () => {
    await expect(dialDevice(refusing, 'twl_d_none', websocket)).rejects.toMatchObject({ code: 'unauthenticated' });
  });

  it('a link is lost when nginx goes, and says so', async () => {
    const device = await enrol('cut');
    const linked = await linkDevice(refusing, device.apiKey, { identity: device.identity, transport: websocket });
    await nginx[Symbol.asyncDispose]();
    expect(await inTime(linked.link.closed, 'the device notices')).toMatchObject({ code: 'link_lost', by: 'lost' });
    await eventually(async () => !(await show('cut')).online, 'the relay notices');
  });
});
