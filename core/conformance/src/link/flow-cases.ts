import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { INITIAL_STREAM_CREDIT, MAX_STREAM_CREDIT } from '@towline/protocol';
import { expect, test } from 'vitest';
import type { LinkPair, MakeLinkPair } from './link-pair.ts';
import { firstBytes, nextStream, pourInto, readToEnd, settle, sha256 } from './stream-ends.ts';

const HEAD = Buffer.from('/conformance/1');
const CHUNK = Buffer.alloc(65_536, 7);
/** What a writer may be ahead of a reader that never read: the initial window and the buffers of both ends. */
const MOST_AHEAD = INITIAL_STREAM_CREDIT * 2;

/** What streams promise together: back-pressure, fairness, limits. */
export function flowCases(pair: () => LinkPair, makePair: MakeLinkPair): void {
  test('a writer waits for a reader that does not read, and everything arrives once it does', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const far = await accepted;
    const taken = pourInto(near, CHUNK);
    await settle(pair().opener);
    const ahead = taken();
    await settle(pair().opener);
    expect(taken()).toBe(ahead);
    expect(ahead).toBeLessThanOrEqual(MOST_AHEAD);
    near.end();
    expect(await readToEnd(far)).toMatchObject({ bytes: ahead, end: 'clean' });
  });

  test('the callback of a write waits as well', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const far = await accepted;
    let written = false;
    near.write(Buffer.alloc(MAX_STREAM_CREDIT), () => {
      written = true;
    });
    await settle(pair().opener);
    expect(written).toBe(false);
    far.resume();
    near.end();
    await once(near, 'finish');
    expect(written).toBe(true);
  });

  test('a stream that nobody reads does not hold up another', async () => {
    const first = nextStream(pair().acceptor);
    pourInto(pair().opener.openStream(HEAD), CHUNK);
    await first;
    const sent = randomBytes(5_000_000);
    const second = nextStream(pair().acceptor);
    pair().opener.openStream(HEAD).end(sent);
    expect(await readToEnd(await second)).toEqual({ bytes: sent.length, sha256: sha256(sent), end: 'clean' });
  });

  test('a small message does not wait behind a bulk transfer in either direction', async () => {
    let bulkBytes = 0;
    const count = (chunk: Buffer) => {
      bulkBytes += chunk.length;
    };
    const streams = [nextStream(pair().acceptor)];
    const bulk = pair().opener.openStream(HEAD).on('data', count);
    const bulkFar = (await streams[0]!).on('data', count);
    pourInto(bulk, CHUNK);
    pourInto(bulkFar, CHUNK);
    const accepted = nextStream(pair().acceptor);
    const small = pair().opener.openStream(HEAD);
    const smallFar = await accepted;
    smallFar.pipe(smallFar);
    for (let times = 0; times < 20; times += 1) {
      const before = bulkBytes;
      small.write('x');
      await firstBytes(small);
      expect(bulkBytes - before).toBeLessThan(4 * MAX_STREAM_CREDIT);
    }
    expect(bulkBytes).toBeGreaterThan(0);
    bulk.destroy();
  });

  test('many small writes cost no more than their bytes', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const read = readToEnd(await accepted);
    const before = pair().opener.stats.bytesOut;
    for (let times = 0; times < 10_000; times += 1) near.write('x');
    near.end();
    expect((await read).bytes).toBe(10_000);
    expect(pair().opener.stats.bytesOut - before).toBeLessThan(12_000);
  });

  test('opening above the limit fails at once with `stream_limit`, and works again when a stream is over', async () => {
    const limited = await makePair({ maxStreams: 5 });
    try {
      limited.acceptor.onStream((stream) => stream.pipe(stream));
      const streams = Array.from({ length: 5 }, () => limited.opener.openStream(HEAD));
      expect(() => limited.opener.openStream(HEAD)).toThrow(expect.objectContaining({ code: 'stream_limit' }));
      streams[0]!.end();
      await readToEnd(streams[0]!);
      await settle(limited.opener);
      limited.opener.openStream(HEAD).end('x');
    } finally {
      await limited.dispose();
    }
  });
}
