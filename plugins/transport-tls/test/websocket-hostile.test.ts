import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isTowlineError } from '@towline/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { createWebSocketDial } from '../src/dial.ts';
import { silent, startUpgrading } from './dialled-link.ts';
import { answerHead, closeStatus, decodeFrames, frame, OPCODE, openRawWebSocket, type RawWebSocket, readAll } from './raw-websocket.ts';
import { dialRequest, type RelayServer, startRelay } from './relay-server.ts';

const relays: RelayServer[] = [];
const sockets: TLSSocket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const relay of relays.splice(0)) await relay[Symbol.asyncDispose]();
});

interface Met {
  readonly peer: RawWebSocket;
  /** The relay's end, which nobody reads yet. */
  readonly duplex: Duplex;
  /** The connection below the relay's end. */
  readonly below: TLSSocket;
}

/** A peer made by hand, and what the relay half made of its connection. */
async function meet(): Promise<Met> {
  let take: (duplex: Duplex) => void = () => undefined;
  const taken = new Promise<Duplex>((resolve) => {
    take = resolve;
  });
  const relay = await startUpgrading((duplex) => take(duplex));
  relays.push(relay);
  const connected = once(relay.server, 'secureConnection');
  const peer = await openRawWebSocket(relay);
  sockets.push(peer.socket);
  expect(peer.head).toMatch(/^HTTP\/1\.1 101 .*\r\nSec-WebSocket-Protocol: towline\.1/s);
  return { peer, duplex: await taken, below: (await connected)[0] as TLSSocket };
}

/** Reads a duplex to its end: its bytes, and `end` or the code of the error. */
function outcome(duplex: Duplex): Promise<{ readonly bytes: Buffer; readonly by: string }> {
  const chunks: Buffer[] = [];
  duplex.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    duplex.once('end', () => resolve({ bytes: Buffer.concat(chunks), by: 'end' }));
    duplex.once('error', (error) => resolve({ bytes: Buffer.concat(chunks), by: isTowlineError(error) ? error.code : error.name }));
  });
}

const bytes = (length: number, value = 1) => Buffer.alloc(length, value);
const repeat = (count: number, one: () => Buffer) => Buffer.concat(Array.from({ length: count }, one));
const closing = (status: number) => frame(OPCODE.close, Buffer.from([status >> 8, status & 0xff]));

describe('a message', () => {
  it.each<[string, Buffer, number]>([
    ['of one byte', frame(OPCODE.binary, bytes(1)), 1],
    ['of 65,536 bytes', frame(OPCODE.binary, bytes(65_536)), 65_536],
    [
      'in three fragments with a ping between',
      Buffer.concat([
        frame(OPCODE.binary, bytes(10), { fin: false }),
        frame(OPCODE.ping, bytes(4)),
        frame(OPCODE.continuation, bytes(10), { fin: false }),
        frame(OPCODE.continuation, bytes(10)),
      ]),
      30,
    ],
  ])('%s arrives whole', async (_what, sent, length) => {
    const { peer, duplex } = await meet();
    const done = outcome(duplex);
    peer.socket.write(Buffer.concat([sent, closing(1_000)]));
    expect(await done).toEqual({ bytes: bytes(length), by: 'end' });
  });
});

describe('a peer that breaks the rules is told so:', () => {
  it.each<[string, number, Buffer]>([
    ['text', 1_003, frame(OPCODE.text, Buffer.from('hello'))],
    ['text in fragments', 1_003, Buffer.concat([frame(OPCODE.text, bytes(1), { fin: false }), frame(OPCODE.continuation, bytes(1))])],
    ['an unmasked frame', 1_002, frame(OPCODE.binary, bytes(1), { mask: false })],
    ['a reserved bit', 1_002, frame(OPCODE.binary, bytes(1), { reserved: 0x20 })],
    ['compression that was not agreed', 1_002, frame(OPCODE.binary, bytes(1), { reserved: 0x40 })],
    ['an unknown opcode', 1_002, frame(3, bytes(1))],
    ['a continuation of nothing', 1_002, frame(OPCODE.continuation, bytes(1))],
    ['a message in the middle of another', 1_002, Buffer.concat(Array(2).fill(frame(OPCODE.binary, bytes(1), { fin: false })))],
    ['a control frame in fragments', 1_002, frame(OPCODE.ping, bytes(1), { fin: false })],
    ['a control frame of 126 bytes', 1_002, frame(OPCODE.ping, bytes(126))],
    ['a close of one byte', 1_002, frame(OPCODE.close, bytes(1))],
    ['a message of 65,537 bytes, before its payload', 1_009, frame(OPCODE.binary, bytes(0), { length: 65_537n })],
    ['a message of 4 GiB, before its payload', 1_009, frame(OPCODE.binary, bytes(0), { length: 0x1_0000_0000n })],
    ['a message of 2 to the power of 63 bytes', 1_009, frame(OPCODE.binary, bytes(0), { length: 1n << 63n })],
    [
      'fragments that add up to more',
      1_009,
      Buffer.concat([frame(OPCODE.binary, bytes(40_000), { fin: false }), frame(OPCODE.continuation, bytes(40_000))]),
    ],
    [
      'more than 64 fragments',
      1_008,
      Buffer.concat([
        frame(OPCODE.binary, bytes(1), { fin: false }),
        repeat(64, () => frame(OPCODE.continuation, bytes(1), { fin: false })),
      ]),
    ],
    ['a flood of pings', 1_008, repeat(31, () => frame(OPCODE.ping, bytes(125)))],
    ['a flood of pongs', 1_008, repeat(31, () => frame(OPCODE.pong))],
    ['a flood of empty messages', 1_008, repeat(31, () => frame(OPCODE.binary))],
  ])('%s', async (what, status, sent) => {
    const { peer, duplex } = await meet();
    const done = outcome(duplex);
    const seen = peer.frames();
    peer.socket.write(sent);
    expect((await done).by).toBe(what.startsWith('a flood') ? 'link_flooded' : 'protocol_error');
    expect(closeStatus(await seen)).toBe(status);
  });

  it('and is cut off when it does not hang up by itself', async () => {
    const { peer } = await meet();
    const over = readAll(peer.socket);
    peer.socket.write(frame(OPCODE.text, bytes(1)));
    expect(closeStatus(decodeFrames(await over))).toBe(1_003);
  });

  it('and what follows a breach is not looked at', async () => {
    const { peer, duplex } = await meet();
    const done = outcome(duplex);
    peer.socket.write(Buffer.concat([frame(OPCODE.text, bytes(1)), frame(OPCODE.binary, bytes(1_000))]));
    expect((await done).bytes).toHaveLength(0);
    expect(duplex.readableLength).toBe(0);
  });
});

describe('the end of the connection', () => {
  it.each<[string, string, (peer: RawWebSocket) => unknown]>([
    ['a closing handshake', 'end', ({ socket }) => socket.write(closing(1_000))],
    ['a closing handshake without status', 'end', ({ socket }) => socket.write(frame(OPCODE.close))],
    ['a closing handshake that tells of a fault', 'link_lost', ({ socket }) => socket.write(closing(1_011))],
    ['the end of TLS without one', 'link_lost', ({ socket }) => socket.end()],
    ['a cut', 'link_lost', ({ socket }) => socket.destroy()],
    ['a cut in the middle of a message', 'link_lost', ({ socket }) => socket.end(frame(OPCODE.binary, bytes(9), { length: 10n }))],
  ])('by %s is: %s', async (_what, by, act) => {
    const { peer, duplex } = await meet();
    const done = outcome(duplex);
    peer.socket.write(frame(OPCODE.binary, bytes(5)));
    await once(duplex, 'data');
    act(peer);
    expect(await done).toEqual({ bytes: bytes(5), by });
  });

  it('by this side is a closing handshake, and the connection is cut when the peer does not answer it', async () => {
    const { peer, duplex } = await meet();
    const over = readAll(peer.socket);
    duplex.end('bye');
    const frames = decodeFrames(await over);
    expect(frames[0]).toEqual({ opcode: OPCODE.binary, payload: Buffer.from('bye') });
    expect(closeStatus(frames)).toBe(1_000);
  });

  it('fails writes that come after it', async () => {
    const { peer, duplex } = await meet();
    const done = outcome(duplex);
    peer.socket.destroy();
    await done;
    await expect(new Promise((resolve) => duplex.write('x', resolve))).resolves.toBeInstanceOf(Error);
  });
});

/** Bytes in buffers that somebody still holds. */
function heldBuffers(): number {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  collect();
  return process.memoryUsage().arrayBuffers;
}

/** Time in which a figure that does not change counts as one that will not, milliseconds. */
const STILL_MS = 400;
const settle = () => sleep(STILL_MS);

/** Waits until a figure stands still; tells where. */
async function whenStill(figure: () => number): Promise<number> {
  for (let last = figure(); ; last = figure()) {
    await settle();
    if (figure() === last) return last;
  }
}

/** Writes for as long as the stream takes more; tells how many bytes it took. */
function pour(stream: Duplex, chunk: () => Buffer): () => number {
  let taken = 0;
  const go = () => {
    while (!stream.destroyed) {
      const one = chunk();
      taken += one.length;
      if (!stream.write(one)) return void stream.once('drain', go);
    }
  };
  go();
  return () => taken;
}

describe('back-pressure', () => {
  it('makes the writer wait for a peer that never reads, and holds no more than it says', async () => {
    const { peer, duplex, below } = await meet();
    peer.socket.pause();
    const before = heldBuffers();
    const taken = pour(duplex, () => bytes(65_536));
    const first = await whenStill(taken);
    expect(duplex.writableLength).toBeLessThanOrEqual(131_072);
    expect(below.writableLength).toBeLessThanOrEqual(131_072 + 8 * 16);
    // Both ends live in this process: besides these buffers there is what the peer's socket read ahead.
    expect(heldBuffers() - before).toBeLessThan(2_000_000);
    peer.socket.resume();
    await once(duplex, 'drain');
    expect(taken()).toBeGreaterThan(first);
  });

  it.each([16_000, 1])('makes the peer wait when nobody reads, in messages of %i bytes', async (size) => {
    const { peer, duplex, below } = await meet();
    const message = repeat(Math.ceil(65_536 / size), () => frame(OPCODE.binary, bytes(size)));
    const sent = pour(peer.socket, () => message);
    await whenStill(sent);
    expect(duplex.readableLength).toBeLessThanOrEqual(duplex.readableHighWaterMark + 2 * 65_536);
    expect(below.readableLength).toBeLessThanOrEqual(2 * 65_536);
    let read = 0;
    duplex.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    await once(peer.socket, 'drain');
    expect(read).toBeGreaterThan(0);
  });

  it('answers some pings, and does not queue answers for a peer that does not read them', async () => {
    const { peer, duplex, below } = await meet();
    const done = outcome(duplex);
    peer.socket.write(repeat(20, () => frame(OPCODE.ping, bytes(125))));
    await settle();
    expect(duplex.destroyed).toBe(false);
    peer.socket.write(repeat(10_000, () => frame(OPCODE.ping, bytes(125))));
    expect((await done).by).toBe('link_flooded');
    expect(below.writableLength).toBeLessThan(10_000);
    const frames = await peer.frames();
    expect(frames.filter(({ opcode }) => opcode === OPCODE.pong).length).toBeGreaterThanOrEqual(20);
    expect(frames.length).toBeLessThan(40);
  });
});

describe('a request for a WebSocket that is not for links', () => {
  it.each<[string, Record<string, string | null>]>([
    ['names no subprotocol', { 'Sec-WebSocket-Protocol': null }],
    ['names another subprotocol', { 'Sec-WebSocket-Protocol': 'chat, towline.10' }],
    ['is of version 8, which hides the origin', { 'Sec-WebSocket-Version': '8' }],
    ['has no version', { 'Sec-WebSocket-Version': null }],
    ['has no key', { 'Sec-WebSocket-Key': null }],
    ['has a key that is none', { 'Sec-WebSocket-Key': 'short' }],
  ])('because it %s is answered in the form of all errors, and the connection ends', async (_what, changes) => {
    const relay = await startUpgrading(() => expect.unreachable());
    relays.push(relay);
    const { socket, head } = await openRawWebSocket(relay, changes);
    expect(head).toMatch(/^HTTP\/1\.1 400 .*Sec-WebSocket-Version: 13.*application\/json/s);
    const { error } = JSON.parse((await readAll(socket)).toString());
    expect(error).toMatchObject({ code: 'protocol_error', message: expect.any(String), hint: expect.any(String) });
  });

  it('names ours among others, and is accepted', async () => {
    const relay = await startUpgrading(() => undefined);
    relays.push(relay);
    const { socket, head } = await openRawWebSocket(relay, { 'Sec-WebSocket-Protocol': 'chat, towline.1' });
    sockets.push(socket);
    expect(head).toMatch(/101 .*Sec-WebSocket-Protocol: towline\.1$/s);
  });
});

describe('a relay that breaks the rules loses the link of who dialled it:', () => {
  it.each<[string, Buffer]>([
    ['a masked frame', frame(OPCODE.binary, bytes(1))],
    ['text', frame(OPCODE.text, bytes(1), { mask: false })],
    ['a message of 1 TiB', frame(OPCODE.binary, bytes(0), { mask: false, length: 1n << 40n })],
    ['a flood of pings', repeat(10_000, () => frame(OPCODE.ping, bytes(125), { mask: false }))],
    ['bytes that are no frames of a link', frame(OPCODE.binary, bytes(100, 0xff), { mask: false })],
  ])('%s', async (_what, sent) => {
    const relay = await startRelay((request, socket) =>
      socket.write(Buffer.concat([Buffer.from(answerHead(String(request.headers['sec-websocket-key']))), sent])),
    );
    relays.push(relay);
    const link = await createWebSocketDial(silent).dial(dialRequest(relay.relay));
    expect(['link_lost', 'protocol_error']).toContain((await link.closed).code);
  });

  it.each<[string, (key: string) => string]>([
    ['a digest of another key', () => answerHead('AAAAAAAAAAAAAAAAAAAAAA==')],
    ['no subprotocol', (key) => answerHead(key, '')],
    ['another subprotocol', (key) => answerHead(key, 'Sec-WebSocket-Protocol: chat\r\n')],
    ['compression', (key) => answerHead(key, 'Sec-WebSocket-Protocol: towline.1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n')],
  ])('%s in its answer', async (_what, answer) => {
    const relay = await startRelay((request, socket) => socket.write(answer(String(request.headers['sec-websocket-key']))));
    relays.push(relay);
    await expect(createWebSocketDial(silent).dial(dialRequest(relay.relay))).rejects.toMatchObject({ code: 'relay_not_towline' });
  });
});
