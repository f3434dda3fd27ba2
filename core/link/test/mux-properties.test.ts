import { randomBytes } from 'node:crypto';
import { Duplex, Transform } from 'node:stream';
import type { Link } from '@towline/contract';
import { INITIAL_STREAM_CREDIT, MAX_FRAME_PAYLOAD, MAX_STREAM_CREDIT } from '@towline/protocol';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLink } from '../src/mux/create-link.ts';
import { CreditBudget } from '../src/mux/credit-budget.ts';
import { Inbox } from '../src/mux/inbox.ts';
import { ReceiveWindow } from '../src/mux/receive-window.ts';
import { TokenBucket } from '../src/mux/token-bucket.ts';
import { connectMemory, type DuplexPair } from './mux-pairs.ts';

const HEAD = Buffer.from('/test/1');

/** A duplex whose incoming bytes pass through a transform. */
function filtered(duplex: Duplex, incoming: Transform): Duplex {
  duplex.pipe(incoming);
  const end = Duplex.from({ readable: incoming, writable: duplex });
  return end.on('error', () => {});
}

/** Cuts and merges what passes, by the sizes given, over and over. */
function createChopper(sizes: readonly number[]): Transform {
  let held = Buffer.alloc(0);
  let turn = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      held = Buffer.concat([held, chunk]);
      for (let size = sizes[turn % sizes.length]!; held.length >= size; size = sizes[turn % sizes.length]!) {
        this.push(held.subarray(0, size));
        held = held.subarray(size);
        turn += 1;
      }
      // What is left goes out as well, or the last bytes of a message would wait for ever.
      if (held.length > 0) this.push(held);
      held = Buffer.alloc(0);
      done();
    },
  });
}

/** Changes single bytes of what passes: at each position given, counted from the one before. */
function createCorrupter(gaps: readonly number[], mask: number): Transform {
  const left = [...gaps];
  let until = left.shift() ?? Number.POSITIVE_INFINITY;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const bytes = Buffer.from(chunk);
      for (let at = 0; at < bytes.length; at += 1) {
        if (until-- > 0) continue;
        bytes[at]! ^= mask;
        until = left.shift() ?? Number.POSITIVE_INFINITY;
      }
      done(null, bytes);
    },
  });
}

function linkUp([near, far]: DuplexPair): { opener: Link; acceptor: Link } {
  const acceptor = createLink(far, { role: 'acceptor' });
  acceptor.onStream((stream) => stream.pipe(stream));
  return { opener: createLink(near, { role: 'opener' }), acceptor };
}

async function echo(link: Link, sent: Buffer): Promise<Buffer> {
  const stream = link.openStream(HEAD);
  stream.end(sent);
  return Buffer.concat(await stream.toArray());
}

describe('a link', () => {
  test('carries the same bytes however the wire cuts and merges them', async () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(sizes, sizes, fc.array(fc.nat(150_000), { minLength: 1, maxLength: 5 }), async (cutsNear, cutsFar, lengths) => {
        const [near, far] = connectMemory();
        const { opener } = linkUp([filtered(near, createChopper(cutsNear)), filtered(far, createChopper(cutsFar))]);
        const sent = lengths.map((length) => randomBytes(length));
        const received = await Promise.all(sent.map((bytes) => echo(opener, bytes)));
        expect(received.map((bytes, n) => bytes.equals(sent[n]!))).toEqual(sent.map(() => true));
        await opener.close('link_closed');
      }),
      { numRuns: 25 },
    );
  });

  test('survives any corruption of the wire or ends in order: nothing throws, nothing hangs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3_000), { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 255 }), async (gaps, mask) => {
        const [near, far] = connectMemory();
        const { opener, acceptor } = linkUp([near, filtered(far, createCorrupter(gaps, mask))]);
        const streams = Array.from({ length: 4 }, () => opener.openStream(HEAD));
        for (const stream of streams) {
          stream.resume();
          stream.write(randomBytes(2_000));
        }
        await Promise.race([opener.ping(AbortSignal.timeout(200)).catch(() => {}), opener.closed]);
        await Promise.all([opener.close('link_closed', '', 20), acceptor.close('link_closed', '', 20)]);
        expect(streams.map((stream) => stream.destroyed)).toEqual([true, true, true, true]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the inbox of a stream', () => {
  test('gives back exactly the bytes it was given, in order', () => {
    const step = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.integer({ min: 4_000, max: 9_000 }).map((length) => randomBytes(length)),
      fc.constant(null),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const inbox = new Inbox();
        const [given, taken]: [Buffer[], Buffer[]] = [[], []];
        for (const part of steps) {
          if (part !== null) {
            given.push(Buffer.from(part));
            inbox.append(Buffer.from(part));
          } else taken.push(inbox.shift() ?? Buffer.alloc(0));
        }
        for (let chunk = inbox.shift(); chunk !== null; chunk = inbox.shift()) taken.push(chunk);
        expect(Buffer.concat(taken).equals(Buffer.concat(given))).toBe(true);
        expect(inbox.bytes).toBe(0);
      }),
    );
  });

  test('gathers single bytes, whatever reads they came with, in few small blocks', () => {
    const inbox = new Inbox();
    for (let n = 0; n < 100_000; n += 1) inbox.append(Buffer.alloc(16).subarray(0, 1));
    let chunks = 0;
    let memory = 0;
    for (let chunk = inbox.shift(); chunk !== null; chunk = inbox.shift()) {
      chunks += 1;
      memory += chunk.buffer.byteLength;
    }
    expect(chunks).toBeLessThan(30);
    expect(memory).toBeLessThan(250_000);
  });
});

describe('the receive window', () => {
  const createHost = (roundTripMs: number | null, growth = new CreditBudget(MAX_STREAM_CREDIT)) => ({
    growth,
    maxStreamCredit: MAX_STREAM_CREDIT,
    roundTripMs: () => roundTripMs,
  });
  /** Reads whole windows, each in so many milliseconds. */
  const readWindows = (window: ReceiveWindow, times: number, eachMs: number) => {
    let nowMs = 0;
    for (let n = 0; n < times; n += 1) {
      const bytes = window.allowed;
      window.arrived(bytes);
      window.read(1, nowMs);
      nowMs += eachMs;
      window.read(bytes - 1, nowMs);
    }
  };

  test('grows to its limit while it is read within a few round trips', () => {
    const window = new ReceiveWindow(createHost(50));
    readWindows(window, 20, 60);
    expect(window.size).toBe(MAX_STREAM_CREDIT);
  });

  test('does not grow when it is read slowly, or while no round trip is known', () => {
    for (const host of [createHost(50), createHost(null)]) {
      const window = new ReceiveWindow(host);
      readWindows(window, 20, 400);
      expect(window.size).toBe(INITIAL_STREAM_CREDIT);
    }
  });

  test('shrinks again when its reader becomes slow, and gives the growth back', () => {
    const growth = new CreditBudget(MAX_STREAM_CREDIT);
    const window = new ReceiveWindow(createHost(50, growth));
    readWindows(window, 20, 60);
    readWindows(window, 20, 5_000);
    expect(window.size).toBe(INITIAL_STREAM_CREDIT);
    expect(growth.leftBytes).toBe(MAX_STREAM_CREDIT);
  });

  test('does not grow beyond the budget of its link or the one that links share', () => {
    const shared = new CreditBudget(INITIAL_STREAM_CREDIT * 3);
    const windows = [0, 1].map(() => new ReceiveWindow(createHost(50, new CreditBudget(MAX_STREAM_CREDIT, shared))));
    for (const window of windows) readWindows(window, 20, 60);
    expect(windows.map((window) => window.size)).toEqual([INITIAL_STREAM_CREDIT * 4, INITIAL_STREAM_CREDIT]);
    for (const window of windows) window.close();
    expect(shared.leftBytes).toBe(INITIAL_STREAM_CREDIT * 3);
  });

  test('never leaves a sender of whole frames waiting when everything was read, whatever happened before', () => {
    const step = fc.record({ share: fc.double({ min: 0.01, max: 1, noNaN: true }), afterMs: fc.nat(2_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const growth = new CreditBudget(MAX_STREAM_CREDIT);
        const window = new ReceiveWindow(createHost(20, growth));
        let nowMs = 0;
        for (const { share, afterMs } of steps) {
          const bytes = Math.max(1, Math.floor(window.allowed * share));
          expect(window.arrived(bytes)).toBe(true);
          nowMs += afterMs;
          window.read(bytes, nowMs);
          expect(window.allowed).toBeGreaterThanOrEqual(MAX_FRAME_PAYLOAD);
          expect(window.allowed).toBeLessThanOrEqual(MAX_STREAM_CREDIT);
        }
        window.close();
        expect(growth.leftBytes).toBe(MAX_STREAM_CREDIT);
      }),
    );
  });

  test('notices a byte more than it allowed', () => {
    const window = new ReceiveWindow(createHost(null));
    expect(window.arrived(INITIAL_STREAM_CREDIT)).toBe(true);
    expect(window.arrived(1)).toBe(false);
  });
});

test('a rate admits its bursts and then its average', () => {
  const bucket = new TokenBucket(10, 2, 0);
  const admitted = (nowMs: number) => {
    let times = 0;
    while (bucket.take(nowMs)) times += 1;
    return times;
  };
  expect([admitted(0), admitted(1_000), admitted(1_050), admitted(60_000)]).toEqual([20, 10, 0, 20]);
});
