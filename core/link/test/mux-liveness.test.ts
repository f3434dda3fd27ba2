import { clientToRelay, relayToClient } from '@towline/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createControlChannel } from '../src/control-channel.ts';
import { watchLiveness } from '../src/liveness.ts';
import { type LinkedPair, openLinkedPair } from './mux-linked-pair.ts';

const TIMES = { echoAfterMs: 60, lostAfterMs: 300 };

let pair: LinkedPair;
beforeEach(async () => {
  pair = await openLinkedPair();
});
afterEach(() => pair.dispose());

const channels = () => ({
  near: createControlChannel(pair.near, { encode: clientToRelay, decode: relayToClient }),
  far: createControlChannel(pair.far, { encode: relayToClient, decode: clientToRelay }),
});

/** Resolves after so many milliseconds of silence and echoes; rejects when the link ends first. */
async function lives(ms: number): Promise<void> {
  const end = await Promise.race([pair.opener.closed, new Promise((resolve) => setTimeout(resolve, ms, null))]);
  expect(end).toBeNull();
}

test.each(['opener', 'acceptor'] as const)(
  'the %s closes a link whose peer is frozen, with `link_silent`, after the whole time',
  async (side) => {
    const { near, far } = channels();
    const [link, channel, frozen] = side === 'opener' ? [pair.opener, near, pair.sockets[1]] : [pair.acceptor, far, pair.sockets[0]];
    watchLiveness(link, channel, TIMES);
    frozen.pause();
    const since = performance.now();
    expect(await link.closed).toMatchObject({ code: 'link_silent', by: 'self' });
    expect(performance.now() - since).toBeGreaterThanOrEqual(TIMES.lostAfterMs - 5);
  },
);

test('a quiet peer that answers echoes keeps the link', async () => {
  const { near } = channels();
  watchLiveness(pair.opener, near, TIMES);
  const before = pair.opener.stats.bytesIn;
  await lives(TIMES.lostAfterMs * 3);
  expect(pair.opener.stats.bytesIn).toBeGreaterThan(before);
});

test('other bytes are life too, when no echo is ever answered', async () => {
  let asked = 0;
  watchLiveness(pair.opener, { echo: () => void (asked += 1) }, TIMES);
  pair.near.resume();
  const chatter = setInterval(() => pair.far.write('x'), 20);
  await lives(TIMES.lostAfterMs * 2).finally(() => clearInterval(chatter));
  expect(asked).toBe(0);
});

test('a process that stood still asks before it judges', async () => {
  const { near } = channels();
  watchLiveness(pair.opener, near, TIMES);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, TIMES.lostAfterMs * 5);
  await lives(TIMES.lostAfterMs * 2);
});

test('stopping the watch stops it', async () => {
  const { near } = channels();
  const stop = watchLiveness(pair.opener, near, TIMES);
  pair.sockets[1].pause();
  stop();
  await lives(TIMES.lostAfterMs * 2);
});
