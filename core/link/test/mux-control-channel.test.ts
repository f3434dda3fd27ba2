import { clientToRelay, frameMessage, MAX_CONTROL_MESSAGE, relayToClient, TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createControlChannel } from '../src/control-channel.ts';
import { closing, type LinkedPair, openLinkedPair, settled } from './mux-linked-pair.ts';

const HELLO = { type: 'hello', level: 1, version: '0.1.0' } as const;
const WELCOME = { type: 'welcome', level: 1, time_ms: 5, principal: 'user:ada@example.com' } as const;
const soon = () => AbortSignal.timeout(5_000);

let pair: LinkedPair;
beforeEach(async () => {
  pair = await openLinkedPair();
});
afterEach(() => pair.dispose());

const nearChannel = () => createControlChannel(pair.near, { encode: clientToRelay, decode: relayToClient });
const farChannel = () => createControlChannel(pair.far, { encode: relayToClient, decode: clientToRelay });

test('a handshake goes both ways', async () => {
  const [near, far] = [nearChannel(), farChannel()];
  near.send(HELLO);
  expect(await far.next(soon())).toEqual(HELLO);
  far.send(WELCOME);
  expect(await near.next(soon())).toEqual(WELCOME);
});

test('messages that came before there was a listener are kept in order', async () => {
  const [near, far] = [nearChannel(), farChannel()];
  for (let level = 1; level <= 500; level += 1) near.send({ ...HELLO, level });
  await settled(pair.opener);
  expect((await far.next(soon())) as { level: number }).toMatchObject({ level: 1 });
  const levels: number[] = [];
  const all = new Promise<void>((resolve) => {
    far.onMessage((message) => {
      if (message.type === 'hello') levels.push(message.level);
      if (levels.length === 499) resolve();
    });
  });
  await all;
  expect(levels).toEqual(Array.from({ length: 499 }, (_, n) => n + 2));
});

test('an echo is answered and shown to nobody', async () => {
  const [near, far] = [nearChannel(), farChannel()];
  const seen: unknown[] = [];
  near.onMessage((message) => void seen.push(message));
  far.onMessage((message) => void seen.push(message));
  const before = pair.opener.stats.bytesIn;
  near.echo();
  await settled(pair.opener);
  expect(pair.opener.stats.bytesIn - before).toBeGreaterThan(30);
  expect(seen).toEqual([]);
});

test('waiting for a message ends by the signal with `timeout`, and the channel goes on', async () => {
  const [near, far] = [nearChannel(), farChannel()];
  await expect(far.next(AbortSignal.timeout(5))).rejects.toMatchObject({ code: 'timeout' });
  await expect(far.next(AbortSignal.abort())).rejects.toMatchObject({ code: 'timeout' });
  near.send(HELLO);
  expect(await far.next(soon())).toEqual(HELLO);
});

test.each<[string, Uint8Array]>([
  ['no JSON', frameMessage(Buffer.from('hello'))],
  ['a type nobody knows', frameMessage(Buffer.from('{"type":"surprise"}'))],
  ['an announced length above the limit', Buffer.from('7fffffff', 'hex')],
  ['JSON nested without end', frameMessage(Buffer.from('['.repeat(1_000)))],
])('%s resets the stream with protocol_error on both ends', async (_what, bytes) => {
  const far = farChannel();
  const next = far.next(soon());
  pair.near.write(bytes);
  await expect(next).rejects.toMatchObject({ code: 'protocol_error' });
  expect(await far.closed).toMatchObject({ code: 'protocol_error' });
  await closing(pair.near);
  expect(pair.near.errored).toMatchObject({ code: 'protocol_error' });
});

test('an end in the middle of a message is a protocol error', async () => {
  const far = farChannel();
  pair.near.end(frameMessage(clientToRelay.encode(HELLO)).subarray(0, 10));
  expect(await far.closed).toMatchObject({ code: 'protocol_error' });
});

test('a clean end on one side ends both, and whoever waits is told', async () => {
  const [near, far] = [nearChannel(), farChannel()];
  const next = far.next(soon());
  pair.near.end();
  await expect(next).rejects.toMatchObject({ code: 'link_closed' });
  expect(await Promise.all([near.closed, far.closed])).toEqual([null, null]);
});

test('the error of the stream reaches whoever waits', async () => {
  const far = farChannel();
  const next = far.next(soon());
  pair.near.destroy(new TowlineError('device_removed'));
  await expect(next).rejects.toMatchObject({ code: 'device_removed' });
  expect(await far.closed).toMatchObject({ code: 'device_removed' });
  await expect(far.next(soon())).rejects.toMatchObject({ code: 'device_removed' });
});

test('a peer that reads no control messages loses the stream', async () => {
  const near = nearChannel();
  const version = 'v'.repeat(64);
  for (let n = 0; n < 30_000 && !pair.near.destroyed; n += 1) near.send({ ...HELLO, version });
  expect(await near.closed).toMatchObject({ code: 'link_flooded' });
});

test('a large message that comes byte by byte is understood', async () => {
  const far = farChannel();
  const message = frameMessage(clientToRelay.encode(HELLO));
  const padded = Buffer.concat([Buffer.from(JSON.stringify(HELLO)), Buffer.alloc(3_000, ' ')]);
  for (const byte of frameMessage(padded)) {
    pair.near.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  expect(await far.next(soon())).toEqual(HELLO);
  expect(padded.length).toBeLessThan(MAX_CONTROL_MESSAGE);
  pair.near.write(message);
  expect(await far.next(soon())).toEqual(HELLO);
});
