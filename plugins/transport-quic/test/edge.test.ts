import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, unlink } from 'node:fs/promises';
import type { ByteStream } from '@towline/contract';
import { retryAfterMs } from '@towline/link';
import { ERRORS, TowlineError } from '@towline/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { connectEdge, dialEdge, dialWithConnection, startTestRelay, type TestRelay, until } from './edge-door.ts';

const relays: TestRelay[] = [];
afterEach(async () => {
  for (const relay of relays.splice(0)) await relay[Symbol.asyncDispose]();
});

async function start(...how: Parameters<typeof startTestRelay>): Promise<TestRelay> {
  const relay = await startTestRelay(...how);
  relays.push(relay);
  expect(relay.listener.state, relay.log.lines.join('\n')).toMatchObject({ status: 'up' });
  return relay;
}

/** All bytes until the clean end. */
async function readAll(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on('data', (bytes: Buffer) => chunks.push(bytes));
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

const firstStream = (link: { onStream(listener: (stream: ByteStream) => void): void }) =>
  new Promise<ByteStream>((resolve) => link.onStream(resolve));

describe('a link through the edge', () => {
  it("carries a client's streams to the relay: head, bytes both ways, each direction's end", async () => {
    const relay = await start();
    const [near, { link: far, role, credential, peer }] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
    expect([role, credential, peer.address]).toEqual(['client', 'twl_test', '127.0.0.1']);
    const arrived = firstStream(far);
    const stream = near.openStream(Buffer.from('what for'));
    stream.end('question');
    const other = await arrived;
    expect(other.head.toString()).toBe('what for');
    expect((await readAll(other)).toString()).toBe('question');
    other.end('answer');
    expect((await readAll(stream)).toString()).toBe('answer');
    await near.close('link_closed');
  });

  it("carries the relay's streams to a device, many at a time, whole", async () => {
    const relay = await start();
    const [device, { link }] = await Promise.all([dialEdge(relay.port, 'device'), relay.door.next()]);
    device.onStream((stream) => void readAll(stream).then((all) => stream.end(createHash('sha256').update(all).digest('hex'))));
    const sent = Array.from({ length: 20 }, () => randomBytes(700_001));
    const answers = await Promise.all(
      sent.map((bytes, at) => {
        const stream = link.openStream(Buffer.from(String(at)));
        stream.end(bytes);
        return readAll(stream);
      }),
    );
    expect(answers.map(String)).toEqual(sent.map((bytes) => createHash('sha256').update(bytes).digest('hex')));
    await device.close('link_closed');
  });

  it('stops the sender while nobody reads, at either end', async () => {
    const relay = await start();
    const [device, { link }] = await Promise.all([dialEdge(relay.port, 'device'), relay.door.next()]);
    const arrived = firstStream(device);
    const here = link.openStream(Buffer.from('h'));
    const there = await arrived;
    for (const writer of [here, there]) {
      let accepted = 0;
      for (let full = false; !full; ) {
        expect(accepted).toBeLessThan(96 * 1_048_576);
        while (writer.write(Buffer.alloc(65_536))) accepted += 65_536;
        full = await Promise.race([
          once(writer, 'drain').then(() => false),
          new Promise<boolean>((still) => setTimeout(() => still(true), 500)),
        ]);
      }
    }
    await device.close('link_closed', 'enough', 0);
  });

  it('resets a stream at one end with the code it was reset with at the other', async () => {
    const relay = await start();
    const [near, { link: far }] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
    for (const [breaks, code] of [
      [0, 'forbidden'],
      [1, 'device_offline'],
    ] as const) {
      const arrived = firstStream(far);
      const stream = near.openStream(Buffer.from('h'));
      stream.write('x');
      const ends = [stream, await arrived];
      const failed = once(ends[1 - breaks]!, 'error');
      ends[1 - breaks]!.resume();
      ends[breaks]!.destroy(new TowlineError(code));
      expect((await failed)[0]).toMatchObject({ code });
    }
    await near.close('link_closed');
  });

  it('ends at one end with the code and the text it was ended with at the other, after what was said before', async () => {
    const relay = await start();
    for (const closing of ['near', 'far'] as const) {
      const [near, { link: far }] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
      const arrived = firstStream(far);
      const stream = near.openStream(Buffer.from('h'));
      stream.write('x');
      const other = await arrived;
      const [here, there] = closing === 'near' ? [stream, other] : [other, stream];
      let heard = '';
      there.on('data', (bytes) => (heard += String(bytes)));
      // Reads what was sent ahead, so that only the last words are under way.
      await until('the first byte', () => (closing === 'near' ? heard === 'x' : true));
      here.write('the last words');
      await { near, far }[closing].close('key_revoked', 'The key was revoked by an admin.');
      const end = await { near: far, far: near }[closing].closed;
      expect(end).toEqual({ code: 'key_revoked', message: 'The key was revoked by an admin.', by: 'peer' });
      expect(heard).toContain('the last words');
    }
  });

  it('is lost at the relay, too, when the dialler vanishes', async () => {
    const relay = await start();
    const [{ connection, link: near }, { link: far }] = await Promise.all([dialWithConnection(relay.port), relay.door.next()]);
    const arrived = firstStream(far);
    near.openStream(Buffer.from('h')).write('x');
    const failed = once(await arrived, 'error');
    connection.abandon();
    // By the idle limit of 30 s: a relay notices earlier, by echoes on the control stream.
    expect(await far.closed).toMatchObject({ code: 'link_lost' });
    expect((await failed)[0]).toMatchObject({ code: 'link_lost' });
    await until('the edge has forgotten it', () => relay.listener.state.figures.links === 0);
  }, 60_000);
});

describe('a refusal', () => {
  it.each([
    ['unauthenticated', 'The key is not known here.', undefined],
    ['forbidden', 'Not from there.', undefined],
    ['rate_limited', 'Too many attempts.', 7],
  ] as const)('of the relay reaches the dialler as it was given: %s', async (code, message, retryAfterS) => {
    const error = new TowlineError(code, message, { hint: 'Do something else.' });
    const relay = await start({ judge: () => ({ error, ...(retryAfterS === undefined ? {} : { retryAfterS }) }) });
    const refusal = await dialEdge(relay.port, 'client').then(
      () => null,
      (thrown: TowlineError) => thrown,
    );
    expect(refusal).toMatchObject({ code, message, hint: 'Do something else.' });
    expect(retryAfterMs(refusal!)).toBe(retryAfterS === undefined ? undefined : 7_000);
    await until('it is counted', () => relay.listener.state.figures.refused_links_total === 1);
  });

  it('says so when the edge carries as many connections as it may', async () => {
    const relay = await start({ maxConnections: 1 });
    const [first] = await Promise.all([dialEdge(relay.port, 'client'), relay.door.next()]);
    await expect(dialEdge(relay.port, 'client')).rejects.toMatchObject({ code: 'unavailable' });
    await first.close('link_closed');
    await until('there is room again', () =>
      dialEdge(relay.port, 'client').then(
        (link) => link.close('link_closed').then(() => true),
        () => false,
      ),
    );
  });

  it('says that the relay does not answer when its socket is gone', async () => {
    const relay = await start();
    relay.door.close();
    const { folder } = JSON.parse(await readFile(`${relay.dataDir}/quic-edge.json`, 'utf8'));
    await unlink(`${folder}/s`);
    await expect(dialEdge(relay.port, 'client')).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a stranger', () => {
  it('who asks for nothing within 5 s is shown out', async () => {
    const relay = await start();
    const connection = await connectEdge(relay.port);
    expect(await connection.closed).toMatchObject({ by: 'peer', isApp: true, code: ERRORS.timeout.wire });
    await until('it is gone', () => relay.listener.state.figures.connections === 0);
  });
});
