import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isTowlineError } from '../src/errors/towline-error.ts';
import { MAX_CLOSE_TEXT, MAX_FRAME_PAYLOAD, MAX_STREAM_HEAD } from '../src/limits.ts';
import { FrameDecoder } from '../src/link/frame-decoder.ts';
import {
  encodeClose,
  encodeCredit,
  encodeDataHead,
  encodeFin,
  encodeOpen,
  encodePing,
  encodePong,
  encodeReset,
  FRAME_HEAD_BYTES,
  MAX_CREDIT,
  MAX_STREAM_ID,
  PING_BYTES,
} from '../src/link/frames.ts';

type Frame =
  | { type: 'open' | 'data'; stream: number; payload: string }
  | { type: 'fin'; stream: number }
  | { type: 'reset' | 'credit'; stream: number; value: number }
  | { type: 'ping' | 'pong'; payload: string }
  | { type: 'close'; value: number; text: string };

interface Vectors {
  valid: { name: string; bytes: string; frames: Frame[] }[];
  invalid: { name: string; bytes: string }[];
}

const vectors: Vectors = JSON.parse(readFileSync(join(import.meta.dirname, 'vectors', 'link-frames.json'), 'utf8'));

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (text: string) => Buffer.from(text, 'hex');

/** A decoder that keeps what it finds. */
function createCollector() {
  const frames: Frame[] = [];
  const add = (frame: Frame) => void frames.push(frame);
  const decoder = new FrameDecoder({
    onOpen: (stream, head) => add({ type: 'open', stream, payload: hex(head) }),
    onData: (stream, bytes) => add({ type: 'data', stream, payload: hex(bytes) }),
    onFin: (stream) => add({ type: 'fin', stream }),
    onReset: (stream, value) => add({ type: 'reset', stream, value }),
    onCredit: (stream, value) => add({ type: 'credit', stream, value }),
    onPing: (payload) => add({ type: 'ping', payload: hex(payload) }),
    onPong: (payload) => add({ type: 'pong', payload: hex(payload) }),
    onClose: (value, text) => add({ type: 'close', value, text }),
  });
  return { decoder, frames };
}

/** Data of one stream in a row, however it was cut into frames and parts. */
function joinData(frames: readonly Frame[]): Frame[] {
  const joined: Frame[] = [];
  for (const frame of frames) {
    const last = joined.at(-1);
    if (frame.type === 'data' && last?.type === 'data' && last.stream === frame.stream) last.payload += frame.payload;
    else joined.push({ ...frame });
  }
  return joined;
}

function encode(frame: Frame): Buffer {
  switch (frame.type) {
    case 'open':
      return encodeOpen(frame.stream, unhex(frame.payload));
    case 'data':
      return Buffer.concat([encodeDataHead(frame.stream, frame.payload.length / 2), unhex(frame.payload)]);
    case 'fin':
      return encodeFin(frame.stream);
    case 'reset':
      return encodeReset(frame.stream, frame.value);
    case 'credit':
      return encodeCredit(frame.stream, frame.value);
    case 'ping':
      return encodePing(unhex(frame.payload));
    case 'pong':
      return encodePong(unhex(frame.payload));
    case 'close':
      return encodeClose(frame.value, frame.text);
  }
}

function decode(bytes: Buffer, cuts: readonly number[] = []): { frames: Frame[]; fault: unknown; decoder: FrameDecoder } {
  const { decoder, frames } = createCollector();
  const edges = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  try {
    for (let n = 1; n < edges.length; n += 1) decoder.push(bytes.subarray(edges[n - 1], edges[n]));
    return { frames, fault: null, decoder };
  } catch (fault) {
    return { frames, fault, decoder };
  }
}

const streamId = fc.integer({ min: 1, max: MAX_STREAM_ID });
const payload = (max: number) => fc.uint8Array({ minLength: 1, maxLength: max }).map(hex);
const opaque = fc.uint8Array({ minLength: PING_BYTES, maxLength: PING_BYTES }).map(hex);
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ type: fc.constantFrom('open' as const, 'data' as const), stream: streamId, payload: payload(300) }),
  fc.record({ type: fc.constant('fin' as const), stream: streamId }),
  fc.record({ type: fc.constant('reset' as const), stream: streamId, value: u32 }),
  fc.record({ type: fc.constant('credit' as const), stream: streamId, value: fc.integer({ min: 1, max: MAX_CREDIT }) }),
  fc.record({ type: fc.constantFrom('ping' as const, 'pong' as const), payload: opaque }),
  fc.record({ type: fc.constant('close' as const), value: u32, text: fc.string({ maxLength: 40, unit: 'grapheme' }) }),
);

describe('golden vectors of link frames', () => {
  test.each(vectors.valid)('$name', ({ bytes, frames }) => {
    expect(joinData(decode(unhex(bytes)).frames)).toEqual(frames);
    expect(hex(Buffer.concat(frames.map(encode)))).toBe(bytes);
  });

  test.each(vectors.invalid)('refused: $name', ({ bytes }) => {
    const { fault, frames } = decode(unhex(bytes));
    expect(fault).toMatchObject({ code: 'protocol_error' });
    expect(frames).toEqual([]);
  });
});

describe('the frame decoder', () => {
  test('finds the same frames however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.array(fc.nat(), { maxLength: 20 }), (frames, cuts) => {
        const outcome = decode(Buffer.concat(frames.map(encode)), cuts);
        expect(outcome.fault).toBeNull();
        expect(joinData(outcome.frames)).toEqual(joinData(frames));
        expect(outcome.decoder.pendingBytes).toBe(0);
      }),
    );
  });

  test('finds the same frames when every byte comes alone', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 6 }), (frames) => {
        const bytes = Buffer.concat(frames.map(encode));
        expect(
          joinData(
            decode(
              bytes,
              Array.from(bytes, (_, at) => at),
            ).frames,
          ),
        ).toEqual(joinData(frames));
      }),
    );
  });

  test('answers any corruption with frames or `protocol_error`, in bounded memory', () => {
    const corruption = fc.record({ at: fc.nat(), remove: fc.integer({ min: 0, max: 12 }), insert: fc.uint8Array({ maxLength: 12 }) });
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 8 }),
        fc.array(corruption, { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (frames, corruptions, cuts) => {
          let bytes = Buffer.concat(frames.map(encode));
          for (const { at, remove, insert } of corruptions) {
            const from = at % (bytes.length + 1);
            bytes = Buffer.concat([bytes.subarray(0, from), insert, bytes.subarray(from + remove)]);
          }
          const { fault, decoder } = decode(bytes, cuts);
          if (fault !== null) expect(isTowlineError(fault) && fault.code).toBe('protocol_error');
          expect(decoder.pendingBytes).toBeLessThanOrEqual(Math.min(bytes.length, FRAME_HEAD_BYTES + MAX_STREAM_HEAD));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  test('never answers random bytes with anything but frames or `protocol_error`', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const { fault } = decode(Buffer.from(bytes));
        expect(fault === null || (isTowlineError(fault) && fault.code === 'protocol_error')).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('refuses an announced length before any of its bytes came', () => {
    const { decoder } = createCollector();
    expect(() => decoder.push(unhex('0100c00100000001'))).toThrow(expect.objectContaining({ code: 'protocol_error' }));
    expect(decoder.pendingBytes).toBe(0);
  });

  test('holds no more of an unfinished head than arrived', () => {
    const { decoder } = createCollector();
    decoder.push(Buffer.concat([unhex('0100c00000000001'), Buffer.alloc(10)]));
    expect(decoder.pendingBytes).toBe(10);
  });

  test('hands out views of the data, not copies', () => {
    const parts: Buffer[] = [];
    const nothing = () => {};
    const decoder = new FrameDecoder({
      onOpen: nothing,
      onData: (_stream, bytes) => void parts.push(bytes),
      onFin: nothing,
      onReset: nothing,
      onCredit: nothing,
      onPing: nothing,
      onPong: nothing,
      onClose: nothing,
    });
    const bytes = Buffer.concat([encodeDataHead(1, MAX_FRAME_PAYLOAD), Buffer.alloc(MAX_FRAME_PAYLOAD, 1)]);
    decoder.push(bytes);
    expect(parts.map((part) => part.buffer === bytes.buffer)).toEqual([true]);
  });

  test('keeps a head apart from the read it came with', () => {
    const bytes = encodeOpen(1, Buffer.from('/shell/1'));
    const { decoder, frames } = createCollector();
    decoder.push(bytes);
    bytes.fill(0);
    expect(frames).toEqual([{ type: 'open', stream: 1, payload: hex(Buffer.from('/shell/1')) }]);
  });

  test('stays broken after a fault', () => {
    const { decoder, frames } = createCollector();
    expect(() => decoder.push(unhex('00'.repeat(8)))).toThrow();
    expect(() => decoder.push(encodeFin(1))).toThrow(expect.objectContaining({ code: 'protocol_error' }));
    expect(frames).toEqual([]);
  });

  test('ignores everything after it was stopped, within the same bytes too', () => {
    const { decoder, frames } = createCollector();
    const stopping = new FrameDecoder({
      onOpen: () => {},
      onData: () => {},
      onFin: () => {
        frames.push({ type: 'fin', stream: 1 });
        stopping.stop();
      },
      onReset: () => {},
      onCredit: () => {},
      onPing: () => {},
      onPong: () => {},
      onClose: () => {},
    });
    stopping.push(Buffer.concat([encodeFin(1), encodeFin(2), unhex('ff')]));
    expect(frames).toHaveLength(1);
    expect(decoder.pendingBytes).toBe(0);
  });
});

describe('encoding', () => {
  test('cuts a closing text between characters', () => {
    const frame = encodeClose(10, 'ü'.repeat(MAX_CLOSE_TEXT));
    expect(frame.length).toBe(FRAME_HEAD_BYTES + 4 + MAX_CLOSE_TEXT);
    expect(decode(frame).frames).toEqual([{ type: 'close', value: 10, text: 'ü'.repeat(MAX_CLOSE_TEXT / 2) }]);
  });

  test('refuses a head that the peer would refuse', () => {
    expect(() => encodeOpen(1, Buffer.alloc(0))).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(() => encodeOpen(1, Buffer.alloc(MAX_STREAM_HEAD + 1))).toThrow(expect.objectContaining({ code: 'too_large' }));
  });
});
