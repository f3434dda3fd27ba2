import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apiKeyMatches, createApiKeyText, hashApiKeySecret, parseApiKey } from '../src/api-key.ts';

const kinds = ['user', 'device', 'enrolment'] as const;

describe('the text of an API key', () => {
  it.each(kinds)('of kind %s is read back as it was made', (kind) => {
    const made = createApiKeyText(kind);
    expect(made.text).toMatch(new RegExp(`^twl_${kind[0]}_[0-9a-f]{16}_[0-9a-f]{64}$`));
    expect(parseApiKey(made.text)).toEqual({ kind, id: made.id, secret: made.secret });
    expect(made.hash).toBe(hashApiKeySecret(made.secret));
  });

  it('differs from every other in id and secret', () => {
    const made = Array.from({ length: 100 }, () => createApiKeyText('user'));
    expect(new Set(made.map((key) => key.id)).size).toBe(100);
    expect(new Set(made.map((key) => key.secret)).size).toBe(100);
  });

  it('is refused with any one character changed to something outside its form', () => {
    const { text } = createApiKeyText('device');
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('g', 'A', ' ', '\n', '', '_x', '０'), (at, other) => {
        expect(parseApiKey(text.slice(0, at) + other + text.slice(at + 1))).toBeNull();
      }),
    );
  });

  it('is refused with anything before or after it', () => {
    const { text } = createApiKeyText('user');
    for (const wrong of [` ${text}`, `${text} `, `${text}\n`, `${text}0`, text.toUpperCase(), '', 'twl_', text.slice(0, -1)])
      expect(parseApiKey(wrong)).toBeNull();
  });

  it('never makes the parser throw', () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void parseApiKey(text)));
  });
});

describe('the comparison of a secret', () => {
  const { secret, hash } = createApiKeyText('user');

  it('accepts the secret of the hash and no other', () => {
    expect(apiKeyMatches(secret, hash)).toBe(true);
    expect(apiKeyMatches(createApiKeyText('user').secret, hash)).toBe(false);
    expect(apiKeyMatches('', hash)).toBe(false);
  });

  it.each(['', hash.slice(2), `${hash}00`, 'z'.repeat(64), '0'.repeat(64)])('accepts nothing for the damaged hash %j', (damaged) => {
    expect(apiKeyMatches(secret, damaged)).toBe(false);
    expect(apiKeyMatches('', damaged)).toBe(false);
  });
});
