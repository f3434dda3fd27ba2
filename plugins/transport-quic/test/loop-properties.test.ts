import type { ByteStream } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Profile } from '../../../test/support/udp-impairment/impairment.mjs';
import { type LinkedPair, link, startServer, until, within } from './support-quic.ts';
import { openWire } from './support-wire.ts';

/** Time for all runs of one property, milliseconds. A run takes some tenths of a second to some seconds. */
const BUDGET_MS = 15_000;
/** Time in which a run must be over, milliseconds: more is a stream that waits for ever. */
const RUN_MS = 25_000;

/** What one end does with its direction of a stream. */
interface Part {
  readonly bytes: number;
  /** Bytes after which it breaks the stream off, if it does. */
  readonly breakAfter: number | null;
  /** Bytes after which it stops reading for a while, if it does. */
  readonly pauseAfter: number | null;
  readonly pauseMs: number;
  /** Ends its direction only when the other has ended. */
  readonly endsLast: boolean;
}

const part = fc.record({
  bytes: fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 65_536, 65_537) },
    { weight: 3, arbitrary: fc.nat(20_000) },
    { weight: 2, arbitrary: fc.nat(300_000) },
  ),
  breakAfter: fc.option(fc.nat(200_000), { freq: 5 }),
  pauseAfter: fc.option(fc.nat(50_000), { freq: 3 }),
  pauseMs: fc.integer({ min: 1, max: 200 }),
  endsLast: fc.boolean(),
});
const stream = fc.record({ up: part, down: part, delayMs: fc.nat(30) });
const share = (most: number) => fc.nat(1_000).map((thousandths) => (most * thousandths) / 1_000);
const profile: fc.Arbitrary<Profile> = fc.record({
  loss: share(0.2),
  delayMs: share(3),
  jitterMs: share(2),
  duplicate: share(0.1),
  corrupt: share(0.05),
  reorder: fc.record({ probability: share(0.2), holdMs: share(6) }),
});

/** Runs a property for its time, or longer where a run is not over by then. */
async function check<Given extends [unknown, ...unknown[]]>(
  seed: number,
  given: { [Place in keyof Given]: fc.Arbitrary<Given[Place]> },
  run: (...values: Given) => Promise<void>,
): Promise<void> {
  let runs = 0;
  let last: Promise<void> = Promise.resolve();
  const property = fc.asyncProperty(...given, (...values: Given) => {
    runs += 1;
    last = run(...values);
    return last;
  });
  await fc.assert(property, { seed, numRuns: 1_000, interruptAfterTimeLimit: BUDGET_MS, endOnFailure: true });
  await last;
  expect(runs).toBeGreaterThan(5);
}

/** The byte at a place of the stream with this number: wrong order and mixed streams show. */
const byteAt = (seed: number, at: number) => (seed * 31 + at * 7 + (at >> 8) * 13) & 0xff;

function content(seed: number, bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 1) all[at] = byteAt(seed, at);
  return all;
}

function breaksOff(one: Part): one is Part & { readonly breakAfter: number } {
  return one.breakAfter !== null && one.breakAfter <= one.bytes;
}

/** How one end of a stream came out. */
interface Outcome {
  readonly received: Buffer;
  readonly ended: boolean;
  readonly error: unknown;
}

/** Plays one end of a stream, until it is closed. */
function play(end: ByteStream, mine: Part, seed: number): Promise<Outcome> {
  const parts: Buffer[] = [];
  let received = 0;
  let ended = false;
  let paused = false;
  let error: unknown = null;
  const all = content(seed, mine.bytes);
  if (breaksOff(mine)) {
    end.write(all.subarray(0, mine.breakAfter));
    setTimeout(() => end.destroy(), mine.breakAfter % 40);
  } else {
    end.write(all);
    if (!mine.endsLast) end.end();
  }
  end.on('data', (bytes: Buffer) => {
    parts.push(bytes);
    received += bytes.length;
    if (paused || mine.pauseAfter === null || received < mine.pauseAfter) return;
    paused = true;
    end.pause();
    setTimeout(() => end.resume(), mine.pauseMs);
  });
  end.once('end', () => {
    ended = true;
    if (!breaksOff(mine) && !end.writableEnded) end.end();
  });
  end.once('error', (thrown) => {
    error = thrown;
  });
  return new Promise((resolve) => end.once('close', () => resolve({ received: Buffer.concat(parts), ended, error })));
}

/** What holds of one direction, whatever became of it. */
function judge(outcome: Outcome, { sender, reader, seed, broken }: { sender: Part; reader: Part; seed: number; broken: boolean }): void {
  const { received, ended, error } = outcome;
  const expected = content(seed, sender.bytes);
  expect(received.equals(expected.subarray(0, received.length)), 'every byte in its place').toBe(true);
  if (ended) expect(received.length, 'an end behind the last byte').toBe(expected.length);
  if (ended) expect(breaksOff(sender), 'no end of what was broken off').toBe(false);
  if (!broken) expect({ ended, error }).toEqual({ ended: true, error: null });
  else if (!ended && !breaksOff(reader)) expect(isTowlineError(error), 'a code for what is missing').toBe(true);
}

/** Both ends of all streams, each played to its end. */
async function playAll(pair: LinkedPair, streams: readonly { readonly up: Part; readonly down: Part; readonly delayMs: number }[]) {
  const far: Promise<Outcome>[] = [];
  pair.acceptor.onStream((arrived) => {
    const number = Number(arrived.head.toString());
    far[number] = play(arrived, streams[number]!.down, 2 * number + 1);
  });
  const near = streams.map(async ({ up, down, delayMs }, number) => {
    await new Promise((soon) => setTimeout(soon, delayMs));
    const bothWait = up.endsLast && down.endsLast;
    const mine = bothWait ? { ...up, endsLast: false } : up;
    return await play(pair.opener.openStream(Buffer.from(String(number))), mine, 2 * number);
  });
  const [nearOutcomes] = await within(Promise.all([Promise.all(near)]), 'all near ends', RUN_MS);
  const farOutcomes = await within(Promise.all(streams.map((_, number) => far[number])), 'all far ends', RUN_MS);
  return streams.map((each, number) => ({ each, number, near: nearOutcomes[number]!, far: farOutcomes[number] }));
}

describe('a link over a wire that loses, repeats, damages and reorders', () => {
  it('brings every byte once and in order to a clean end, or fails the stream', async () => {
    await check(20_260, [fc.array(stream, { minLength: 1, maxLength: 8 }), profile, profile, fc.nat()], async (streams, up, down, seed) => {
      using wire = openWire(seed);
      const server = await startServer({ socket: wire.server });
      const pair = await link(server, {}, { openSocket: async () => wire.client });
      try {
        wire.impair(up, down);
        for (const { each, number, near, far } of await playAll(pair, streams)) {
          const broken = breaksOff(each.up) || breaksOff(each.down);
          judge(near, { sender: each.down, reader: each.up, seed: 2 * number + 1, broken });
          // A stream that is broken off before it arrives never does.
          if (far) judge(far, { sender: each.up, reader: each.down, seed: 2 * number, broken });
        }
        await until(() => pair.opener.stats.openStreams === 0 && pair.acceptor.stats.openStreams === 0, 'the link has no stream left');
        await until(() => pair.near.openStreams === 1 && pair.far.openStreams === 1, 'the connection has none but its own');
        wire.impair({}, {});
        await pair.opener.close('link_closed');
        await until(() => server.server.figures['connections'] === 0, 'the server has no connection left');
      } finally {
        pair.near.abandon();
        await server.close();
      }
    });
  }, 60_000);

  it('that is cut at any moment shows no clean end without its bytes', async () => {
    const given = [fc.array(stream, { minLength: 1, maxLength: 6 }), profile, fc.nat(60), fc.nat()] as const;
    await check(20_261, [...given], async (streams, both, cutAfterMs, seed) => {
      using wire = openWire(seed);
      const tuning = { idleMs: 400 };
      const server = await startServer({ socket: wire.server, tuning });
      const pair = await link(server, {}, { openSocket: async () => wire.client, tuning });
      try {
        wire.impair(both, both);
        setTimeout(() => wire.impair({ loss: 1 }, { loss: 1 }), cutAfterMs);
        const played: Promise<void>[] = [];
        const keep = (one: Promise<void>) => {
          one.catch(() => {});
          played.push(one);
        };
        pair.acceptor.onStream((arrived) => keep(playFar(arrived, streams)));
        for (const [number, { up, down }] of streams.entries()) {
          const mine = play(pair.opener.openStream(Buffer.from(String(number))), up, 2 * number);
          keep(mine.then((outcome) => judge(outcome, { sender: down, reader: up, seed: 2 * number + 1, broken: true })));
        }
        const ends = await within(Promise.all([pair.opener.closed, pair.acceptor.closed]), 'both ends of the link', RUN_MS);
        for (const end of ends) expect(end).toMatchObject({ code: 'link_lost', by: 'lost' });
        await within(Promise.all(played), 'all streams', RUN_MS);
        expect(pair.near.openStreams + pair.far.openStreams).toBe(0);
        await until(() => server.server.figures['connections'] === 0, 'the server has no connection left');
      } finally {
        await server.close();
      }
    });
  }, 60_000);
});

async function playFar(arrived: ByteStream, streams: readonly { readonly up: Part; readonly down: Part }[]): Promise<void> {
  const number = Number(arrived.head.toString());
  const { up, down } = streams[number]!;
  const outcome = await play(arrived, down, 2 * number + 1);
  judge(outcome, { sender: up, reader: down, seed: 2 * number, broken: true });
}
