import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readMessage } from '@towline/link';
import {
  type ClientSession,
  clientOpen,
  createClientSession,
  createId,
  type JsonObject,
  MAX_CONTROL_MESSAGE,
  openAnswer,
  type SessionId,
} from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { echoTcp, echoUdp, roundTrip, serveTcp, startForward } from './support/forwarding.ts';
import { createKey } from './support/keys.ts';
import { STEP_MS } from './support/process.ts';
import { linkClient, type RawClient } from './support/raw-client.ts';
import { createSystem, eventually, type TestDevice, type TestRelay, type TestSystem } from './support/system.ts';

const LIMIT = 20;
/** Of as many one user gets three quarters. */
const SHARE = 15;

let system: TestSystem;
let relay: TestRelay;
let device: TestDevice;
let client: RawClient;
let amy: RawClient;
beforeAll(async () => {
  system = createSystem();
  relay = await system.startRelay();
  device = await system.enrolDevice(relay);
  await device[Symbol.asyncDispose]();
  writeFileSync(join(device.dir, 'device.yaml'), `limits: { connections: ${LIMIT} }\n`, { mode: 0o600 });
  device = system.startDevice(relay);
  await device.event('online');
  client = await linkClient(relay, relay.adminKey);
  expect((await system.towline(relay, ['devices', 'share', 'pi', 'user:amy@example.com', '--role', 'operator'])).code).toBe(0);
  amy = await linkClient(relay, (await createKey(system, relay, ['--email', 'amy@example.com'])).key);
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await amy?.[Symbol.asyncDispose]();
  await system[Symbol.asyncDispose]();
});

/** Opens a target as no program of ours would; answers the session, or the code of the refusal. */
async function open(body: JsonObject, { link }: RawClient = client): Promise<ClientSession | string> {
  const session = createId<SessionId>();
  const stream = link.openStream(clientOpen.encode({ protocol: '/forward/1', device: 'pi', session, body }));
  stream.on('error', () => {});
  const answer = openAnswer.decode(await readMessage(stream, MAX_CONTROL_MESSAGE, AbortSignal.timeout(STEP_MS)));
  return answer.status === 'accepted' ? createClientSession(stream, session) : answer.code;
}
const openTcp = (port: number, by?: RawClient) => open({ target: { kind: 'tcp', host: '127.0.0.1', port } }, by);
const openSessions = async () => {
  const { stdout } = await system.towline(relay, ['--json', 'pi', 'sessions']);
  return (JSON.parse(stdout) as { items: unknown[] }).items.length;
};
const worksFor = async (port: number) => {
  await using forward = await startForward(system, relay, [`0:${port}`]);
  return await roundTrip(forward.ports[0]!, 'honest');
};

describe('a client that means harm to the device', () => {
  it('gets its share of the connections that the device allows, on however many links, which leaves those of others, shells and commands alone; their places come back', async () => {
    await using server = await echoTcp();
    await using second = await linkClient(relay, relay.adminKey);
    const opened: (ClientSession | string)[] = [];
    for (let at = 0; at < LIMIT + 5; at += 1) opened.push(await openTcp(server.port, at % 2 === 0 ? client : second));
    const sessions = opened.filter((each) => typeof each !== 'string');
    expect(sessions).toHaveLength(SHARE);
    expect(new Set(opened.filter((each) => typeof each === 'string'))).toEqual(new Set(['session_limit']));
    expect(server.sockets.size).toBe(SHARE);
    expect((await system.towline(relay, ['pi', 'exec', '--', 'true'])).code).toBe(0);
    const others = [await openTcp(server.port, amy), await openTcp(server.port, amy)];
    expect(others.map((each) => typeof each)).toEqual(['object', 'object']);
    expect(await openTcp(server.port)).toBe('session_limit');
    for (const session of [...sessions, ...(others as ClientSession[])]) session.cancel();
    await eventually(async () => server.sockets.size === 0, 'the connections are gone');
    expect(await worksFor(server.port)).toBe('honest');
  });

  it('leaves nothing open by opening hundreds and leaving at once', async () => {
    await using server = await echoTcp();
    for (let at = 0; at < 300; at += 1) {
      const body = { target: { kind: 'tcp', host: '127.0.0.1', port: server.port } };
      const stream = client.link.openStream(
        clientOpen.encode({ protocol: '/forward/1', device: 'pi', session: createId<SessionId>(), body }),
      );
      stream.on('error', () => {});
      if (at % 2 === 0) stream.destroy();
      else setTimeout(() => stream.destroy(), at % 20);
    }
    await eventually(async () => (await openSessions()) === 0 && server.sockets.size === 0, 'everything is over');
    expect(await worksFor(server.port)).toBe('honest');
  });

  it('cannot make it hold much for a target that does not read', async () => {
    await using server = await serveTcp((socket) => void socket.pause());
    const before = residentMiB();
    const piece = Buffer.alloc(65_536);
    const sessions = await Promise.all(Array.from({ length: SHARE }, () => openTcp(server.port)));
    for (const session of sessions as ClientSession[]) {
      const output = session.output(0);
      const more = () => {
        while (!output.destroyed && output.write(piece));
      };
      output.on('drain', more);
      more();
    }
    await new Promise((later) => setTimeout(later, 3_000));
    expect(residentMiB() - before).toBeLessThan(160);
    for (const session of sessions as ClientSession[]) session.cancel();
    await eventually(async () => (await openSessions()) === 0, 'the connections are gone');
  });

  it('ends its own flow with what is no datagram', async () => {
    await using server = await echoUdp();
    const target = { kind: 'udp', host: '127.0.0.1', port: server.port };
    const session = (await open({ target })) as ClientSession;
    session.output(0).write(Buffer.from([0xff, 0xff, 1, 2, 3]));
    expect(await session.result).toMatchObject({ reason: 'failed', code: 'protocol_error' });
    const honest = (await open({ target })) as ClientSession;
    const answer = new Promise((resolve) => honest.input(0).once('data', resolve));
    honest.output(0).write(Buffer.from([0, 2, 104, 105]));
    expect(String(await answer)).toBe('\0\u0002hi');
    honest.output(0).end();
    expect(await honest.result).toEqual({ reason: 'ended' });
  });

  it.each([
    ['nothing', {}],
    ['a number for a host', { target: { kind: 'tcp', host: 7, port: 80 } }],
    ['a port that is none', { target: { kind: 'tcp', host: 'localhost', port: 65_536 } }],
    ['a kind that is none', { target: { kind: 'icmp', host: 'localhost', port: 1 } }],
    ['a target and a question', { target: { kind: 'tcp', host: 'localhost', port: 80 }, check: [] }],
    ['a relative path', { target: { kind: 'unix', path: 'run/a.sock' } }],
    ['a path that climbs', { target: { kind: 'unix', path: '/run/../etc/a.sock' } }],
    ['a path with a NUL', { target: { kind: 'unix', path: '/run/a\0.sock' } }],
    ['all ports of many hosts', { check: Array.from({ length: 64 }, () => ({ kind: 'tcp', host: 'a', port: 1, last_port: 65_535 })) }],
  ])('is refused by the relay when it asks for %s', async (_what, body) => {
    expect(await open(body as JsonObject)).toBe('invalid_request');
  });
});

function residentMiB(): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${device.program.pid}/status`, 'utf8'))?.[1]) / 1024;
}
