import {
  createId,
  type DeviceId,
  deriveGrantKey,
  encodeJson,
  type Grant,
  openDigest,
  publishGrantKeys,
  type SessionId,
  signGrant,
  TowlineError,
} from '@towline/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GrantCheck } from '../src/grant-check.ts';

const device = createId<DeviceId>();
const nonce = 'nonce-of-this-link-0001';
const key = deriveGrantKey('a secret of the relay, long enough');
const stranger = deriveGrantKey('a secret of somebody else, long enough');

function checkAt(nowMs = 1_000_000, maxRemembered?: number) {
  const clock = { nowMs };
  const check = new GrantCheck({ device, nonce, relayNowMs: () => clock.nowMs, ...(maxRemembered === undefined ? {} : { maxRemembered }) });
  check.useKeys(publishGrantKeys([key]));
  return { clock, check };
}

function openOf(changes: Record<string, unknown> = {}): string {
  return encodeJson({ protocol: '/exec/1', session: createId<SessionId>(), body: {}, ...changes }).toString();
}

function grantFor(open: string, changes: Partial<Grant> = {}): Grant {
  return {
    key: key.id,
    device,
    protocol: '/exec/1',
    nonce,
    opening: createId<SessionId>(),
    principal: 'ada@example.com',
    expires_ms: 1_000_000 + 60_000,
    open_sha256: openDigest(open),
    ...changes,
  };
}

const codeOf = (attempt: () => unknown): string => {
  try {
    attempt();
  } catch (error) {
    if (error instanceof TowlineError) return error.code;
    throw error;
  }
  return 'admitted';
};

describe('the check of grants', () => {
  it('admits what the relay signed for this device, link and message', () => {
    const open = openOf();
    const admitted = checkAt().check.admit({ grant: signGrant(grantFor(open), key.privateKey), open });
    expect(admitted.grant.principal).toBe('ada@example.com');
    expect(admitted.open.protocol).toBe('/exec/1');
  });

  const open = openOf();
  it.each([
    ['signed by a key the device does not hold', grantFor(open, { key: stranger.id }), stranger.privateKey, 'grant_invalid'],
    ['signed by a stranger under the id of a held key', grantFor(open), stranger.privateKey, 'grant_invalid'],
    ['for another device', grantFor(open, { device: createId<DeviceId>() }), key.privateKey, 'grant_invalid'],
    ['for another link', grantFor(open, { nonce: 'nonce-of-another-link-1' }), key.privateKey, 'grant_invalid'],
    ['for another message', grantFor(openOf()), key.privateKey, 'grant_invalid'],
    ['for another kind of stream', grantFor(open, { protocol: '/shell/1' }), key.privateKey, 'grant_invalid'],
    ['that has expired', grantFor(open, { expires_ms: 1_000_000 }), key.privateKey, 'grant_expired'],
    ['that would outlive the memory of its use', grantFor(open, { expires_ms: 1e15 }), key.privateKey, 'grant_invalid'],
  ])('refuses a grant %s', (_what, grant, signer, code) => {
    expect(codeOf(() => checkAt().check.admit({ grant: signGrant(grant, signer), open }))).toBe(code);
  });

  it('refuses everything while it holds no key', () => {
    const { check } = checkAt();
    check.useKeys([]);
    expect(codeOf(() => check.admit({ grant: signGrant(grantFor(open), key.privateKey), open }))).toBe('grant_invalid');
  });

  it('takes a grant once', () => {
    const { check } = checkAt();
    const granted = { grant: signGrant(grantFor(open), key.privateKey), open };
    check.admit(granted);
    expect(codeOf(() => check.admit(granted))).toBe('grant_replayed');
  });

  it('does not admit a used grant again after it was forgotten', () => {
    const { check, clock } = checkAt();
    const granted = { grant: signGrant(grantFor(open), key.privateKey), open };
    check.admit(granted);
    clock.nowMs += 60_001;
    const later = openOf();
    check.admit({ grant: signGrant(grantFor(later, { expires_ms: clock.nowMs + 1_000 }), key.privateKey), open: later });
    expect(codeOf(() => check.admit(granted))).toBe('grant_expired');
  });

  it('bounds what it remembers and admits again when the oldest have expired', () => {
    const { check, clock } = checkAt(1_000_000, 2);
    const admit = () => {
      const text = openOf();
      return codeOf(() =>
        check.admit({ grant: signGrant(grantFor(text, { expires_ms: clock.nowMs + 1_000 }), key.privateKey), open: text }),
      );
    };
    expect([admit(), admit(), admit()]).toEqual(['admitted', 'admitted', 'rate_limited']);
    clock.nowMs += 1_000;
    expect(admit()).toBe('admitted');
  });

  it('spends a grant even when the message it vouches for is malformed', () => {
    const { check } = checkAt();
    const malformed = openOf({ session: 'no id' });
    const granted = { grant: signGrant(grantFor(malformed), key.privateKey), open: malformed };
    expect(codeOf(() => check.admit(granted))).toBe('protocol_error');
    expect(codeOf(() => check.admit(granted))).toBe('grant_replayed');
  });

  it('answers any text with an error of ours', () => {
    const { check } = checkAt();
    fc.assert(
      fc.property(fc.string(), fc.string(), (grant, text) => {
        expect(codeOf(() => check.admit({ grant, open: text }))).toBe('grant_invalid');
      }),
    );
  });
});
