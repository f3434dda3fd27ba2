import { once } from 'node:events';
import type { ByteStream, Link } from '@towline/contract';
import { ERRORS, encodeDataHead, encodeFin, encodeOpen, encodePing, TowlineError } from '@towline/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { createLink, type LinkOptions } from '../src/mux/create-link.ts';
import { within } from './linked-pair.ts';
import { connectNet } from './mux-pairs.ts';
import { RawPeer } from './mux-raw-peer.ts';

const HEAD = Buffer.from('/test/1');
const data = (stream: number, bytes: number) => Buffer.concat([encodeDataHead(stream, bytes), Buffer.alloc(bytes, stream)]);

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

/** A link that accepts streams of a peer spoken by hand, with so many open. */
async function facePeer(count: number, limits: LinkOptions['limits'] = {}): Promise<{ link: Link; peer: RawPeer; streams: ByteStream[] }> {
  const [near, far] = await connectNet();
  cleanUps.push(
    () => near.destroy(),
    () => far.destroy(),
  );
  const link = createLink(near, { role: 'acceptor', limits });
  const streams: ByteStream[] = [];
  link.onStream((stream) => void streams.push(stream));
  const peer = new RawPeer(far);
  peer.send(...Array.from({ length: count }, (_, at) => encodeOpen(at + 1, HEAD)));
  await pingThrough(peer);
  return { link, peer, streams };
}

async function pingThrough(peer: RawPeer): Promise<void> {
  const opaque = Buffer.alloc(8);
  opaque.writeUInt32BE(Math.floor(Math.random() * 1e9), 4);
  peer.send(encodePing(opaque));
  await peer.seen('pong', (frame) => frame[2] === opaque.toString('hex'));
}

/** A count of the bytes that a reader is handed. */
function counting(stream: ByteStream): { bytes: number } {
  const count = { bytes: 0 };
  stream.on('data', (chunk: Buffer) => {
    count.bytes += chunk.length;
  });
  return count;
}

describe('bulk that has arrived and waits for the end of the turn', () => {
  it.each([
    ['the peer breaks a rule right behind it', (_link: Link) => {}, Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['this end closes the link right behind it', (link: Link) => void link.close('link_closed'), Buffer.alloc(0)],
  ])('is handed on with its end when %s', async (_what, close, rest) => {
    const { link, peer, streams } = await facePeer(2);
    const [bulk, small] = streams as [ByteStream, ByteStream];
    bulk.end();
    await peer.seen('fin');
    const count = counting(bulk);
    const ended = once(bulk, 'end');
    small.once('data', () => close(link));
    peer.send(data(1, 20_000), encodeFin(1), data(2, 5), rest);
    await within(ended, 'the end of the stream');
    expect(count.bytes).toBe(20_000);
    await within(link.closed, 'the end of the link');
  });

  it('is handed on before this end closes the link, of a stream that has not ended too', async () => {
    const { link, peer, streams } = await facePeer(2);
    const [bulk, small] = streams as [ByteStream, ByteStream];
    const count = counting(bulk);
    small.once('data', () => void link.close('link_closed'));
    peer.send(data(1, 20_000), data(2, 5));
    await within(link.closed, 'the end of the link');
    expect(count.bytes).toBe(20_000);
  });

  it('ends the stream of a reader that throws, and nothing else: what others wait for in the same turn arrives', async () => {
    const { peer, streams } = await facePeer(3);
    streams[1]!.on('data', () => {
      throw new Error('a mistake');
    });
    const counts = [streams[0]!, streams[2]!].map(counting);
    peer.send(data(2, 20_000), data(1, 20_000), data(3, 20_000));
    await within(peer.seen('reset'), 'the reset');
    await pingThrough(peer);
    expect(streams.map(({ destroyed }) => destroyed)).toEqual([false, true, false]);
    expect(counts.map(({ bytes }) => bytes)).toEqual([20_000, 20_000]);
  });

  it('does not count as unread where somebody reads it: no stream is shed for it', async () => {
    const { peer, streams } = await facePeer(2, { maxUnreadBytes: 100_000 });
    const [unread, read] = streams as [ByteStream, ByteStream];
    const count = counting(read);
    peer.send(data(1, 40_000), data(1, 30_000));
    await pingThrough(peer);
    for (let sent = 0; sent < 120_000; sent += 60_000) {
      peer.send(data(2, 60_000));
      await pingThrough(peer);
    }
    expect([unread.destroyed, read.destroyed, count.bytes]).toEqual([false, false, 120_000]);
    peer.send(data(1, 60_000));
    await peer.seen('reset', (frame) => frame[1] === 1);
    expect([unread.destroyed, read.destroyed]).toEqual([true, false]);
  });
});

describe('what a user does in the moment its bytes go out', () => {
  it('reaches the peer, though nothing else is sent: a reset', async () => {
    const { peer, streams } = await facePeer(1);
    streams[0]!.write('last', () => void streams[0]!.destroy(new TowlineError('session_ended')));
    await within(peer.seen('reset'), 'the reset');
    expect(peer.frames.filter(([type]) => type !== 'pong').map(([type]) => type)).toEqual(['data', 'reset']);
  });

  it('reaches the peer, though nothing else is sent: credit for what was read then', async () => {
    const { peer, streams } = await facePeer(2);
    const [writer, reader] = streams as [ByteStream, ByteStream];
    for (let sent = 0; sent < 200_000; sent += 50_000) peer.send(data(2, 50_000));
    await pingThrough(peer);
    writer.write('now', () => {
      while (reader.read() !== null);
    });
    await within(
      peer.seen('credit', (frame) => frame[1] === 2),
      'credit',
    );
  });
});

it('a link that is closed says why, also when this process stands still for longer than the grace right then', async () => {
  const { link, peer } = await facePeer(0);
  setImmediate(() => {
    void link.close('device_removed', 'It was removed.', 5);
    for (const began = performance.now(); performance.now() - began < 50; );
  });
  expect(await within(peer.seen('close'), 'the goodbye')).toEqual(['close', ERRORS.device_removed.wire, 'It was removed.']);
  await within(link.closed, 'the end of the link');
});
