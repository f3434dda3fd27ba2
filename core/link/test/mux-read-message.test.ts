import { once } from 'node:events';
import { frameMessage, TowlineError } from '@towline/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMessage, writeMessage } from '../src/read-message.ts';
import { type LinkedPair, openLinkedPair, settled } from './mux-linked-pair.ts';

const soon = () => AbortSignal.timeout(5_000);

let pair: LinkedPair;
beforeEach(async () => {
  pair = await openLinkedPair();
});
afterEach(() => pair.dispose());

test.each([0, 1, 10, 100_000])('a message of %i bytes is read, and what follows stays in the stream', async (bytes) => {
  const message = Buffer.alloc(bytes, 5);
  pair.near.end(Buffer.concat([frameMessage(message), Buffer.from('the session')]));
  expect(await readMessage(pair.far, 100_000, soon())).toEqual(message);
  await settled(pair.opener);
  expect(Buffer.concat(await pair.far.toArray()).toString()).toBe('the session');
});

test('two messages are read one after the other', async () => {
  writeMessage(pair.near, Buffer.from('first'));
  writeMessage(pair.near, Buffer.from('second'));
  await settled(pair.opener);
  expect((await readMessage(pair.far, 100, soon())).toString()).toBe('first');
  expect((await readMessage(pair.far, 100, soon())).toString()).toBe('second');
});

test('an end right behind the message is left for the next reader', async () => {
  pair.near.end(frameMessage(Buffer.from('refused')));
  await settled(pair.opener);
  await readMessage(pair.far, 100, soon());
  await new Promise(setImmediate);
  expect(pair.far.readableEnded).toBe(false);
  pair.far.resume();
  await once(pair.far, 'end');
});

test('a message that arrives byte by byte is read', async () => {
  const read = readMessage(pair.far, 100, soon());
  for (const byte of frameMessage(Buffer.from('slowly'))) {
    pair.near.write(Buffer.from([byte]));
    await settled(pair.opener);
  }
  expect((await read).toString()).toBe('slowly');
});

test('an announced length above the limit is a protocol error', async () => {
  pair.near.write(Buffer.from('00000065', 'hex'));
  await expect(readMessage(pair.far, 100, soon())).rejects.toMatchObject({ code: 'protocol_error' });
});

test.each(['', '0000', '0000000a', '0000000a0102'])('an end after the bytes "%s" is `session_broken`', async (bytes) => {
  pair.near.end(Buffer.from(bytes, 'hex'));
  await expect(readMessage(pair.far, 100, soon())).rejects.toMatchObject({ code: 'session_broken' });
});

test('a reset gives its own code, before and while waiting', async () => {
  const read = readMessage(pair.far, 100, soon());
  pair.near.destroy(new TowlineError('grant_invalid'));
  await expect(read).rejects.toMatchObject({ code: 'grant_invalid' });
  await expect(readMessage(pair.far, 100, soon())).rejects.toMatchObject({ code: 'grant_invalid' });
});

test('waiting ends by the signal with `timeout` and leaves no listener behind', async () => {
  const before = pair.far.eventNames().map((name) => pair.far.listenerCount(name));
  await expect(readMessage(pair.far, 100, AbortSignal.timeout(5))).rejects.toMatchObject({ code: 'timeout' });
  expect(pair.far.eventNames().map((name) => pair.far.listenerCount(name))).toEqual(before);
});
