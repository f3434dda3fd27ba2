import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceView, SessionView } from '@towline/contract';
import {
  CONTROL_PROTOCOL,
  createId,
  encodeClose,
  encodeCredit,
  encodeFin,
  encodeJson,
  encodeOpen,
  encodePing,
  encodeReset,
  FRAME_TYPE,
  frameMessage,
  type JournalEntry,
  MAX_CONTROL_MESSAGE,
  MAX_CREDIT,
  MAX_STREAM_HEAD,
  openAnswer,
  type SessionId,
} from '@towline/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COLLECTING, heldMiB } from './support/held-memory.ts';
import { type HonestUser, startHonestUser } from './support/honest-user.ts';
import { createKey } from './support/keys.ts';
import { linkClient } from './support/raw-client.ts';
import { type EnrolledRawDevice, enrolRawDevice, linkDevice } from './support/raw-device.ts';
import {
  answerOn,
  askUpgrade,
  dataFrame,
  helloFrames,
  inTime,
  linkRequest,
  openGreetedLink,
  openRawLink,
  openTcp,
  openTls,
  whenOver,
} from './support/raw-peer.ts';
import { bodyOf, openApi, type RelayApi } from './support/relay-api.ts';
import { startRelayOn } from './support/relay-process.ts';
import { storedTrail } from './support/stored.ts';
import { createSystem, eventually, type TestRelay, type TestSystem } from './support/system.ts';

/** Strangers have 5 s; the rest is room for a loaded machine. */
const STRANGER_GONE_MS = 15_000;

let system: TestSystem;
let relay: TestRelay;
let api: RelayApi;
let honest: HonestUser;
let honestKey: string;
let attackerKey: string;
let enrolKey: string;
/** The attacker's own device. */
let device: EnrolledRawDevice;
let before: { readonly heldMiB: number; readonly handles: number };

beforeAll(async () => {
  system = createSystem();
  relay = await startRelayOn(join(system.dir, 'relay'), { env: COLLECTING });
  api = openApi(relay);
  await system.enrolDevice(relay, { email: 'honest@example.com' });
  device = await enrolRawDevice(api, { name: 'evil', owner: 'user:attacker@example.com' });
  const key = async (...args: string[]) => (await createKey(system, relay, args)).key;
  honestKey = await key('--email', 'honest@example.com');
  attackerKey = await key('--email', 'attacker@example.com');
  enrolKey = await key('--enrol', '--email', 'attacker@example.com');
  honest = startHonestUser(system, relay, { device: 'pi', key: honestKey });
  await honest.unharmed();
  before = { heldMiB: await heldMiB(relay), handles: handles() };
});
afterAll(async () => {
  await honest?.[Symbol.asyncDispose]();
  api?.[Symbol.dispose]();
  await relay?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

const handles = () => readdirSync(`/proc/${relay.program.pid}/fd`).length;
const times = <Value>(count: number, make: (index: number) => Value) => Array.from({ length: count }, (_none, index) => make(index));
const opening = (change: object = {}) =>
  encodeJson({ protocol: '/exec/1', device: 'evil', session: createId<SessionId>(), body: { argv: ['true'], stdin: false }, ...change });
const frame = (type: number, stream: number, { length, payload = Buffer.alloc(0) }: { length: number; payload?: Buffer }) => {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(((type << 24) | length) >>> 0, 0);
  head.writeUInt32BE(stream, 4);
  return Buffer.concat([head, payload]);
};

// Beside each other: their time is waiting.
describe.concurrent('who is slow', () => {
  afterAll(() => honest.unharmed());

  it('in the handshake or in the head of a request is given up', async () => {
    const handshakes = await Promise.all(times(100, () => openTcp(relay)));
    const heads = await Promise.all(times(100, () => openTls(relay)));
    for (const [index, socket] of handshakes.entries()) if (index % 2 === 0) socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]));
    for (const [index, socket] of heads.entries()) if (index % 4 !== 0) socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
    const dribbling = setInterval(() => {
      for (const [index, socket] of heads.entries()) if (index % 4 !== 0 && socket.writable) socket.write('X: y\r\n');
    }, 500);
    try {
      await Promise.all([
        inTime(Promise.all(handshakes.map(whenOver)), 'all handshakes are given up', STRANGER_GONE_MS),
        inTime(Promise.all(heads.map(whenOver)), 'all heads are given up', STRANGER_GONE_MS),
      ]);
    } finally {
      clearInterval(dribbling);
      for (const socket of [...handshakes, ...heads]) socket.destroy();
    }
  });

  it('to open its control stream is given up', async () => {
    using link = await openRawLink(relay, 'client', attackerKey);
    expect(await inTime(link.ended, 'the relay hangs up', STRANGER_GONE_MS)).toBe('timeout');
  });

  it('to say hello is given up', async () => {
    using link = await openRawLink(relay, 'client', attackerKey);
    await link.write(encodeOpen(1, encodeJson({ protocol: CONTROL_PROTOCOL })));
    expect(await inTime(link.ended, 'the relay hangs up', STRANGER_GONE_MS)).toBe('timeout');
  });
});

describe('a stranger', () => {
  afterAll(() => honest.unharmed());

  it('who sends random bytes instead of TLS is hung up on', async () => {
    const sockets = await Promise.all(times(50, () => openTcp(relay)));
    for (const socket of sockets) socket.write(randomBytes(1 + Math.floor(Math.random() * 3_000)));
    await inTime(Promise.all(sockets.map(whenOver)), 'all are hung up on', STRANGER_GONE_MS);
  });

  it.each([
    ['random bytes', () => randomBytes(2_000), /^(HTTP\/1\.1 400|$)/],
    ['a head without end', () => Buffer.from(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(200_000)}`), /^(HTTP\/1\.1 431|$)/],
    ['ten thousand headers', () => Buffer.from(`GET / HTTP/1.1\r\n${'A: b\r\n'.repeat(10_000)}\r\n`), /^(HTTP\/1\.1 431|$)/],
    [
      'two lengths',
      () => Buffer.from('POST /v1/registrations HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n'),
      /^HTTP\/1\.1 400/,
    ],
    [
      'a length and chunks',
      () => Buffer.from('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
      /^HTTP\/1\.1 400/,
    ],
    ['HTTP/2', () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^(HTTP\/1\.1 400|$)/],
  ])('who sends %s as HTTP is answered and hung up on', async (_what, bytes, answer) => {
    const socket = await openTls(relay);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.write(bytes());
    await inTime(whenOver(socket), 'the relay hangs up', STRANGER_GONE_MS);
    expect(text).toMatch(answer);
  });

  it.each([
    ['no credential', 'client', () => linkRequest('client', null), 401, 'unauthenticated'],
    ['no credential', 'device', () => linkRequest('device', null), 401, 'unauthenticated'],
    ['a key that nobody has', 'client', () => linkRequest('client', `twl_u_${'0'.repeat(16)}_${'A'.repeat(43)}`), 401, 'unauthenticated'],
    ['nonsense for a key', 'client', () => linkRequest('client', 'nonsense'), 401, 'unauthenticated'],
    ['the key of a user', 'device', () => linkRequest('device', attackerKey), 401, 'key_wrong_kind'],
    ['the key of a device', 'client', () => linkRequest('client', device.apiKey), 401, 'key_wrong_kind'],
    ['a key for enrolling', 'client', () => linkRequest('client', enrolKey), 401, 'key_wrong_kind'],
    ['a key for enrolling', 'device', () => linkRequest('device', enrolKey), 401, 'key_wrong_kind'],
    ['the page of another site', 'client', () => [...linkRequest('client', attackerKey), 'Origin: https://evil.example'], 403, 'forbidden'],
    [
      'an upgrade to something else',
      'client',
      () => linkRequest('client', attackerKey).map((line) => line.replace('towline/1', 'h2c')),
      400,
      'protocol_error',
    ],
  ])('with %s gets no link of a %s, and the connection ends', async (_what, _role, request, status, code) => {
    const socket = await openTls(relay);
    const over = once(socket, 'close');
    const answer = await askUpgrade(socket, request());
    expect(answer).toMatchObject({ status });
    expect(answer.text).toContain(`"${code}"`);
    socket.resume().end();
    await inTime(over, 'the connection ends');
  });
});

describe('a client that breaks the link protocol loses its own link', () => {
  afterAll(() => honest.unharmed());

  const stream2 = () => encodeOpen(2, opening());
  it.each([
    ['random bytes', () => [randomBytes(4_096).fill(0xee, 0, 1)], 'protocol_error'],
    ['zeros', () => [Buffer.alloc(4_096)], 'protocol_error'],
    ['HTTP', () => [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')], 'protocol_error'],
    ['an unknown type', () => [frame(9, 1, { length: 4, payload: Buffer.alloc(4) })], 'protocol_error'],
    ['an oversized length', () => [frame(FRAME_TYPE.data, 1, { length: 0xffffff })], 'protocol_error'],
    ['an oversized head of a stream', () => [frame(FRAME_TYPE.open, 2, { length: MAX_STREAM_HEAD + 1 })], 'protocol_error'],
    ['DATA of no bytes', () => [frame(FRAME_TYPE.data, 1, { length: 0 })], 'protocol_error'],
    ['OPEN of no bytes', () => [frame(FRAME_TYPE.open, 2, { length: 0 })], 'protocol_error'],
    ['DATA for a stream that was never opened', () => [dataFrame(77, Buffer.of(1))], 'protocol_error'],
    ['DATA for the link', () => [dataFrame(0, Buffer.of(1))], 'protocol_error'],
    ['the same stream again', () => [stream2(), stream2()], 'protocol_error'],
    ['an end twice', () => [stream2(), encodeFin(2), encodeFin(2)], 'protocol_error'],
    ['data behind the end', () => [stream2(), encodeFin(2), dataFrame(2, Buffer.of(1))], 'protocol_error'],
    ['credit of nothing', () => [frame(FRAME_TYPE.credit, 1, { length: 4, payload: Buffer.alloc(4) })], 'protocol_error'],
    ['credit beyond all bounds', () => [encodeCredit(1, MAX_CREDIT), encodeCredit(1, MAX_CREDIT)], 'protocol_error'],
    ['a flood of PING', () => times(30, () => Buffer.concat(times(10_000, () => encodePing(Buffer.alloc(8))))), 'link_flooded'],
    ['a flood of RESET', () => [stream2(), ...times(30, () => Buffer.concat(times(10_000, () => encodeReset(2, 10))))], 'link_flooded'],
    ['a flood of tiny credit', () => times(30, () => Buffer.concat(times(10_000, () => encodeCredit(1, 1)))), 'link_flooded'],
    [
      'a flood of OPEN',
      () => times(30, (portion) => Buffer.concat(times(10_000, (index) => encodeOpen(2 + portion * 10_000 + index, Buffer.from('x'))))),
      'link_flooded',
    ],
  ])('by %s', async (_what, bytes, code) => {
    using link = await openGreetedLink(relay, attackerKey);
    await link.write(...bytes());
    expect(await inTime(link.ended, 'the relay hangs up')).toBe(code);
  });

  it('by more data than it has credit for', async () => {
    await using linked = await linkDevice(relay, device.apiKey, { identity: device.identity });
    using link = await openGreetedLink(relay, attackerKey);
    await link.write(stream2());
    expect(await answerOn(link, 2)).toMatchObject({ status: 'accepted' });
    // What is read earns new credit: only where nobody reads is it certain that there is none.
    linked.openings[0]!.stream.pause();
    await link.write(...times(40, () => dataFrame(2, Buffer.alloc(65_536))));
    expect(await inTime(link.ended, 'the relay hangs up')).toBe('protocol_error');
  });

  it.each([
    ['is cut in the middle of a frame', encodeOpen(2, Buffer.alloc(1_000, 'x')).subarray(0, 500)],
    ['says goodbye in nonsense', encodeClose(4_000_000_000, '\u001b[31m')],
    ['half-closes', Buffer.alloc(0)],
  ])('when it %s', async (_what, bytes) => {
    using link = await openGreetedLink(relay, attackerKey);
    await link.write(bytes);
    link.socket.end();
    await inTime(link.ended, 'the link is over');
  });

  it('by a flood of PING whose answers it does not read', async () => {
    using link = await openGreetedLink(relay, attackerKey);
    link.socket.pause();
    void link.write(...times(50, () => Buffer.concat(times(5_000, () => encodePing(Buffer.alloc(8))))));
    // The relay's goodbye cannot be read; that it hung up is seen when the flood breaks.
    await inTime(
      eventually(async () => link.socket.destroyed || (link.socket.writableLength === 0 && link.socket.resume()), 'the flood breaks'),
      'the relay hangs up',
    );
    await inTime(link.ended, 'the link is over');
  });
});

describe('a control stream', () => {
  afterAll(() => honest.unharmed());

  it.each([
    ['nonsense', Buffer.from('nonsense nonsense')],
    ['another message than hello', frameMessage(Buffer.from('{"type":"goodbye","code":"x","message":"","hint":""}'))],
    ['a message that is too large', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
    ['an end', Buffer.alloc(0)],
  ])('that begins with %s ends its link', async (_what, bytes) => {
    using link = await openRawLink(relay, 'client', attackerKey);
    await link.write(encodeOpen(1, encodeJson({ protocol: CONTROL_PROTOCOL })), bytes.length > 0 ? dataFrame(1, bytes) : encodeFin(1));
    expect(await inTime(link.ended, 'the relay hangs up', 4_500)).toMatch(/^(protocol_error|link_closed)$/);
  });

  it('that breaks later ends its link, which could be told nothing any more', async () => {
    using link = await openGreetedLink(relay, attackerKey);
    await link.write(dataFrame(1, frameMessage(Buffer.from('{"type":"launch"}'))));
    expect(await inTime(link.ended, 'the relay hangs up', 4_500)).toBe('protocol_error');
  });

  it('is opened once: a second one is reset, and the first goes on', async () => {
    using link = await openGreetedLink(relay, attackerKey);
    await link.write(helloFrames(2));
    expect(await link.saw('the reset', ({ type, stream }) => type === 'reset' && stream === 2)).toMatchObject({ code: 'protocol_error' });
    await link.write(dataFrame(1, frameMessage(Buffer.from('{"type":"echo","id":4711}'))));
    await link.saw('the answer to an echo', ({ bytes }) => bytes?.includes('4711') === true);
  });
});

describe('an opening', () => {
  afterAll(() => honest.unharmed());

  const nested = (levels: number) =>
    `{"protocol":"/exec/1","device":"evil","session":"${createId()}","body":{"x":${'['.repeat(levels)}${']'.repeat(levels)}}}`;
  it.each([
    ['is larger than any may be', () => opening({ body: { argv: ['x'.repeat(33 * 1_024)], stdin: false } }), 'protocol_error'],
    ['is nested deeply', () => Buffer.from(nested(5_000)), 'protocol_error'],
    ['is nested a little too deeply', () => Buffer.from(nested(11)), 'protocol_error'],
    ['is no JSON', () => Buffer.from('{"protocol":'), 'protocol_error'],
    ['is not UTF-8', () => Buffer.from([0x7b, 0xff, 0x7d]), 'protocol_error'],
    ['is a list', () => encodeJson([1, 2, 3]), 'protocol_error'],
    ['has a number for a device', () => opening({ device: 7 }), 'protocol_error'],
    ['has a session id of another form', () => opening({ session: '../../etc/passwd' }), 'protocol_error'],
    ['has a body of the wrong form', () => opening({ body: { argv: 'true', stdin: 1 } }), 'invalid_request'],
    [
      'has a body with unknown members',
      () => opening({ body: { argv: ['true'], stdin: false, __proto__: {}, uid: 0 } }),
      'invalid_request',
    ],
    ['names a device that does not exist', () => opening({ device: 'nobody' }), 'not_found'],
    ['names a device of somebody else', () => opening({ device: 'pi' }), 'not_found'],
    ['names a device with control characters', () => opening({ device: '\u001b[31m\u0000' }), 'not_found'],
    ['names a device that is offline', () => opening(), 'device_offline'],
    ['names a protocol that is not offered', () => opening({ protocol: '/launch/1' }), 'stream_not_offered'],
    ['names a version that is not offered', () => opening({ protocol: '/exec/9' }), 'stream_not_offered'],
    ['resumes a session that never was', () => opening({ resume: { received: 5 } }), 'not_found'],
  ])('that %s is refused, and the link goes on', async (_what, head, code) => {
    using link = await openGreetedLink(relay, attackerKey);
    await link.write(encodeOpen(2, head()));
    expect(await answerOn(link, 2)).toMatchObject({ status: 'refused', code });
    await link.write(encodePing(Buffer.alloc(8)));
    await link.saw('the PONG', ({ type }) => type === 'pong');
  });

  it('cannot take the id of a session that is open, also not of somebody else', async () => {
    await using linked = await linkDevice(relay, device.apiKey, { identity: device.identity });
    using link = await openGreetedLink(relay, attackerKey);
    const session = createId<SessionId>();
    await link.write(encodeOpen(2, opening({ session })));
    expect(await answerOn(link, 2)).toMatchObject({ status: 'accepted' });
    await link.write(encodeOpen(3, opening({ session })));
    expect(await answerOn(link, 3)).toMatchObject({ status: 'refused', code: 'conflict' });
    using other = await openGreetedLink(relay, honestKey);
    await other.write(encodeOpen(2, opening({ session, device: 'pi' })));
    expect(await answerOn(other, 2)).toMatchObject({ status: 'refused', code: 'conflict' });
    expect(linked.openings).toHaveLength(1);
  });
});

describe('a client', () => {
  afterAll(() => honest.unharmed());

  it('that opens ten thousand streams and abandons them harms nobody', async () => {
    await using linked = await linkDevice(relay, device.apiKey, { identity: device.identity });
    using link = await openGreetedLink(relay, attackerKey);
    let last = 1;
    const openSome = (count: number) => link.write(Buffer.concat(times(count, () => encodeOpen((last += 1), opening()))));
    // A burst is mostly refused; who is patient gets more; and in the end there is a limit.
    for (let portion = 0; portion < 45; portion += 1) await openSome(100);
    while (last < 8_000) {
      await openSome(50);
      await link.saw('an answer to the last one', ({ type, stream }) => type === 'data' && stream === last);
    }
    expect(linked.openings.length).toBeGreaterThan(200);
    await openSome(2_000);
    expect(await link.saw('the limit', ({ type, stream }) => type === 'reset' && stream === last)).toMatchObject({ code: 'stream_limit' });
    await honest.unharmed();
    link.socket.destroy();
    await inTime(link.ended, 'the link is over');
    await eventually(async () => linked.link.stats.openStreams === 1, 'all streams to the device are over but its control stream');
  });

  it('that never reads what a device sends holds up only itself', async () => {
    using link = await openGreetedLink(relay, honestKey);
    const session = createId<SessionId>();
    await link.write(encodeOpen(2, opening({ session, device: 'pi', body: { argv: ['cat', '/dev/zero'], stdin: false } })));
    expect(await answerOn(link, 2)).toMatchObject({ status: 'accepted' });
    link.socket.pause();
    await honest.unharmed();
    const held = await heldMiB(relay);
    await honest.unharmed();
    expect((await heldMiB(relay)) - held).toBeLessThan(32);
    link.socket.destroy();
    await eventually(async () => !(await openSessions()).some(({ id }) => id === session), 'the session is over');
  });

  it('that opens streams and half-closes each gets its answers', async () => {
    using link = await openGreetedLink(relay, attackerKey);
    await link.write(...times(50, (index) => Buffer.concat([encodeOpen(2 + index, opening({ device: 'nobody' })), encodeFin(2 + index)])));
    for (const index of [0, 25, 49]) {
      expect(await answerOn(link, 2 + index)).toMatchObject({ code: 'not_found' });
      await link.saw('the end of a stream', ({ type, stream }) => type === 'fin' && stream === 2 + index);
    }
  });
});

/** Sessions that are open on the honest device. */
async function openSessions(): Promise<SessionView[]> {
  return bodyOf<{ items: SessionView[] }>(await api.call('GET', '/v1/devices/pi/sessions', { key: relay.adminKey })).items;
}

describe('a device that answers an opening', () => {
  afterAll(() => honest.unharmed());

  const accepted = frameMessage(openAnswer.encode({ status: 'accepted', received: 0, body: {} }));
  it.each([
    ['with random bytes', Buffer.concat([Buffer.of(0xff), randomBytes(500)]), 255],
    ['with a message that is no answer', frameMessage(Buffer.from('{"status":"maybe"}')), 255],
    ['with a message that is no JSON', frameMessage(Buffer.from('\u001b[31mred')), 255],
    ['with a message that is too large', frameMessage(Buffer.alloc(MAX_CONTROL_MESSAGE + 1)), 255],
    ['and then sends random bytes', Buffer.concat([accepted, Buffer.of(0xff), randomBytes(500)]), 255],
    ['and then sends a frame that is too large', Buffer.concat([accepted, Buffer.of(0x40, 0xff, 0xff, 0xff)]), 255],
    ['and then a result that is none', Buffer.concat([accepted, Buffer.of(0x12, 0, 0, 2), Buffer.from('{}')]), 255],
    [
      'with a refusal in colours',
      frameMessage(
        openAnswer.encode({ status: 'refused', code: 'session_limit', message: '\u001b[31mred\u0007', hint: '\u001b]0;x\u0007' }),
      ),
      255,
    ],
  ])('%s is told apart from one that serves it', async (_how, bytes, code) => {
    await using linked = await linkDevice(relay, device.apiKey, { identity: device.identity });
    linked.link.onStream((stream) => {
      stream.on('error', () => {});
      stream.resume().end(bytes);
    });
    const told = await system.towline(relay, ['evil', 'exec', '--', 'true'], { key: attackerKey });
    expect(told).toMatchObject({ code, stdout: '' });
    expect(told.stderr).toMatch(/^towline: \S/);
    expect(told.stderr).not.toMatch(/\u001b|\u0007/);
  });

  it.each([
    ['never', Buffer.alloc(0)],
    ['with half a length', Buffer.of(0, 0)],
    ['with half an answer', accepted.subarray(0, 12)],
  ])('%s leaves the user free to interrupt', async (_how, bytes) => {
    await using linked = await linkDevice(relay, device.apiKey, { identity: device.identity });
    const opened = new Promise<void>((resolve) =>
      linked.link.onStream((stream) => {
        stream.on('error', () => {});
        stream.resume().write(bytes);
        resolve();
      }),
    );
    const waiting = system.startTowline(relay, ['evil', 'exec', '--', 'true'], { key: attackerKey });
    await inTime(opened, 'the opening reaches the device');
    await honest.unharmed();
    waiting.child.kill('SIGINT');
    expect(await inTime(waiting.finished, 'the command is interrupted', 10_000)).toMatchObject({ code: 130 });
  });
});

/** Waits for a line in the log of the relay, from some place on. */
const relayLogs = (line: RegExp, from: number) =>
  eventually(async () => line.test(relay.program.stderr.slice(from)), `the relay logs ${line}`);

describe('a device', () => {
  afterAll(() => honest.unharmed());

  const journalEnd = (number: number, session: string, change: object = {}): JournalEntry => ({
    type: 'end',
    number,
    session,
    age_ms: 0,
    bytes_to_device: 0,
    bytes_from_device: 0,
    end: { reason: 'exited', exit_code: 0 },
    ...change,
  });
  const isOnline = async () => bodyOf<DeviceView>(await api.call('GET', '/v1/devices/evil', { key: relay.adminKey })).online;
  const link = () => linkDevice(relay, device.apiKey, { identity: device.identity });

  it('that floods its journal loses its link', async () => {
    await using linked = await link();
    const entries = times(500, (index) => journalEnd(index + 1, createId()));
    // Less in all than this end would give the relay up for not reading.
    for (let message = 0; message < 10; message += 1) linked.control.send({ type: 'journal', entries });
    expect(await inTime(linked.link.closed, 'the relay hangs up')).toMatchObject({ code: 'link_flooded', by: 'peer' });
    await eventually(async () => !(await isOnline()), 'it is offline');
  });

  it('that sends its journal as it should is acknowledged', async () => {
    await using linked = await link();
    const acknowledged = new Promise<number>((resolve) =>
      linked.control.onMessage((message) => message.type === 'journal_ack' && message.received === 500 && resolve(message.received)),
    );
    for (let batch = 0; batch < 5; batch += 1)
      linked.control.send({ type: 'journal', entries: times(100, (index) => journalEnd(batch * 100 + index + 1, createId())) });
    expect(await inTime(acknowledged, 'all is acknowledged')).toBe(500);
  });

  it('that floods the relay with rotations it never had loses its link', async () => {
    await using linked = await link();
    for (let message = 0; message < 20_000 && linked.link.stats.openStreams > 0; message += 1)
      linked.control.send({ type: 'rotated', key_id: '0123456789abcdef' });
    expect(await inTime(linked.link.closed, 'the relay hangs up')).toMatchObject({ code: 'link_flooded', by: 'peer' });
  });

  it('that asks for echoes and reads none loses its link', async () => {
    const echoes = Buffer.concat(times(2_000, (id) => frameMessage(encodeJson({ type: 'echo', id }))));
    const logged = relay.program.stderr.length;
    using raw = await openRawLink(relay, 'device', device.apiKey);
    await raw.saw('the challenge', ({ type }) => type === 'data');
    raw.socket.pause();
    void raw.write(...times(200, () => dataFrame(1, echoes.subarray(0, 65_536))));
    await relayLogs(/"code":"link_flooded"/, logged);
    raw.socket.resume();
    await inTime(raw.ended, 'the relay hangs up');
  });

  it.each([
    ['sends a message of an unknown type', { type: 'launch' }],
    ['sends a second proof that is none', { type: 'proof' }],
    ['sends a journal of another form', { type: 'journal', entries: [{ type: 'end', number: -1 }] }],
    ['sends the id of a session that is a path', { type: 'journal', entries: [{ ...journalEnd(1, '../../x') }] }],
  ])('that %s loses its link and is offline', async (_what, message) => {
    await using linked = await link();
    expect(await isOnline()).toBe(true);
    linked.control.send(message as never);
    expect(await inTime(linked.link.closed, 'the relay hangs up')).toMatchObject({ code: 'protocol_error', by: 'peer' });
    await eventually(async () => !(await isOnline()), 'it is offline');
  });

  it('cannot end the sessions of another device by its journal', async () => {
    const session = system.startTowline(relay, ['pi', 'exec', '--', 'sh', '-c', 'echo begun; exec sleep 300'], { key: honestKey });
    await session.saw(/begun/);
    const victim = (await openSessions()).find(({ detail }) => JSON.stringify(detail).includes('begun'))!;
    await using linked = await link();
    const acknowledged = new Promise((resolve) => linked.control.onMessage((message) => message.type === 'journal_ack' && resolve(null)));
    linked.control.send({ type: 'journal', entries: [journalEnd(1, victim.id)] });
    await inTime(acknowledged, 'the relay has taken note');
    expect((await openSessions()).some(({ id }) => id === victim.id)).toBe(true);
    expect(session.child.exitCode).toBe(null);
    session.child.kill('SIGTERM');
    await session.finished;
    await eventually(async () => !(await openSessions()).some(({ id }) => id === victim.id), 'the session ends by the device that has it');
    const closings = storedTrail(relay.dir).filter((record) => record.action === 'session.closed' && record.session === victim.id);
    expect(closings).toMatchObject([{ device: { name: 'pi' }, reportedBy: 'device' }]);
  });

  it('may claim any bytes and ages: they stand in the trail as reported by the device, and the trail can be read', async () => {
    await using linked = await link();
    await using client = await linkClient(relay, attackerKey);
    expect(await client.open('evil')).toBe('accepted');
    const claim = {
      age_ms: 1e300,
      bytes_to_device: Number.MAX_SAFE_INTEGER,
      bytes_from_device: Number.MAX_SAFE_INTEGER,
      end: { reason: 'exited', exit_code: 255, message: '\u001b[31m'.repeat(100) },
    };
    linked.control.send({ type: 'journal', entries: [journalEnd(1, client.sessions[0]!, claim)] });
    const answer = await eventually(async () => {
      const { items } = bodyOf<{ items: { action: string; session: string }[] }>(
        await api.call('GET', '/v1/audit?limit=100', { key: relay.adminKey }),
      );
      return items.find(({ action, session }) => action === 'session.closed' && session === client.sessions[0]);
    }, 'the end is in the trail');
    expect(answer).toMatchObject({
      reported_by: 'device',
      bytes_to_device: Number.MAX_SAFE_INTEGER,
      bytes_from_device: Number.MAX_SAFE_INTEGER,
      duration_ms: 0,
    });
  });
});

describe('after all of this', () => {
  it('the relay is the same process, holds about as much memory as before and no handle more', async () => {
    expect(relay.program.child.exitCode).toBe(null);
    expect(relay.program.child.signalCode).toBe(null);
    await eventually(async () => handles() <= before.handles + 12, `handles are back near ${before.handles}`, 30_000);
    await eventually(async () => (await heldMiB(relay)) - before.heldMiB < 20, `held memory is back near ${before.heldMiB} MiB`, 30_000);
    expect(relay.program.stderr.split('\n').filter((line) => /"level":(50|60)/.test(line))).toEqual([]);
  }, 90_000);
});
