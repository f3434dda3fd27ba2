import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createKeyRing } from '../src/secrets/key-ring.ts';
import type { SecretPlace } from '../src/secrets/sealed-text.ts';

const OLD = { id: 'k1', bytes: randomBytes(32) };
const NEW = { id: 'k2', bytes: randomBytes(32) };
const PLACE: SecretPlace = { purpose: 'secret', scope: 'org:acme', name: 'DB_PASSWORD' };
const TEXT = 'correct horse, naïve battery \0 staple';

/** What opening throws. */
function faultOf(open: () => string): { code: string; message: string } {
  try {
    open();
  } catch (error) {
    return error as { code: string; message: string };
  }
  throw new Error('it was opened');
}

describe('a key ring', () => {
  it.each([
    ['a text', TEXT],
    ['nothing', ''],
    ['much', 'x'.repeat(100_000)],
  ])('seals %s and opens it again', (_what, text) => {
    const ring = createKeyRing([OLD]);
    const sealed = ring.seal(text, PLACE);
    expect(sealed).toMatch(/^v1\.k1\.[0-9a-f]{16}\.[A-Za-z0-9_-]+$/);
    expect(ring.open(sealed, PLACE)).toBe(text);
  });

  it('never seals a text to the same twice', () => {
    const ring = createKeyRing([OLD]);
    const nonces = Array.from({ length: 1_000 }, () => ring.seal(TEXT, PLACE).split('.')[3]!.slice(0, 16));
    expect(new Set(nonces).size).toBe(1_000);
  });

  it('seals with its first key, and opens with all', () => {
    const sealed = createKeyRing([OLD]).seal(TEXT, PLACE);
    const ring = createKeyRing([NEW, OLD]);
    expect(ring.current).toBe('k2');
    expect(ring.open(sealed, PLACE)).toBe(TEXT);
    expect([ring.isCurrent(sealed), ring.isCurrent(ring.seal(TEXT, PLACE))]).toEqual([false, true]);
  });

  it('names a key without an id by its fingerprint, and knows it by any other name', () => {
    const alone = createKeyRing([{ bytes: OLD.bytes }]);
    expect(alone.current).toMatch(/^[0-9a-f]{16}$/);
    expect(createKeyRing([OLD]).open(alone.seal(TEXT, PLACE), PLACE)).toBe(TEXT);
    expect(alone.open(createKeyRing([OLD]).seal(TEXT, PLACE), PLACE)).toBe(TEXT);
  });

  it('is not made of nothing', () => {
    expect(() => createKeyRing([])).toThrow(expect.objectContaining({ code: 'secret_key_missing' }));
  });
});

describe('what cannot be opened', () => {
  const sealed = createKeyRing([OLD]).seal(TEXT, PLACE);

  it('because the key is missing is told so, with its id', () => {
    const fault = faultOf(() => createKeyRing([NEW]).open(sealed, PLACE));
    expect(fault.code).toBe('secret_key_missing');
    expect(fault.message).toContain('key k1');
  });

  it('because the key is another one of that id is told so, with its id', () => {
    const fault = faultOf(() => createKeyRing([NEW, { id: 'k1', bytes: randomBytes(32) }]).open(sealed, PLACE));
    expect(fault.code).toBe('secret_key_wrong');
    expect(fault.message).toContain('key k1');
  });

  it.each([
    ['purpose', { ...PLACE, purpose: 'grant secrets' }],
    ['scope', { ...PLACE, scope: 'org:other' }],
    ['name', { ...PLACE, name: 'DB_PASSWORD2' }],
    ['parts, joined otherwise', { purpose: 'secret', scope: 'org:acmeDB_', name: 'PASSWORD' }],
  ])('because it was moved to another place is told so: another %s', (_what, place) => {
    const fault = faultOf(() => createKeyRing([OLD]).open(sealed, place));
    expect(fault.code).toBe('secret_damaged');
    expect(fault.message).toContain('key k1');
  });

  it('because any character of it was changed is an error with a code, and never another text', () => {
    const ring = createKeyRing([NEW, OLD]);
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = sealed.slice(0, at) + (sealed[at] === 'a' ? 'b' : 'a') + sealed.slice(at + 1);
      expect(['secret_damaged', 'secret_key_missing', 'secret_key_wrong']).toContain(faultOf(() => ring.open(changed, PLACE)).code);
    }
  });

  it('because the ciphertext was changed is damaged, with the id of the key', () => {
    const body = sealed.lastIndexOf('.') + 1;
    for (let at = body; at < sealed.length; at += 1) {
      const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1);
      const fault = faultOf(() => createKeyRing([OLD]).open(changed, PLACE));
      expect(fault.code).toBe('secret_damaged');
      expect(fault.message).toContain('key k1');
    }
  });

  it.each([
    ['nothing', ''],
    ['another version', sealed.replace('v1', 'v2')],
    ['cut short', sealed.slice(0, 30)],
    ['cut short in its tag', sealed.slice(0, -4)],
    ['without a body', sealed.slice(0, sealed.lastIndexOf('.') + 1)],
    ['longer', `${sealed}AAAA`],
    ['with a line feed', `${sealed}\n`],
  ])('because it is %s is damaged', (_what, text) => {
    expect(faultOf(() => createKeyRing([OLD]).open(text, PLACE)).code).toBe('secret_damaged');
  });

  it('tells neither the text nor a key', () => {
    for (const open of [
      () => createKeyRing([NEW]).open(sealed, PLACE),
      () => createKeyRing([OLD]).open(`${sealed.slice(0, -6)}AAAAAA`, PLACE),
    ]) {
      const shown = JSON.stringify(faultOf(open), Object.getOwnPropertyNames(new Error('')).concat('message', 'detail', 'hint'));
      for (const secret of [TEXT, OLD.bytes.toString('base64'), OLD.bytes.toString('hex')]) expect(shown).not.toContain(secret);
    }
  });
});
