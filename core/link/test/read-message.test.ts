import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { frameMessage, TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../src/read-message.ts';
import { linkedPair, streamPair, within } from './linked-pair.ts';

const MAX = 10_000;
const soon = () => AbortSignal.timeout(15_000);

/** How what lies behind a message is read on. */
const readers: readonly (readonly [string, (stream: Duplex) => Promise<Buffer>])[] = [
  [
    "'data'",
    (stream) =>
      new Promise((resolve, reject) => {
        const parts: Buffer[] = [];
        stream.on('data', (bytes: Buffer) => parts.push(bytes));
        stream.once('end', () => resolve(Buffer.concat(parts))).once('error', reject);
      }),
  ],
  [
    'read()',
    (stream) =>
      new Promise((resolve, reject) => {
        const parts: Buffer[] = [];
        const take = () => {
          for (let bytes = stream.read() as Buffer | null; bytes !== null; bytes = stream.read() as Buffer | null) parts.push(bytes);
        };
        stream.on('readable', take);
        stream.once('end', () => resolve(Buffer.concat(parts))).once('error', reject);
      }),
  ],
  [
    'iteration',
    async (stream) => {
      const parts: Buffer[] = [];
      for await (const bytes of stream) parts.push(bytes as Buffer);
      return Buffer.concat(parts);
    },
  ],
];

/** Bytes and where they are cut. */
const cutBytes = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 })).chain(([message, rest]) =>
  fc.record({
    message: fc.constant(Buffer.from(message)),
    rest: fc.constant(Buffer.from(rest)),
    cuts: fc.array(fc.integer({ min: 1, max: 3 + message.length + rest.length }), { maxLength: 12 }),
  }),
);

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...new Set(cuts)].sort((one, other) => one - other).filter((from) => from < bytes.length);
  return at.map((from, index) => bytes.subarray(from, at[index + 1] ?? bytes.length));
}

describe('reading one message off a stream', () => {
  it.each(readers)('finds it however the bytes are cut, and leaves the rest and the end for %s', async (_name, readOn) => {
    await fc.assert(
      fc.asyncProperty(cutBytes, fc.boolean(), async ({ message, rest, cuts }, everythingFirst) => {
        const [near, far] = streamPair();
        const write = () => {
          for (const piece of pieces(Buffer.concat([frameMessage(message), rest]), cuts)) near.write(piece);
          near.end();
        };
        if (everythingFirst) write();
        const reading = readMessage(far, MAX, soon());
        if (!everythingFirst) write();
        expect(await reading).toEqual(message);
        expect(await readOn(far)).toEqual(rest);
      }),
      { numRuns: 150 },
    );
  });

  it.each(readers)('works on a stream of a link and leaves a megabyte behind it for %s', async (_name, readOn) => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const message = Buffer.alloc(MAX, 'm');
    const rest = Buffer.alloc(1_048_576, 'r');
    near.write(frameMessage(message));
    near.end(rest);
    expect(await within(readMessage(far, MAX, soon()), 'the message')).toEqual(message);
    expect((await within(readOn(far), 'the rest')).equals(rest)).toBe(true);
  });

  it('reads messages one after the other', async () => {
    const [near, far] = streamPair();
    near.write(Buffer.concat([frameMessage(Buffer.from('one')), frameMessage(Buffer.alloc(0)), frameMessage(Buffer.from('three'))]));
    const read = async () => (await readMessage(far, MAX, soon())).toString();
    expect([await read(), await read(), await read()]).toEqual(['one', '', 'three']);
  });

  it('leaves the rest for a reader that comes only in a later turn', async () => {
    const [near, far] = streamPair();
    near.end(Buffer.concat([frameMessage(Buffer.from('one')), Buffer.from('rest')]));
    await readMessage(far, MAX, soon());
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    expect((await readers[0]![1](far)).toString()).toBe('rest');
  });

  it('takes one of exactly the limit and refuses one byte more, before it has arrived', async () => {
    const [near, far] = streamPair();
    near.write(frameMessage(Buffer.alloc(MAX)));
    expect(await readMessage(far, MAX, soon())).toHaveLength(MAX);
    near.write(frameMessage(Buffer.alloc(MAX + 1)).subarray(0, 4));
    await expect(within(readMessage(far, MAX, soon()), 'the refusal')).rejects.toMatchObject({ code: 'protocol_error' });
  });

  it('takes no memory for what is only announced', async () => {
    const [near, far] = streamPair();
    near.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await expect(within(readMessage(far, MAX, soon()), 'the refusal')).rejects.toMatchObject({ code: 'protocol_error' });
    expect(far.readableHighWaterMark).toBeLessThan(1_048_576);
  });

  it('says that the session broke when the stream ends before, wherever that is', async () => {
    const whole = frameMessage(Buffer.from('message'));
    for (let length = 0; length < whole.length; length += 1) {
      const [near, far] = streamPair();
      const reading = readMessage(far, MAX, soon());
      near.end(whole.subarray(0, length));
      await expect(within(reading, `the end after ${length} bytes`)).rejects.toMatchObject({ code: 'session_broken' });
    }
  });

  it('says so at once when the stream was over before', async () => {
    const [near, far] = streamPair();
    near.end();
    far.resume();
    await once(far, 'end');
    await expect(within(readMessage(far, MAX, soon()), 'the refusal')).rejects.toMatchObject({ code: 'session_broken' });
    far.destroy();
    await expect(within(readMessage(far, MAX, soon()), 'the refusal')).rejects.toMatchObject({ code: 'session_broken' });
  });

  it.each([
    ['while it is waited for', false],
    ['before', true],
  ])('passes on the error of a stream that fails %s', async (_when, before) => {
    await using pair = await linkedPair();
    const [near, far] = await pair.openStream();
    const failed = new Promise((resolve) => far.once('close', resolve));
    const fail = () => near.destroy(new TowlineError('device_removed'));
    if (before) {
      fail();
      await within(failed, 'the reset');
    }
    const reading = readMessage(far, MAX, soon());
    if (!before) fail();
    await expect(within(reading, 'the error')).rejects.toMatchObject({ code: 'device_removed' });
  });

  it('gives up when the signal aborts, leaves no listener, and loses nothing that comes later', async () => {
    const [near, far] = streamPair();
    const listening = () => far.eventNames().map((name) => [name, far.listenerCount(name)]);
    const before = listening();
    await expect(readMessage(far, MAX, AbortSignal.abort(new Error('enough')))).rejects.toMatchObject({ code: 'timeout' });
    const abort = new AbortController();
    const reading = readMessage(far, MAX, abort.signal);
    abort.abort(new Error('enough'));
    await expect(reading).rejects.toMatchObject({ code: 'timeout', cause: { message: 'enough' } });
    expect(listening()).toEqual(before);
    near.write(frameMessage(Buffer.from('late')));
    expect((await within(readMessage(far, MAX, soon()), 'the late message')).toString()).toBe('late');
  });
});
