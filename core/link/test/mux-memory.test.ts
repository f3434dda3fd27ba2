import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { encodeDataHead, encodeOpen } from '@towline/protocol';
import { expect, test } from 'vitest';
import { createLink } from '../src/mux/create-link.ts';
import { connectNet } from './mux-pairs.ts';
import { RawPeer } from './mux-raw-peer.ts';

const HEAD = Buffer.from('/test/1');

function heldBuffers(): number {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}

test('single bytes that nobody reads do not keep the large reads alive that they came with', async () => {
  const [near, far] = await connectNet();
  const link = createLink(near, { role: 'acceptor' });
  const readers: (() => void)[] = [];
  link.onStream((stream) => {
    if (stream.head.toString() === '/read/1') stream.on('data', () => readers.shift()?.());
  });
  const peer = new RawPeer(far);
  peer.send(encodeOpen(1, HEAD), encodeOpen(2, Buffer.from('/read/1')));
  const bulk = Buffer.concat([encodeDataHead(2, 30_000), Buffer.alloc(30_000)]);
  const single = Buffer.concat([encodeDataHead(1, 1), Buffer.alloc(1)]);
  const before = heldBuffers();
  for (let n = 0; n < 1_500; n += 1) {
    const read = new Promise<void>((resolve) => readers.push(resolve));
    peer.send(single, bulk);
    await read;
  }
  expect(link.stats.openStreams).toBe(2);
  expect(heldBuffers() - before).toBeLessThan(4_000_000);
  near.destroy();
  far.destroy();
});
