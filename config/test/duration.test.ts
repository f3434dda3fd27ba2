import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_DURATION_MS, parseDuration } from '../src/reading/duration.ts';

describe('a duration', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['10m', 600_000],
    ['24h', 86_400_000],
    ['90d', 7_776_000_000],
    ['0s', 0],
  ])('%s is %d milliseconds', (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each([
    '',
    '30',
    's',
    '1.5h',
    '-1s',
    '+1s',
    '1 s',
    ' 1s',
    '1s\n',
    '01s',
    '1h30m',
    '1S',
    '1w',
    '1e3s',
    '0x1s',
    '١s',
    '999999999999d',
    'Infinityms',
  ])('%j is none', (text) => expect(parseDuration(text)).toBeNull());

  test('of any whole number and unit is the product of both, or null above a hundred years', () => {
    const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
    fc.assert(
      fc.property(fc.nat(4_000_000_000), fc.constantFrom(...(Object.keys(units) as (keyof typeof units)[])), (number, unit) => {
        const ms = number * units[unit];
        expect(parseDuration(`${number}${unit}`)).toBe(ms <= MAX_DURATION_MS ? ms : null);
      }),
    );
  });

  test('of any other text is null or a whole number of milliseconds within bounds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9]{0,20}[a-z ]{0,3}$/)), (text) => {
        const ms = parseDuration(text);
        if (ms !== null) expect(/^\d+[a-z]+$/.test(text) && Number.isSafeInteger(ms) && ms >= 0 && ms <= MAX_DURATION_MS).toBe(true);
      }),
    );
  });
});
