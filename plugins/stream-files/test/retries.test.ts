import { describe, expect, it } from 'vitest';
import { createRetries } from '../src/copy/retries.ts';

describe('a transfer that was interrupted', () => {
  it('waits its whole time from the break on, however long nothing had moved before', () => {
    let now = 0;
    const retries = createRetries({ giveUpMs: 120_000, now: () => now });
    retries.works();
    // What was there is compared for ten minutes, and nothing moves.
    now += 600_000;
    expect(retries.next()).toBe(500);
    now += 120_000;
    expect(retries.next()).toBe(1_000);
    now += 1;
    expect(retries.next()).toBeNull();
  });

  it('is tried at longer and longer intervals, and begins anew when the way works again', () => {
    let now = 0;
    const retries = createRetries({ giveUpMs: 120_000, now: () => now });
    expect(Array.from({ length: 7 }, () => retries.next())).toEqual([500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    now += 120_000;
    retries.works();
    now += 120_000;
    expect(retries.next()).toBe(500);
  });
});
