import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import type { Link } from '@towline/contract';
import { expect, test } from 'vitest';
import { createLink } from '../src/mux/create-link.ts';
import { clientTls, PSK_CIPHERS } from './mux-pairs.ts';

const STREAMS = 60;
const LARGEST = 200_000;
const RUN_MS = 8_000;
/** Each peer dies after a random amount of bytes: two rounds of all streams at most. */
const MOST_BEFORE_KILL = STREAMS * LARGEST;
const SENT = randomBytes(LARGEST * 2);

interface Tally {
  whole: number;
  broken: number;
  readonly wrong: string[];
  /** Bytes that may still come before the peer is killed. */
  untilKill: number;
  kill: () => void;
}

/** Echoes one random piece and says what was not right about what came back. */
function echoOnce(link: Link, tally: Tally): Promise<void> {
  const from = randomInt(LARGEST);
  const sent = SENT.subarray(from, from + randomInt(1, LARGEST));
  const stream = link.openStream(Buffer.from('/echo/1'));
  let received = 0;
  let ended = false;
  stream.on('data', (chunk: Buffer) => {
    if (!chunk.equals(sent.subarray(received, received + chunk.length))) tally.wrong.push(`wrong bytes at ${received} of ${sent.length}`);
    received += chunk.length;
    tally.untilKill -= chunk.length;
    if (tally.untilKill < 0) tally.kill();
  });
  stream.on('end', () => {
    ended = true;
    tally.whole += 1;
    if (received !== sent.length) tally.wrong.push(`a clean end after ${received} of ${sent.length} bytes`);
  });
  stream.end(sent);
  return new Promise((resolve) => {
    stream.on('close', () => {
      if (!ended) tally.broken += 1;
      if (!ended && !stream.errored) tally.wrong.push('closed without an end or an error');
      resolve();
    });
  });
}

/** Each lane opens one stream after another, until the link says that it is closed. */
async function echoUntilBroken(link: Link, tally: Tally): Promise<void> {
  const lane = async () => {
    for (;;) await echoOnce(link, tally);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: STREAMS }, lane));
  for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'link_closed' } });
}

async function startPeer(kind: 'tls' | 'tcp'): Promise<{ peer: ChildProcess; port: number }> {
  const peer = fork(join(import.meta.dirname, 'mux-break-peer.mjs'), [kind, PSK_CIPHERS], { execArgv: [] });
  const [port] = (await once(peer, 'message')) as [number];
  return { peer, port };
}

async function breakOnce(kind: 'tls' | 'tcp', started: ReturnType<typeof startPeer>, tally: Tally): Promise<void> {
  const { peer, port } = await started;
  const socket = kind === 'tls' ? tls.connect({ ...clientTls, port, host: '127.0.0.1' }) : net.connect(port, '127.0.0.1');
  await once(socket, kind === 'tls' ? 'secureConnect' : 'connect');
  const link = createLink(socket, { role: 'opener' });
  tally.untilKill = randomInt(MOST_BEFORE_KILL);
  tally.kill = () => void peer.kill('SIGKILL');
  try {
    await echoUntilBroken(link, tally);
    expect((await link.closed).code).toBe('link_lost');
  } finally {
    peer.kill('SIGKILL');
  }
}

test('a peer killed again and again under sixty streams never leaves a wrong byte or a clean end that is not whole', async () => {
  const tally: Tally = { whole: 0, broken: 0, wrong: [], untilKill: 0, kill: () => {} };
  const until = performance.now() + RUN_MS;
  let kind: 'tls' | 'tcp' = 'tls';
  let next = startPeer(kind);
  while (performance.now() < until) {
    const [currentKind, current] = [kind, next];
    kind = kind === 'tls' ? 'tcp' : 'tls';
    next = startPeer(kind);
    await breakOnce(currentKind, current, tally);
  }
  (await next).peer.kill('SIGKILL');
  expect(tally.wrong).toEqual([]);
  expect(tally.whole).toBeGreaterThan(0);
  expect(tally.broken).toBeGreaterThanOrEqual(STREAMS);
});
