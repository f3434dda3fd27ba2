import { TowlineError } from '@towline/protocol';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { DatagramSplitter, encodeDatagram } from '../src/datagrams.ts';

afterEach(() => vi.restoreAllMocks());

/** Hands bytes over in pieces of these lengths, and what is left in one; answers what was kept of each datagram, uncopied. */
function split(bytes: Buffer, lengths: Iterable<number>): Buffer[] {
  const found: Buffer[] = [];
  const splitter = new DatagramSplitter((datagram) => found.push(datagram));
  let at = 0;
  for (const length of lengths) {
    splitter.push(bytes.subarray(at, at + length));
    at += length;
  }
  splitter.push(bytes.subarray(at));
  return found;
}

/** Counts the bytes that are copied, and those that memory is taken for, by whatever a splitter could do either with. */
function countWork() {
  const work = { copied: 0, taken: 0 };
  const { concat, alloc, allocUnsafe, from } = Buffer;
  const { copy } = Buffer.prototype;
  const { set } = Uint8Array.prototype;
  vi.spyOn(Buffer, 'concat').mockImplementation((list, length) => {
    const whole = concat(list, length);
    work.copied += whole.length;
    work.taken += whole.length;
    return whole;
  });
  for (const [name, take] of Object.entries({ alloc, allocUnsafe })) {
    vi.spyOn(Buffer, name as 'alloc').mockImplementation((size) => {
      work.taken += size;
      return take(size);
    });
  }
  vi.spyOn(Buffer, 'from').mockImplementation(((...given: Parameters<typeof Buffer.from>) => {
    const made = from(...given);
    work.copied += made.length;
    work.taken += made.length;
    return made;
  }) as typeof Buffer.from);
  vi.spyOn(Buffer.prototype, 'copy').mockImplementation(function (this: Buffer, ...given) {
    const count = copy.apply(this, given);
    work.copied += count;
    return count;
  });
  vi.spyOn(Uint8Array.prototype, 'set').mockImplementation(function (this: Uint8Array, ...given) {
    work.copied += given[0].length;
    set.apply(this, given);
  });
  return work;
}

describe('datagrams on a channel', () => {
  it('come out as they went in, wherever the bytes are cut, empty ones included, and stay so', () => {
    const size = fc.oneof({ weight: 5, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.constantFrom(0, 1_498, 1_499, 3_000, 65_507) });
    const piece = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 5_000 }));
    fc.assert(
      fc.property(fc.array(size, { maxLength: 20 }), fc.array(piece, { maxLength: 200 }), (sizes, pieces) => {
        const datagrams = sizes.map((length, at) => Buffer.from(Array.from({ length }, (_, index) => (at + index * 7) & 0xff)));
        const found = split(Buffer.concat(datagrams.map(encodeDatagram)), pieces);
        expect(found.length).toBe(datagrams.length);
        for (const [at, datagram] of datagrams.entries()) expect(datagram.equals(found[at]!)).toBe(true);
      }),
    );
  });

  it('may have 65,507 bytes, and not one more', () => {
    expect(split(encodeDatagram(Buffer.alloc(65_507)), []).map(({ length }) => length)).toEqual([65_507]);
    for (const pieces of [[], [1], [1, 1], [2], [3]])
      expect(() => split(encodeDatagram(Buffer.alloc(65_508)), pieces)).toThrow(TowlineError);
  });

  it.each([1, 2, 3, 700, 1_450])(
    'cost a few copies of each byte when the peer sends %i bytes at a time, and no memory for what is announced',
    (length) => {
      const bytes = Buffer.concat([65_507, 0, 1, 20_000, 12].map((size) => encodeDatagram(Buffer.alloc(size, size))));
      const pieces = new Array<number>(Math.ceil(bytes.length / length)).fill(length);
      const work = countWork();
      const found = split(bytes, pieces);
      vi.restoreAllMocks();
      expect(found).toHaveLength(5);
      expect(work.copied).toBeLessThan(3 * bytes.length);
      expect(work.taken).toBeLessThan(5 * bytes.length);
      const announced = countWork();
      new DatagramSplitter(() => {}).push(bytes.subarray(0, 2));
      vi.restoreAllMocks();
      expect(announced.taken).toBeLessThan(2_000);
    },
  );
});
