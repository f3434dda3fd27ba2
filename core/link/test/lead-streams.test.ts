import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ByteStream } from '@towline/contract';
import { frameMessage, INITIAL_STREAM_CREDIT, TowlineError } from '@towline/protocol';
import * as fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { joinStreams } from '../src/join-streams.ts';
import type { MuxStream } from '../src/mux/mux-stream.ts';
import { readMessage } from '../src/read-message.ts';
import { type LinkedPair, linkedPair, within } from './linked-pair.ts';

const opened: LinkedPair[] = [];
afterEach(async () => {
  for (const pair of opened.splice(0)) await pair[Symbol.asyncDispose]();
});

/** A client and a device on links of their own to a relay, which holds the other ends of a stream of each. */
async function relayed() {
  const [clientLink, deviceLink] = [await linkedPair(), await linkedPair()];
  opened.push(clientLink, deviceLink);
  const [[client, clientSide], [deviceSide, device]] = await Promise.all([clientLink.openStream(), deviceLink.openStream()]);
  return { client, clientSide, deviceSide, device, clientLink, deviceLink };
}

async function everything(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await within(once(stream, 'end'), 'the end of a stream');
  return Buffer.concat(chunks);
}

/** Writes pieces of these sizes, at the pace of the stream, and ends it. Answers what was written. */
async function send(stream: ByteStream, sizes: readonly number[]): Promise<Buffer> {
  const pieces = sizes.map((size) => randomBytes(size));
  for (const piece of pieces) if (!stream.write(piece)) await once(stream, 'drain');
  stream.end();
  return Buffer.concat(pieces);
}

const muxed = (stream: ByteStream) => stream as MuxStream;

describe('streams of links that are joined', () => {
  it('carry any bytes both ways at once, in order, and end each direction by itself', async () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 200_000 })), { maxLength: 12 });
    const property = fc.asyncProperty(sizes, sizes, async (there, back) => {
      const { client, clientSide, deviceSide, device } = await relayed();
      const joined = joinStreams(clientSide, deviceSide);
      const [sentThere, sentBack, gotThere, gotBack] = await Promise.all([
        send(client, there),
        send(device, back),
        everything(device),
        everything(client),
      ]);
      expect(gotThere.equals(sentThere) && gotBack.equals(sentBack)).toBe(true);
      expect(await within(joined, 'the end of the join')).toEqual({ error: null });
      for (const pair of opened.splice(0)) await pair[Symbol.asyncDispose]();
    });
    await fc.assert(property, { numRuns: 40 });
  });

  it('keep what a reader had left behind what a writer had left, when one message was read and one written before', async () => {
    const { client, clientSide, deviceSide, device } = await relayed();
    const rest = randomBytes(300_000);
    device.write(Buffer.concat([frameMessage(Buffer.from('answer')), rest.subarray(0, 9)]));
    expect(String(await readMessage(deviceSide, 100, AbortSignal.timeout(15_000)))).toBe('answer');
    device.end(rest.subarray(9));
    clientSide.write('first ');
    const joined = joinStreams(clientSide, deviceSide);
    client.end();
    device.resume();
    expect((await everything(client)).equals(Buffer.concat([Buffer.from('first '), rest]))).toBe(true);
    expect(await within(joined, 'the end of the join')).toEqual({ error: null });
  });

  it('end at once where everything, the end too, had arrived before they were joined', async () => {
    const { client, clientSide, deviceSide, device } = await relayed();
    device.end('all');
    client.end();
    await within(once(deviceSide, 'readable'), 'the bytes of the device');
    const joined = joinStreams(clientSide, deviceSide);
    device.resume();
    expect(String(await everything(client))).toBe('all');
    expect(await within(joined, 'the end of the join')).toEqual({ error: null });
  });

  it('hold the writer back while nobody reads, with a bounded amount between them', async () => {
    const { client, clientSide, deviceSide } = await relayed();
    void joinStreams(clientSide, deviceSide);
    const bytes = 32 * INITIAL_STREAM_CREDIT;
    let finished = false;
    client.write(Buffer.alloc(bytes), () => {
      finished = true;
    });
    const held = () => muxed(clientSide).unreadBytes;
    // Nothing moves any more once the windows of both links are full.
    for (let before = -1; before !== held(); ) {
      before = held();
      await new Promise((later) => setTimeout(later, 200));
    }
    expect(finished).toBe(false);
    expect(held()).toBeGreaterThan(0);
    expect(held()).toBeLessThanOrEqual(INITIAL_STREAM_CREDIT);
  });

  it('break together with the same code, whichever breaks, also in the middle of bulk', async () => {
    for (const side of ['client', 'device'] as const) {
      const streams = await relayed();
      const joined = joinStreams(streams.clientSide, streams.deviceSide);
      const [breaks, sees] = side === 'client' ? [streams.client, streams.device] : [streams.device, streams.client];
      const seen = once(sees.resume(), 'error', { signal: AbortSignal.timeout(15_000) });
      breaks.write(Buffer.alloc(2 * INITIAL_STREAM_CREDIT));
      await within(once(sees, 'data'), 'the first bytes');
      breaks.destroy(new TowlineError('session_too_long'));
      expect((await seen)[0]).toMatchObject({ code: 'session_too_long' });
      expect((await within(joined, 'the end of the join')).error).toMatchObject({ code: 'session_too_long' });
    }
  });

  it('still bring all that was complete when the link to its reader is closed with a goodbye', async () => {
    const { client, clientSide, deviceSide, device, clientLink } = await relayed();
    const joined = joinStreams(clientSide, deviceSide);
    client.end();
    // As much as may be sent at once, of which the socket takes a part at a time.
    const sent = randomBytes(INITIAL_STREAM_CREDIT);
    device.resume().end(sent);
    const isBegun = () => muxed(deviceSide).creditLeft === 0 && muxed(deviceSide).unreadBytes < sent.length;
    while (!isBegun()) await new Promise((later) => setImmediate(later));
    void clientLink.acceptor.close('link_closed', 'The relay goes.', 5_000);
    expect((await everything(client)).equals(sent)).toBe(true);
    await within(joined, 'the end of the join');
  });
});
