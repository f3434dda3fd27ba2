import { getEventListeners, once } from 'node:events';
import type { ByteStream } from '@towline/contract';
import { frameMessage, INITIAL_STREAM_CREDIT, MAX_CONTROL_MESSAGE, TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientChannel, hello, helloBytes, linkedPair, streamPair, within } from './linked-pair.ts';

const numbers = (count: number) => Array.from({ length: count }, (_none, index) => index);
const soon = () => AbortSignal.timeout(15_000);

/** Collects what a channel hands on until there are so many. */
function collect(channel: ReturnType<typeof clientChannel>, count: number): Promise<string[]> {
  return new Promise((resolve) => {
    const versions: string[] = [];
    channel.onMessage((message) => {
      versions.push(message.type === 'hello' ? message.version : message.type);
      if (versions.length === count) resolve(versions);
    });
  });
}

describe('a control channel', () => {
  it('hands messages on in order, those included that came before anybody asked', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const sender = clientChannel(near);
    const receiver = clientChannel(far);
    for (const number of numbers(10)) sender.send(hello(number));
    await within(pair.opener.ping(soon()), 'all ten arrive');
    expect([await receiver.next(soon()), await receiver.next(soon())]).toEqual([hello(0), hello(1)]);
    const rest = collect(receiver, 18);
    for (const number of numbers(10)) sender.send(hello(10 + number));
    expect(await within(rest, 'the other messages')).toEqual(numbers(20).slice(2).map(String));
  });

  it('does not depend on how the bytes are cut', async () => {
    const bytes = Buffer.concat(numbers(12).map((number) => helloBytes('x'.repeat(number * 5))));
    const cuts = fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(cuts, async (at) => {
        const [near, far] = streamPair();
        const all = collect(clientChannel(far), 12);
        const sorted = [0, ...new Set(at)].sort((one, other) => one - other);
        for (const [index, from] of sorted.entries()) near.write(bytes.subarray(from, sorted[index + 1] ?? bytes.length));
        expect(await all).toEqual(numbers(12).map((number) => 'x'.repeat(number * 5)));
        near.destroy();
      }),
      { numRuns: 60 },
    );
  });

  it('takes a long message a byte at a time', async () => {
    const [near, far] = streamPair();
    const message = Buffer.from(JSON.stringify({ ...hello('bytes'), padding: 'x'.repeat(40_000) }));
    const first = clientChannel(far).next(soon());
    for (const byte of frameMessage(message)) near.write(Buffer.of(byte));
    expect(await first).toEqual(hello('bytes'));
  });

  it('answers echoes in their place and keeps them from its owner', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const owner = collect(clientChannel(far), 2);
    near.write(Buffer.concat([helloBytes('before'), frameMessage(Buffer.from('{"type":"echo","id":77}')), helloBytes('after')]));
    expect(await within(owner, 'the messages around the echo')).toEqual(['before', 'after']);
    const [answer] = (await within(once(near, 'data'), 'the answer')) as [Buffer];
    expect(JSON.parse(answer.subarray(4).toString())).toEqual({ type: 'echo_reply', id: 77 });
  });

  it('asks for echoes, each with a number of its own, and keeps the replies from its owner', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const channel = clientChannel(near);
    const asked: string[] = [];
    far.on('data', (bytes: Buffer) => asked.push(...(bytes.toString().match(/\{[^}]*\}/g) ?? [])));
    channel.echo();
    channel.echo();
    await within(pair.opener.ping(soon()), 'the echoes arrive');
    expect(asked.map((text) => JSON.parse(text))).toEqual([
      { type: 'echo', id: 1 },
      { type: 'echo', id: 2 },
    ]);
    const owner = collect(channel, 1);
    far.write(Buffer.concat([frameMessage(Buffer.from('{"type":"echo_reply","id":1}')), helloBytes('after')]));
    expect(await within(owner, 'the message behind the reply')).toEqual(['after']);
  });

  it.each([
    ['is not JSON', frameMessage(Buffer.from('{nonsense'))],
    ['is not UTF-8', frameMessage(Buffer.from([0x22, 0xff, 0x22]))],
    ['is empty', frameMessage(Buffer.alloc(0))],
    ['has an unknown type', frameMessage(Buffer.from('{"type":"launch"}'))],
    ['has a field of the wrong type', frameMessage(Buffer.from('{"type":"echo","id":"1"}'))],
    ['is nested too deeply', frameMessage(Buffer.from(`{"type":"echo","id":1,"x":${'['.repeat(5_000)}${']'.repeat(5_000)}}`))],
    ['is announced larger than any may be', Buffer.from([0x00, 0x04, 0x00, 0x01])],
    ['is announced with four gigabytes', Buffer.from([0xff, 0xff, 0xff, 0xff])],
  ])('resets the stream when a message %s, and says so to both sides', async (_what, bytes) => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const seen: string[] = [];
    const channel = clientChannel(far);
    channel.onMessage((message) => seen.push(message.type));
    const told = within(once(near, 'error'), 'the sender is told');
    near.resume().write(Buffer.concat([helloBytes('good'), bytes, helloBytes('behind')]));
    expect(await within(channel.closed, 'the channel closes')).toMatchObject({ code: 'protocol_error' });
    expect(await told).toMatchObject([{ code: 'protocol_error' }]);
    expect(seen).toEqual(['hello']);
  });

  it('takes a message of exactly the largest size', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const padding = 'x'.repeat(MAX_CONTROL_MESSAGE - JSON.stringify({ ...hello(1), padding: '' }).length);
    near.write(frameMessage(Buffer.from(JSON.stringify({ ...hello(1), padding }))));
    expect(await within(clientChannel(far).next(soon()), 'the message')).toEqual(hello(1));
  });

  it('reports a stream that ends in the middle of a message as broken', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    near.resume().end(helloBytes('cut').subarray(0, -1));
    expect(await within(clientChannel(far).closed, 'the channel closes')).toMatchObject({ code: 'protocol_error' });
  });

  it('stops a peer whose messages nobody takes, and goes on once somebody does', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const receiver = clientChannel(far);
    const padded = (number: number) => hello(`${number}`.padEnd(60));
    const count = 20_000;
    const sender = clientChannel(near);
    const before = pair.acceptor.stats.bytesIn;
    // In portions: a channel gives a peer up that does not read, which is not what this is about.
    const sending = (async () => {
      for (const number of numbers(count)) {
        sender.send(padded(number));
        if (near.writableNeedDrain) await once(near, 'drain');
      }
    })();
    const parked = async () => {
      await pair.opener.ping(soon());
      return near.writableNeedDrain;
    };
    while (!(await parked()));
    for (const _round of numbers(20)) await pair.opener.ping(soon());
    expect(pair.acceptor.stats.bytesIn - before).toBeLessThan(2 * INITIAL_STREAM_CREDIT);
    const all = collect(receiver, count);
    await within(sending, 'the sender goes on');
    expect(await within(all, 'all messages')).toEqual(numbers(count).map((number) => padded(number).version));
  });

  it('gives up a peer that does not read, before the unread messages grow to more than some', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const told = within(once(far, 'error'), 'the peer is told');
    const sender = clientChannel(near);
    let most = 0;
    for (const number of numbers(100_000)) {
      sender.send(hello(`${number}`.padEnd(60)));
      most = Math.max(most, near.writableLength);
    }
    expect(near.destroyed).toBe(true);
    expect(most).toBeLessThan(6 * MAX_CONTROL_MESSAGE);
    expect(await within(sender.closed, 'the channel closes')).toMatchObject({ code: 'link_flooded' });
    expect(await told).toMatchObject([{ code: 'link_flooded' }]);
  });

  it('drops what is sent after the end', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const sender = clientChannel(near);
    far.destroy();
    await within(sender.closed, 'the channel closes');
    expect(() => sender.send(hello(1))).not.toThrow();
    expect(() => sender.echo()).not.toThrow();
  });
});

describe('the next message', () => {
  it('is waited for no longer than the signal allows, and is not lost when it comes late', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const channel = clientChannel(far);
    const abort = new AbortController();
    const wait = channel.next(abort.signal);
    abort.abort(new Error('enough'));
    await expect(wait).rejects.toMatchObject({ code: 'timeout', cause: { message: 'enough' } });
    await expect(channel.next(AbortSignal.timeout(20))).rejects.toMatchObject({ code: 'timeout' });
    await expect(channel.next(AbortSignal.abort())).rejects.toMatchObject({ code: 'timeout' });
    near.write(helloBytes('late'));
    expect(await within(channel.next(soon()), 'the late message')).toEqual(hello('late'));
  });

  it('leaves no listener on the signal of one who waited', async () => {
    const [near, far] = streamPair();
    const channel = clientChannel(far);
    const { signal } = new AbortController();
    const listening = () => getEventListeners(signal, 'abort').length;
    const wait = channel.next(signal);
    expect(listening()).toBe(1);
    near.write(helloBytes(1));
    await wait;
    expect(listening()).toBe(0);
  });

  it.each([
    ['ends', (near: ByteStream) => void near.end(), 'link_closed'],
    ['is reset', (near: ByteStream) => void near.destroy(new TowlineError('device_removed')), 'device_removed'],
    ['is reset without a reason', (near: ByteStream) => void near.destroy(), 'cancelled'],
  ])('fails when the stream %s, for whoever waits and for whoever asks later', async (_what, end, code) => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const channel = clientChannel(far);
    const wait = channel.next(soon());
    end(near);
    await expect(wait).rejects.toMatchObject({ code });
    await within(channel.closed, 'the channel closes');
    await expect(channel.next(soon())).rejects.toMatchObject({ code });
  });

  it('is handed out although the stream has ended behind it', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const channel = clientChannel(far);
    near.end(helloBytes('last'));
    await within(channel.closed, 'the channel closes');
    expect(await channel.next(soon())).toEqual(hello('last'));
    await expect(channel.next(soon())).rejects.toMatchObject({ code: 'link_closed' });
  });
});

describe('the end of a control channel', () => {
  it('is null when both sides ended cleanly', async () => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const ends = [clientChannel(near).closed, clientChannel(far).closed];
    near.end();
    expect(await within(Promise.all(ends), 'both close')).toEqual([null, null]);
  });

  it.each([
    ['the code of a reset', (pair: { near: ByteStream }) => void pair.near.destroy(new TowlineError('key_revoked')), 'key_revoked'],
    ['the loss of the connection', (pair: { cut: () => void }) => pair.cut(), 'link_lost'],
  ])('tells %s', async (_what, end, code) => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const { closed } = clientChannel(far);
    end({ near, cut: () => void pair.openerSocket.resetAndDestroy() });
    expect(await within(closed, 'the channel closes')).toMatchObject({ code });
  });
});
