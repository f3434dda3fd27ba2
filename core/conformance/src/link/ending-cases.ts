import { randomBytes } from 'node:crypto';
import type { ByteStream } from '@towline/contract';
import { expect, test } from 'vitest';
import type { LinkPair } from './link-pair.ts';
import { failureOf, nextStream, pourInto, readToEnd, settle, sha256 } from './stream-ends.ts';

const HEAD = Buffer.from('/conformance/1');

/** What a link promises about its life and its end. */
export function endingCases(pair: () => LinkPair): void {
  test.each(['opener', 'acceptor'] as const)('a close by the %s tells both ends why and who', async (side) => {
    const [closes, learns] = side === 'opener' ? [pair().opener, pair().acceptor] : [pair().acceptor, pair().opener];
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const far = await accepted;
    const failures = Promise.all([failureOf(near), failureOf(far)]);
    await closes.close('device_removed', 'Removed: für immer');
    expect(await closes.closed).toEqual({ code: 'device_removed', message: 'Removed: für immer', by: 'self' });
    expect(await learns.closed).toEqual({ code: 'device_removed', message: 'Removed: für immer', by: 'peer' });
    expect(await failures).toEqual(['device_removed', 'device_removed']);
  });

  test('what was written and ended before a close still arrives whole', async () => {
    const sent = randomBytes(150_000);
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    near.end();
    const far = await accepted;
    far.resume();
    const read = readToEnd(near);
    far.end(sent);
    await pair().acceptor.close('link_closed', 'bye', 5_000);
    expect(await read).toEqual({ bytes: sent.length, sha256: sha256(sent), end: 'clean' });
  });

  test('a writer that never stops does not keep a link from closing', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    (await accepted).resume();
    pourInto(near, Buffer.alloc(65_536));
    await pair().opener.close('session_ended', 'enough', 20_000);
    expect((await pair().acceptor.closed).code).toBe('session_ended');
  });

  test('closing twice says the first reason once', async () => {
    await Promise.all([pair().opener.close('link_closed'), pair().opener.close('internal')]);
    await pair().opener.close('internal');
    expect((await pair().opener.closed).code).toBe('link_closed');
    expect((await pair().acceptor.closed).code).toBe('link_closed');
  });

  test('a closed link opens no stream and answers no ping', async () => {
    await pair().opener.close('link_closed');
    expect(() => pair().opener.openStream(HEAD)).toThrow(expect.objectContaining({ code: 'link_closed' }));
    await expect(pair().opener.ping(AbortSignal.timeout(1_000))).rejects.toMatchObject({ code: 'link_closed' });
  });

  test('a severed wire is `lost` on both ends, and no stream has a clean end', async () => {
    const streams: ByteStream[] = [];
    pair().acceptor.onStream((stream) => {
      streams.push(stream);
      stream.pipe(stream);
    });
    for (let n = 0; n < 20; n += 1) {
      const stream = pair().opener.openStream(HEAD);
      streams.push(stream);
      pourInto(stream, randomBytes(10_000));
    }
    const outcomes = streams.map(readToEnd);
    await settle(pair().opener);
    pair().sever();
    const ends = await Promise.all([pair().opener.closed, pair().acceptor.closed]);
    expect(ends).toEqual([
      expect.objectContaining({ code: 'link_lost', by: 'lost' }),
      expect.objectContaining({ code: 'link_lost', by: 'lost' }),
    ]);
    expect(new Set((await Promise.all(outcomes)).map(({ end }) => end))).toEqual(new Set(['link_lost']));
  });

  test('writes that wait are failed when the wire is severed', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    await accepted;
    const failed = new Promise((resolve) => near.write(Buffer.alloc(5_000_000), resolve));
    await settle(pair().opener);
    pair().sever();
    expect(await failed).toBeInstanceOf(Error);
  });

  test('a ping measures a round trip from either end', async () => {
    for (const link of [pair().opener, pair().acceptor]) {
      const roundTripMs = await link.ping(AbortSignal.timeout(5_000));
      expect(roundTripMs).toBeGreaterThan(0);
      expect(roundTripMs).toBeLessThan(5_000);
    }
  });

  test('a ping that is given up rejects with the reason', async () => {
    const reason = new Error('no longer wanted');
    await expect(pair().opener.ping(AbortSignal.abort(reason))).rejects.toBe(reason);
    const giveUp = new AbortController();
    const ping = pair().opener.ping(giveUp.signal);
    giveUp.abort(reason);
    await expect(ping).rejects.toBe(reason);
    await settle(pair().opener);
  });

  test('the figures of a link follow what it does', async () => {
    const before = pair().acceptor.stats;
    const accepted = nextStream(pair().acceptor);
    pair().opener.openStream(HEAD).write(Buffer.alloc(1_000));
    await accepted;
    await settle(pair().opener);
    const after = pair().acceptor.stats;
    expect(after.openStreams).toBe(1);
    expect(after.bytesIn - before.bytesIn).toBeGreaterThan(1_000);
    expect(after.lastReceivedMs).toBeGreaterThan(before.lastReceivedMs);
    expect(pair().opener.stats.bytesOut).toBeGreaterThanOrEqual(after.bytesIn);
  });
}
