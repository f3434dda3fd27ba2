import type { ByteStream } from '@towline/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { QuicConnection } from '../src/loop/quic-connection.ts';
import type { QuicStream } from '../src/loop/quic-stream.ts';
import { echo, errorOf, type LinkedPair, link, serveEcho, startServer, type TestServer, until } from './support-quic.ts';

// Streams that end before their time must give back everything they took: what they leave behind adds up over the weeks that the link of a device lives.

/** Streams a peer may have open: few, so that those that were not given back are missed soon. */
const MAX_STREAMS = 300;

/** Whether quiche has forgotten a stream, and with it the place it took. */
function isForgotten({ native }: QuicConnection, id: number): boolean {
  try {
    native.streamCapacity(id);
    return false;
  } catch (error) {
    return (error as Error).message.startsWith('InvalidStreamState');
  }
}

describe('streams that are abandoned', () => {
  let server: TestServer;
  let pair: LinkedPair;
  let arrived: ByteStream[];
  beforeEach(async () => {
    arrived = [];
    server = await startServer({ tuning: { maxStreams: MAX_STREAMS } });
    pair = await link(server);
    serveEcho(pair.acceptor, (stream) => void arrived.push(stream));
  });
  afterEach(async () => {
    await pair.opener.close('link_closed');
    await server.close();
  });

  /** Opens some, lets both ends do something with each, and has one end abandon them all. */
  async function round(by: 'opener' | 'acceptor', bytes: number, prepare: (stream: ByteStream, side: 'opener' | 'acceptor') => void) {
    arrived = [];
    const opened = Array.from({ length: 50 }, () => {
      const stream = pair.opener.openStream(Buffer.from('work'));
      stream.write(Buffer.alloc(bytes));
      prepare(stream, 'opener');
      return stream;
    });
    await until(() => arrived.length === opened.length, 'the streams arrive');
    for (const stream of arrived) prepare(stream, 'acceptor');
    const [leaving, left] = by === 'opener' ? [opened, arrived] : [arrived, opened];
    await new Promise((soon) => setTimeout(soon, 10));
    for (const stream of leaving) stream.destroy();
    for (const error of await Promise.all(left.map(errorOf))) expect(error).toMatchObject({ code: 'cancelled' });
    // The one of the link itself stays.
    await until(() => pair.near.openStreams === 1 && pair.far.openStreams === 1, 'no stream is left');
    const ids = (opened as QuicStream[]).map(({ id }) => id);
    for (const end of [pair.near, pair.far]) await until(() => ids.every((id) => isForgotten(end, id)), 'quiche has forgotten all');
  }

  const cases = {
    'before anything came back': { bytes: 1_000, prepare: () => {} },
    'whose bytes nobody reads': { bytes: 100_000, prepare: (stream: ByteStream) => void stream.write(Buffer.alloc(100_000)) },
    'in the middle of a transfer both ways': {
      bytes: 1_000_000,
      prepare: (stream: ByteStream) => {
        stream.resume();
        stream.write(Buffer.alloc(1_000_000));
      },
    },
    'by an end that had sent everything': {
      bytes: 1_000,
      prepare: (stream: ByteStream, side: string, by?: string) => {
        if (side === by) stream.end();
      },
    },
  };
  for (const by of ['opener', 'acceptor'] as const) {
    for (const [name, { bytes, prepare }] of Object.entries(cases)) {
      it(`${name}, by the ${by}, leave nothing behind`, async () => {
        for (let rounds = 0; rounds < 7; rounds += 1) await round(by, bytes, (stream, side) => prepare(stream, side, by));
        expect(await echo(pair.opener)).toBe('is anybody there');
      }, 60_000);
    }
  }

  it('leave the credit of the others as it was, after more bytes than a connection may hold', async () => {
    const held: ByteStream[] = [];
    serveEcho(pair.acceptor, (stream) => void held.push(stream));
    // 250 KB each, 150 MB together.
    for (let count = 0; count < 600; count += 1) {
      const stream = pair.opener.openStream(Buffer.from('unread'));
      await new Promise<void>((written) => stream.write(Buffer.alloc(250_000), () => written()));
      await until(() => held.length > count, 'the stream arrives');
      (count % 2 === 0 ? stream : held[count]!).destroy();
      if (count % 100 === 99) expect(await echo(pair.opener)).toBe('is anybody there');
    }
  }, 60_000);
});
