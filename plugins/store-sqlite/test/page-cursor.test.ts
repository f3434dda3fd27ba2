import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeCursor, encodeCursor } from '../src/thread/page-cursor.ts';

const position = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.integer()), { minLength: 1, maxLength: 3 });

describe('a cursor', () => {
  it('gives back every position in its own list', () => {
    fc.assert(
      fc.property(position, (given) => {
        expect(decodeCursor('list', encodeCursor('list', given))).toEqual(given);
      }),
    );
  });

  it('of another list is refused', () => {
    fc.assert(
      fc.property(position, (given) => {
        expect(() => decodeCursor('other', encodeCursor('list', given))).toThrow(expect.objectContaining({ code: 'invalid_request' }));
      }),
    );
  });

  it('is refused when any of its characters is another', () => {
    fc.assert(
      fc.property(position, fc.nat(), fc.constantFrom(...'Aa0_-=+/ é'), (given, at, char) => {
        const cursor = encodeCursor('list', given);
        const index = at % cursor.length;
        const changed = cursor.slice(0, index) + char + cursor.slice(index + 1);
        fc.pre(changed !== cursor);
        expect(() => decodeCursor('list', changed)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
      }),
    );
  });

  it('made of any text is refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const cursor of [text, Buffer.from(text).toString('base64url')]) {
          expect(() => decodeCursor('list', cursor)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
        }
      }),
    );
  });
});
