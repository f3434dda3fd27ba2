import type { ByteStream, Link } from '@towline/contract';
import {
  ERRORS,
  encodeClose,
  encodeCredit,
  encodeDataHead,
  encodeFin,
  encodeOpen,
  encodePing,
  encodePong,
  encodeReset,
  INITIAL_STREAM_CREDIT,
  MAX_CREDIT,
  TowlineError,
} from '@towline/protocol';
import { afterEach, describe, expect, test } from 'vitest';
import { createLink, type LinkOptions } from '../src/mux/create-link.ts';
import { connectMemory, connectNet } from './mux-pairs.ts';
import { RawPeer } from './mux-raw-peer.ts';

const HEAD = Buffer.from('/test/1');
const data = (stream: number, bytes: number) => Buffer.concat([encodeDataHead(stream, bytes), Buffer.alloc(bytes, 1)]);
const manyData = (stream: number, bytes: number) =>
  Array.from({ length: Math.ceil(bytes / 65_536) }, (_, n) => data(stream, Math.min(65_536, bytes - n * 65_536)));

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

async function facePeer(options: LinkOptions): Promise<{ link: Link; peer: RawPeer; streams: ByteStream[] }> {
  const [near, far] = await connectNet();
  cleanUps.push(
    () => near.destroy(),
    () => far.destroy(),
  );
  const link = createLink(near, options);
  const streams: ByteStream[] = [];
  link.onStream((stream) => void streams.push(stream));
  return { link, peer: new RawPeer(far), streams };
}

async function pingThrough(peer: RawPeer, mark = Math.floor(Math.random() * 1e9)): Promise<void> {
  const opaque = Buffer.alloc(8);
  opaque.writeUInt32BE(mark, 4);
  peer.send(encodePing(opaque));
  await peer.seen('pong', (frame) => frame[2] === opaque.toString('hex'));
}

describe('a peer that breaks the protocol gets CLOSE with protocol_error', () => {
  const opened = encodeOpen(5, HEAD);
  test.each<[string, readonly Uint8Array[]]>([
    ['bytes that are no frame', [Buffer.from('GET / HTTP/1.1\r\n')]],
    ['data for a stream never opened', [data(1, 1)]],
    ['an end of a stream never opened', [encodeFin(1)]],
    ['a reset of a stream never opened', [encodeReset(1, 10)]],
    ['credit for a stream never opened', [encodeCredit(1, 1)]],
    ['a stream id used twice', [opened, opened]],
    ['a stream id below an earlier one', [opened, encodeOpen(4, HEAD)]],
    ['a stream id used again after the stream was over', [opened, encodeReset(5, 10), opened]],
    ['data after the end', [opened, encodeFin(5), data(5, 1)]],
    ['two ends', [opened, encodeFin(5), encodeFin(5)]],
    ['data after its own reset', [opened, encodeReset(5, 10), data(5, 1)]],
    ['one byte more than the credit', [opened, ...manyData(5, INITIAL_STREAM_CREDIT + 1)]],
    ['more credit than a stream can hold', [opened, encodeCredit(5, MAX_CREDIT)]],
  ])('%s', async (_what, frames) => {
    const { link, peer, streams } = await facePeer({ role: 'acceptor' });
    peer.send(...frames);
    expect(await peer.seen('close')).toMatchObject(['close', ERRORS.protocol_error.wire, expect.stringContaining('The peer')]);
    expect(await link.closed).toMatchObject({ code: 'protocol_error', by: 'self' });
    for (const stream of streams) expect(stream.destroyed).toBe(true);
  });

  test('an opening towards the end that opens', async () => {
    const { link, peer } = await facePeer({ role: 'opener' });
    peer.send(encodeOpen(1, HEAD));
    expect((await peer.seen('close'))[1]).toBe(ERRORS.protocol_error.wire);
    expect((await link.closed).code).toBe('protocol_error');
  });

  test('data for a stream this end has not told the peer about', async () => {
    const { link, peer } = await facePeer({ role: 'opener' });
    peer.send(data(1, 1));
    expect((await link.closed).code).toBe('protocol_error');
  });

  test('more on a stream that was reset than it had credit for', async () => {
    const { link, peer, streams } = await facePeer({ role: 'acceptor' });
    peer.send(encodeOpen(1, HEAD));
    await pingThrough(peer);
    streams[0]!.destroy();
    await peer.seen('reset');
    peer.send(...manyData(1, INITIAL_STREAM_CREDIT));
    await pingThrough(peer);
    peer.send(data(1, 1));
    expect((await link.closed).code).toBe('protocol_error');
  });
});

describe('frames that cross on the way are no offence', () => {
  test.each<[string, readonly Uint8Array[]]>([
    ['data', [data(1, 1_000)]],
    ['an end', [encodeFin(1)]],
    ['a reset', [encodeReset(1, 10)]],
    ['credit', [encodeCredit(1, 100_000)]],
  ])('%s for a stream that was just reset', async (_what, frames) => {
    const { peer, streams } = await facePeer({ role: 'acceptor' });
    peer.send(encodeOpen(1, HEAD));
    await pingThrough(peer);
    streams[0]!.destroy();
    peer.send(...frames);
    await pingThrough(peer);
    expect(peer.frames.some(([type]) => type === 'close')).toBe(false);
  });

  test('a reset of a stream that came to its end both ways leaves what was not read', async () => {
    const { peer, streams } = await facePeer({ role: 'acceptor' });
    peer.send(encodeOpen(1, HEAD), data(1, 5_000), encodeFin(1));
    await pingThrough(peer);
    streams[0]!.end();
    await peer.seen('fin');
    peer.send(encodeReset(1, 10));
    await pingThrough(peer);
    expect((await streams[0]!.toArray()).reduce((sum, chunk) => sum + chunk.length, 0)).toBe(5_000);
  });

  test('a PONG nobody waits for', async () => {
    const { peer } = await facePeer({ role: 'acceptor' });
    peer.send(encodePong(Buffer.alloc(8, 255)));
    await pingThrough(peer);
  });
});

describe('limits', () => {
  test('streams above the limit are reset with `stream_limit`, the others live', async () => {
    const { peer, streams } = await facePeer({ role: 'acceptor', limits: { maxStreams: 2 } });
    peer.send(encodeOpen(1, HEAD), encodeOpen(2, HEAD), encodeOpen(3, HEAD), data(3, 100));
    expect(await peer.seen('reset')).toEqual(['reset', 3, ERRORS.stream_limit.wire]);
    expect(streams.map((stream) => stream.destroyed)).toEqual([false, false]);
  });

  test('a stream counts until it was read, also when the peer ended and reset it', async () => {
    const { peer, streams } = await facePeer({ role: 'acceptor', limits: { maxStreams: 1 } });
    peer.send(encodeOpen(1, HEAD), data(1, 5_000), encodeFin(1));
    await pingThrough(peer);
    streams[0]!.end();
    await peer.seen('fin');
    peer.send(encodeReset(1, 10), encodeOpen(2, HEAD));
    expect(await peer.seen('reset')).toEqual(['reset', 2, ERRORS.stream_limit.wire]);
    await streams[0]!.toArray();
    peer.send(encodeOpen(3, HEAD));
    await pingThrough(peer);
    expect(streams).toHaveLength(2);
  });

  test('openings above the rate are reset with `stream_limit`', async () => {
    const { peer } = await facePeer({ role: 'acceptor', limits: { openingsPerSecond: 2 } });
    for (let id = 1; id <= 25; id += 1) peer.send(encodeOpen(id, HEAD), encodeReset(id, 10));
    await pingThrough(peer);
    const refused = peer.frames.filter(([type, , wire]) => type === 'reset' && wire === ERRORS.stream_limit.wire);
    expect(refused.length).toBeGreaterThanOrEqual(3);
  });

  test('this end opens more slowly than its peer admits', async () => {
    const { link } = await facePeer({ role: 'opener', limits: { openingsPerSecond: 2 } });
    const open = () => Array.from({ length: 11 }, () => link.openStream(HEAD).destroy());
    expect(open).toThrow(expect.objectContaining({ code: 'stream_limit' }));
  });

  test.each<[string, Uint8Array]>([
    ['pings', encodePing(Buffer.alloc(8))],
    ['pongs', encodePong(Buffer.alloc(8))],
    ['tiny credits', encodeCredit(1, 1)],
    ['resets of what is long over', encodeReset(1, 10)],
  ])('a flood of %s ends the link with `link_flooded`', async (_what, frame) => {
    const { link, peer } = await facePeer({ role: 'acceptor', limits: { controlFramesPerSecond: 20 } });
    peer.send(encodeOpen(1, HEAD), ...Array.from({ length: 400 }, () => frame));
    expect((await peer.seen('close'))[1]).toBe(ERRORS.link_flooded.wire);
    expect(await link.closed).toMatchObject({ code: 'link_flooded', by: 'self' });
  });

  test('openings that go on after they were refused end the link', async () => {
    const { link, peer } = await facePeer({ role: 'acceptor', limits: { maxStreams: 1, controlFramesPerSecond: 10 } });
    for (let id = 1; id <= 200; id += 1) peer.send(encodeOpen(id, HEAD));
    expect((await link.closed).code).toBe('link_flooded');
  });

  test('a peer that causes answers and reads none is cut off', async () => {
    const [near, far] = connectMemory();
    const link = createLink(near, { role: 'acceptor' });
    const ping = encodePing(Buffer.alloc(8));
    for (let n = 0; n < 40; n += 1) far.write(Buffer.concat(Array.from({ length: 1_000 }, () => ping)));
    expect((await link.closed).code).toBe('link_flooded');
  });

  test('when too much is held unread, the stream that holds most is reset', async () => {
    const { peer, streams } = await facePeer({ role: 'acceptor', limits: { maxUnreadBytes: 300_000 } });
    peer.send(encodeOpen(1, HEAD), encodeOpen(2, HEAD), ...manyData(1, 120_000), ...manyData(2, 200_000));
    expect(await peer.seen('reset')).toEqual(['reset', 2, ERRORS.stream_limit.wire]);
    expect(streams.map((stream) => stream.destroyed)).toEqual([false, true]);
  });
});

describe('nothing a peer sends throws', () => {
  test('a reset of a stream without an error listener', async () => {
    const { peer, streams } = await facePeer({ role: 'acceptor' });
    peer.send(encodeOpen(1, HEAD), encodeReset(1, ERRORS.forbidden.wire));
    await pingThrough(peer);
    expect(streams[0]!.errored).toMatchObject({ code: 'forbidden' });
  });

  test('a reader that throws costs its stream only', async () => {
    const { peer, streams } = await facePeer({ role: 'acceptor' });
    peer.send(encodeOpen(1, HEAD));
    await pingThrough(peer);
    streams[0]!.on('data', () => {
      throw new Error('a mistake of the reader');
    });
    await new Promise(setImmediate);
    peer.send(data(1, 10));
    expect(await peer.seen('reset')).toEqual(['reset', 1, ERRORS.internal.wire]);
    await pingThrough(peer);
  });

  test('a reset or close code no catalogue has', async () => {
    const { link, peer, streams } = await facePeer({ role: 'acceptor' });
    peer.send(encodeOpen(1, HEAD), encodeReset(1, 4_000_000_000));
    await pingThrough(peer);
    expect(streams[0]!.errored).toMatchObject({ code: 'stream_reset' });
    peer.send(encodeClose(4_000_000_000, 'a reason of tomorrow'));
    expect(await link.closed).toEqual({ code: 'link_closed', message: 'a reason of tomorrow', by: 'peer' });
  });

  test('an end of the wire without CLOSE is a loss, also after every byte was there', async () => {
    const [near, far] = await connectNet();
    const link = createLink(near, { role: 'acceptor' });
    const streams: ByteStream[] = [];
    link.onStream((stream) => void streams.push(stream));
    far.end(Buffer.concat([encodeOpen(1, HEAD), data(1, 10)]));
    expect(await link.closed).toMatchObject({ code: 'link_lost', by: 'lost' });
    expect(streams[0]!.errored).toMatchObject({ code: 'link_lost' });
  });
});

describe('a peer that does not read', () => {
  test('makes little wait in the socket, however much the streams have to send', async () => {
    const [near, far] = connectMemory();
    const link = createLink(near, { role: 'opener' });
    for (let n = 0; n < 50; n += 1) link.openStream(HEAD).write(Buffer.alloc(200_000));
    await new Promise(setImmediate);
    expect(near.writableLength).toBeGreaterThan(0);
    expect(near.writableLength).toBeLessThan(140_000);
    near.destroy();
    far.destroy();
  });

  test('is left after the grace, and the reason it never saw is kept here', async () => {
    const [near, far] = connectMemory();
    const link = createLink(near, { role: 'opener' });
    const stream = link.openStream(HEAD);
    stream.on('error', () => {});
    for (let n = 0; n < 3; n += 1) stream.write(Buffer.alloc(65_536));
    await new Promise(setImmediate);
    await link.close('link_silent', undefined, 20);
    expect(await link.closed).toMatchObject({ code: 'link_silent', by: 'self' });
    expect(stream.errored).toBeInstanceOf(TowlineError);
    expect(near.destroyed).toBe(true);
    far.destroy();
  });
});
