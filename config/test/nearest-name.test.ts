import fc from 'fast-check';
import { expect, test } from 'vitest';
import { levenshtein, nearestName } from '../src/faults/nearest-name.ts';

test.each([
  ['prot', 'port'],
  ['hosts', 'host'],
  ['publicurl', 'public_url'],
  ['trustedproxies', 'trusted_proxies'],
  ['PORT', 'port'],
])('%s is near %s', (name, near) => {
  expect(nearestName(name, ['host', 'port', 'public_url', 'tls', 'trusted_proxies'])).toBe(near);
});

test.each(['x', 'wibble', 'security', '', 'p'.repeat(1_000_000)])('a text that is no slip of the hand is near nothing', (name) => {
  expect(nearestName(name, ['host', 'port', 'tls'])).toBeUndefined();
});

test('the distance is a metric', () => {
  const text = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(text, text, text, (a, b, c) => {
      expect(levenshtein(a, b)).toBe(levenshtein(b, a));
      expect(levenshtein(a, b) === 0).toBe(a === b);
      expect(levenshtein(a, c)).toBeLessThanOrEqual(levenshtein(a, b) + levenshtein(b, c));
    }),
  );
});
