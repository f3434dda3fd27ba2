import { randomBytes, randomInt } from 'node:crypto';
import { MAX_STREAM_HEAD, TowlineError } from '@towline/protocol';
import { expect, test } from 'vitest';
import type { LinkPair } from './link-pair.ts';
import { failureOf, firstBytes, nextStream, readToEnd, settle, sha256 } from './stream-ends.ts';

const HEAD = Buffer.from('/conformance/1');

/** What single streams promise: heads, bytes, half-close, resets. */
export function streamCases(pair: () => LinkPair): void {
  test.each([1, 300, MAX_STREAM_HEAD])('a head of %i bytes arrives as it was given', async (bytes) => {
    const head = randomBytes(bytes);
    const accepted = nextStream(pair().acceptor);
    expect(pair().opener.openStream(head).head).toEqual(head);
    expect((await accepted).head).toEqual(head);
  });

  test('an empty head and one above the limit are refused where they are opened', () => {
    expect(() => pair().opener.openStream(Buffer.alloc(0))).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(() => pair().opener.openStream(Buffer.alloc(MAX_STREAM_HEAD + 1))).toThrow(expect.objectContaining({ code: 'too_large' }));
    expect(pair().opener.stats.openStreams).toBe(0);
  });

  test.each([0, 1, 65_535, 65_536, 65_537, 3_000_000])('%i bytes of any value arrive unchanged, both ways at once', async (bytes) => {
    const [up, down] = [randomBytes(bytes), randomBytes(bytes)];
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    near.end(up);
    const far = await accepted;
    far.end(down);
    const outcomes = await Promise.all([readToEnd(far), readToEnd(near)]);
    expect(outcomes).toEqual([up, down].map((whole) => ({ bytes, sha256: sha256(whole), end: 'clean' })));
  });

  test('after the opener has ended, the acceptor can still send', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    near.end('question');
    const far = await accepted;
    expect((await readToEnd(far)).end).toBe('clean');
    far.write('ans');
    await settle(pair().opener);
    far.end('wer');
    expect(await readToEnd(near)).toEqual({ bytes: 6, sha256: sha256(Buffer.from('answer')), end: 'clean' });
  });

  test('after the acceptor has ended, the opener can still send', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const far = await accepted;
    far.end();
    expect((await readToEnd(near)).end).toBe('clean');
    near.end('afterwards');
    expect((await readToEnd(far)).bytes).toBe(10);
  });

  test('a stream that ended both ways is gone on both sides', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    near.end();
    const far = await accepted;
    far.end();
    await Promise.all([readToEnd(near), readToEnd(far)]);
    await settle(pair().opener);
    expect([pair().opener.stats.openStreams, pair().acceptor.stats.openStreams]).toEqual([0, 0]);
  });

  test.each(['opener', 'acceptor'] as const)('a reset by the %s carries its code', async (side) => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const far = await accepted;
    const [resets, learns] = side === 'opener' ? [near, far] : [far, near];
    const learnt = failureOf(learns);
    resets.destroy(new TowlineError('forbidden'));
    expect(await learnt).toBe('forbidden');
  });

  test('destroying without an error resets with `cancelled`, with a foreign error with `internal`', async () => {
    const codes: string[] = [];
    for (const error of [undefined, new Error('not for the peer')]) {
      const accepted = nextStream(pair().acceptor);
      const near = pair().opener.openStream(HEAD);
      const learnt = failureOf(await accepted);
      near.destroy(error);
      codes.push(await learnt);
    }
    expect(codes).toEqual(['cancelled', 'internal']);
  });

  test('a reset never looks like a clean end, also when data came before it', async () => {
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const read = readToEnd(await accepted);
    near.write('half of it');
    await settle(pair().opener);
    near.destroy(new TowlineError('unavailable'));
    expect(await read).toMatchObject({ bytes: 10, end: 'unavailable' });
  });

  test('a reader that gives up in the middle stops the writer and nothing else', async () => {
    const other = nextStream(pair().acceptor);
    const bystander = pair().opener.openStream(HEAD);
    const otherFar = await other;
    const accepted = nextStream(pair().acceptor);
    const near = pair().opener.openStream(HEAD);
    const far = await accepted;
    const learnt = failureOf(near);
    near.write(randomBytes(2_000_000));
    await firstBytes(far);
    far.destroy();
    expect(await learnt).toBe('cancelled');
    bystander.end('still here');
    expect((await readToEnd(otherFar)).bytes).toBe(10);
  });

  test('a stream that nobody listens for is reset with `unavailable`', async () => {
    expect(await failureOf(pair().opener.openStream(HEAD))).toBe('unavailable');
  });

  test('a listener that throws costs its stream and not the link', async () => {
    pair().acceptor.onStream(() => {
      throw new Error('a mistake of the listener');
    });
    expect(await failureOf(pair().opener.openStream(HEAD))).toBe('internal');
    const accepted = nextStream(pair().acceptor);
    pair().opener.openStream(HEAD);
    expect((await accepted).head).toEqual(HEAD);
  });

  test('a thousand streams at once each carry their own bytes', async () => {
    pair().acceptor.onStream((stream) => stream.pipe(stream));
    const outcomes = Array.from({ length: 1_000 }, async () => {
      const sent = randomBytes(randomInt(0, 20_000));
      const stream = pair().opener.openStream(HEAD);
      stream.end(sent);
      expect(await readToEnd(stream)).toEqual({ bytes: sent.length, sha256: sha256(sent), end: 'clean' });
    });
    await Promise.all(outcomes);
    await settle(pair().opener);
    expect(pair().acceptor.stats.openStreams).toBe(0);
  });
}
