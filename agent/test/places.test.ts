import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPlaces } from '../src/places.ts';

/** Takes places for an account until there are none for it; answers how many it took. */
function takeAll(places: ReturnType<typeof createPlaces>, account: string): number {
  let count = 0;
  for (; places.refuse(account) === null; count += 1) places.take(account);
  return count;
}

describe('places that accounts share', () => {
  it.each([
    [1, 1],
    [3, 3],
    [4, 3],
    [64, 48],
    [2_000, 1_500],
    [5_000, 3_750],
  ])('of %i one account gets %i', (limit, most) => {
    const places = createPlaces(limit);
    expect(takeAll(places, 'greedy')).toBe(most);
    expect(places.refuse('greedy')).toBe(most === limit ? 'full' : 'share');
  });

  it('have one left for whoever has none, whatever some others take, and never more than there are', () => {
    const limit = fc.integer({ min: 4, max: 300 });
    const asks = fc.array(fc.record({ who: fc.nat(19), gives: fc.boolean() }), { maxLength: 600 });
    fc.assert(
      fc.property(limit, asks, fc.integer({ min: 1, max: 20 }), (many, steps, greedy) => {
        const places = createPlaces(many);
        const held = new Map<string, number>();
        const heldBy = (account: string) => held.get(account) ?? 0;
        const free = () => [...held.values()].reduce((left, count) => left - count, many);
        for (const { who, gives } of steps) {
          const account = `account ${who % greedy}`;
          if (gives && heldBy(account) > 0) {
            places.release(account);
            held.set(account, heldBy(account) - 1);
          } else if (places.refuse(account) === null) {
            // Nobody with more than a few takes the last one.
            if (free() === 1) expect(heldBy(account)).toBeLessThan(3);
            places.take(account);
            held.set(account, heldBy(account) + 1);
          }
        }
        expect(free()).toBeGreaterThanOrEqual(0);
        expect(places.refuse('newcomer')).toBe(free() === 0 ? 'full' : null);
      }),
    );
  });

  it.each([2, 5, 12])('are shared about evenly by %i accounts that want all, and come back', (accounts) => {
    const places = createPlaces(1_000);
    const took = Array.from({ length: accounts }, () => 0);
    for (let moved = true; moved; ) {
      moved = false;
      for (const [at] of took.entries()) {
        if (places.refuse(`account ${at}`) !== null) continue;
        places.take(`account ${at}`);
        took[at]! += 1;
        moved = true;
      }
    }
    expect(Math.max(...took) - Math.min(...took)).toBeLessThanOrEqual(3);
    expect(takeAll(places, 'newcomer')).toBeGreaterThan(0);
    for (let left = took[0]!; left > 0; left -= 1) places.release('account 0');
    expect(takeAll(places, 'account 0')).toBeGreaterThan(took[0]! / 2);
  });
});
