import { createPublicKey } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  acceptGrantKeys,
  accountOf,
  createId,
  type DeviceId,
  deriveGrantKey,
  type Grant,
  openDigest,
  parsePublicKey,
  publishGrantKeys,
  signGrant,
  verifyGrant,
} from '../src/index.ts';

const key = deriveGrantKey('a secret of at least thirty-two characters');
const other = deriveGrantKey('another secret of thirty-two characters');
const device = createId<DeviceId>();
const open = '{"protocol":"/exec/1"}';
const now = 1_800_000_000_000;
const expected = {
  device,
  nonce: 'nonce-of-the-link',
  open,
  nowMs: now,
  keyOf: (id: string) => (id === key.id ? createPublicKey(key.privateKey) : null),
};

function grantWith(change: Partial<Grant>): Grant {
  return {
    key: key.id,
    device,
    protocol: '/exec/1',
    nonce: 'nonce-of-the-link',
    opening: createId(),
    principal: 'admin@example.com',
    expires_ms: now + 60_000,
    open_sha256: openDigest(open),
    ...change,
  };
}

describe('a grant', () => {
  it('is accepted for the device, link, open message and time it was made for', () => {
    expect(verifyGrant(signGrant(grantWith({}), key.privateKey), expected).principal).toBe('admin@example.com');
  });

  it('names an account, which is the same for one principal, another for any other, and does not say who it is', () => {
    const account = accountOf('https://id.example.com|ada');
    expect(verifyGrant(signGrant(grantWith({ account }), key.privateKey), expected).account).toBe(account);
    expect(account).toBe('1HWXj6UBZIXd4HyF5EfE5Q');
    expect(accountOf('https://id.example.com|bob')).not.toBe(account);
    expect(() => verifyGrant(signGrant(grantWith({ account: 'ada' }), key.privateKey), expected)).toThrow(
      expect.objectContaining({ code: 'grant_invalid' }),
    );
  });

  it.each([
    ['another device', grantWith({ device: createId() }), 'grant_invalid'],
    ['another link', grantWith({ nonce: 'nonce-of-another-link' }), 'grant_invalid'],
    ['another open message', grantWith({ open_sha256: openDigest('{"protocol":"/shell/1"}') }), 'grant_invalid'],
    ['a time that is over', grantWith({ expires_ms: now }), 'grant_expired'],
    ['a time without end', grantWith({ expires_ms: now + 86_400_000 }), 'grant_invalid'],
    ['a key the device does not know', grantWith({ key: '0000000000000000' }), 'grant_invalid'],
  ])('is refused when it is for %s', (_what, grant, code) => {
    expect(() => verifyGrant(signGrant(grant, key.privateKey), expected)).toThrow(expect.objectContaining({ code }));
  });

  it('is refused when another key signed it under the name of this one', () => {
    expect(() => verifyGrant(signGrant(grantWith({}), other.privateKey), expected)).toThrow(
      expect.objectContaining({ code: 'grant_invalid' }),
    );
  });

  it('is refused when any character of it was changed', () => {
    const text = signGrant(grantWith({}), key.privateKey);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length - 1 }), fc.constantFrom(...'AZaz09-_.='), (at, char) => {
        if (text[at] === char) return;
        // The last characters of both parts have bits that carry nothing: such a change leaves the same bytes.
        const changed = text.slice(0, at) + char + text.slice(at + 1);
        if (bytesOf(changed).equals(bytesOf(text)) && changed.split('.').length === 2) return;
        expect(() => verifyGrant(changed, expected)).toThrow(expect.objectContaining({ code: 'grant_invalid' }));
      }),
      { numRuns: 500 },
    );
  });

  it.each(['', '.', 'a.b', 'x'.repeat(5_000), `${Buffer.from('[]').toString('base64url')}.${'A'.repeat(86)}`])(
    'is refused when it is %j',
    (text) => {
      expect(() => verifyGrant(text, expected)).toThrow(expect.objectContaining({ code: 'grant_invalid' }));
    },
  );
});

describe('the ring of grant keys', () => {
  const first = deriveGrantKey('first secret of thirty-two characters!');
  const second = deriveGrantKey('second secret of thirty-two characters');
  const third = deriveGrantKey('third secret of thirty-two characters!');

  it('lets a device follow a rotation that a key it holds has signed', () => {
    const held = publishGrantKeys([first]);
    const accepted = acceptGrantKeys(held, publishGrantKeys([third, second, first]));
    expect(accepted?.map(({ id }) => id)).toEqual([first.id, second.id, third.id]);
  });

  it('drops keys that the relay no longer offers', () => {
    const held = acceptGrantKeys(publishGrantKeys([first]), publishGrantKeys([second, first]))!;
    expect(acceptGrantKeys(held, publishGrantKeys([third, second]))?.map(({ id }) => id)).toEqual([second.id, third.id]);
  });

  it('accepts nothing from a ring that shares no key with its own', () => {
    expect(acceptGrantKeys(publishGrantKeys([first]), publishGrantKeys([third, second]))).toBeNull();
  });

  it('does not accept a key under the id of one it holds, nor one with a forged endorsement', () => {
    const held = publishGrantKeys([first]);
    const [, forged] = publishGrantKeys([third, second]);
    const posing = { id: first.id, key: third.publicKey };
    expect(acceptGrantKeys(held, [posing])).toBeNull();
    expect(acceptGrantKeys(held, [...held, { ...forged!, signed_by: first.id }])?.map(({ id }) => id)).toEqual([first.id]);
  });

  it('derives the same key from the same secret', () => {
    expect(deriveGrantKey('first secret of thirty-two characters!').publicKey).toBe(first.publicKey);
    expect(parsePublicKey(first.publicKey)).not.toBeNull();
    expect(parsePublicKey(`${first.publicKey}A`)).toBeNull();
  });
});

/** What a grant's text says, part for part; a full stop between. */
function bytesOf(text: string): Buffer {
  return Buffer.concat(text.split('.').flatMap((part) => [Buffer.from(part, 'base64url'), Buffer.from('.')]));
}
