import type { Device, Principal, Role, Share } from '@towline/contract';
import type { DeviceId, Scope } from '@towline/protocol';
import { describe, expect, it } from 'vitest';
import { RIGHTS, type RightName } from '../src/access/rights.ts';
import { requireOnDevice, requireOnScope } from '../src/access/roles.ts';

const NOW = 1_800_000_000_000;
const OWNER = 'org:acme' as Scope;
const OTHER = 'org:other' as Scope;
const ID = '0123456789abcdef0123456789abcdef' as DeviceId;

/** How somebody stands to a thing: a role by the scope of its owner, a role by a share, both, nothing, or platform admin. */
const WAYS = [
  ...['none', 'owner viewer', 'owner operator', 'owner admin', 'share viewer', 'share operator', 'share admin'],
  ...[
    'owner viewer and share admin',
    'share admin of a member who is viewer',
    'ended share admin',
    'share admin, another device only',
    'platform admin',
  ],
] as const;
type Way = (typeof WAYS)[number];

/**
 * Who may do what, by hand: y allowed, n refused, - does not exist for them. In the order of WAYS.
 * A right on what a scope owns is not given by shares, whatever their role.
 */
const EXPECTED: Readonly<Record<RightName, string>> = {
  //                     none vie ope adm | sv so sa | v+sa sa/v ended other | platform
  'device.see': /*    */ '- y y y  y y y  y y - -  y',
  'device.rename': /* */ '- n n y  n n y  y n - -  y',
  'device.share': /*  */ '- n n y  n n y  y n - -  y',
  'device.rotate': /* */ '- n n y  n n n  n n - -  y',
  'device.transfer': /**/ '- n n y  n n n  n n - -  y',
  'device.remove': /* */ '- n n y  n n n  n n - -  y',
  'session.end': /*   */ '- n n y  n n y  y n - -  y',
  'registration.see': '- y y y  - - -  y - - -  y',
  'registration.decide': '- n n y  - - -  n - - -  y',
  'audit.read': /*    */ '- n n y  - - -  n - - -  y',
  'key.see': /*       */ '- n n y  - - -  n - - -  y',
  'key.revoke': /*    */ '- n n y  - - -  n - - -  y',
  'key.enrol': /*     */ '- n n y  - - -  n - - -  y',
  'secret.see': /*    */ '- y y y  - - -  y - - -  y',
  'secret.use': /*    */ '- n y y  - - -  n - - -  y',
  'secret.set': /*    */ '- n n y  - - -  n - - -  y',
  'org.see': /*       */ '- y y y  - - -  y - - -  y',
  'org.members': /*   */ '- n n y  - - -  n - - -  y',
  'org.delete': /*    */ '- n n y  - - -  n - - -  y',
  'org.create': /*    */ '- n n n  - - -  n - - -  y',
  'user.manage': /*   */ '- n n n  - - -  n - - -  y',
};
/** Rights that are about a device; the others are about what a scope owns. */
const ON_DEVICES: readonly RightName[] = [
  ...(['device.see', 'device.rename', 'device.share', 'device.rotate', 'device.transfer', 'device.remove', 'session.end'] as const),
];

const ANSWERS = { y: 'allowed', n: 'forbidden', '-': 'not_found' } as const;
const cases = (Object.keys(RIGHTS) as RightName[]).flatMap((right) => {
  const marks = EXPECTED[right].split(/\s+/) as (keyof typeof ANSWERS)[];
  return WAYS.map((way, at) => ({ right, way, expected: ANSWERS[marks[at]!] }));
});

function standing(way: Way): { readonly principal: Principal; readonly device: Device } {
  const byOwner = /^owner (\w+)/.exec(way)?.[1] as Role | undefined;
  const byShare = /share (\w+)/.exec(way)?.[1] as Role | undefined;
  const inOther: Role =
    way.endsWith('viewer') && byShare !== undefined && byOwner === undefined && way.includes('member') ? 'viewer' : 'admin';
  const scopes = [
    ...(byOwner === undefined ? [] : [{ scope: OWNER, role: byOwner }]),
    ...(byShare === undefined ? [] : [{ scope: OTHER, role: inOther }]),
  ];
  const share: Share = { scope: OTHER, role: byShare ?? 'viewer', sharedAt: 0, sharedBy: 'test' };
  const ended = way.startsWith('ended') ? { until: NOW } : {};
  const principal: Principal = {
    ...{ kind: 'user', id: 'test|user', label: 'user', scopes, admin: way === 'platform admin', provider: 'test' },
    ...(way.endsWith('another device only') ? { devices: ['f'.repeat(32) as DeviceId] } : {}),
  };
  return { principal, device: makeDevice(byShare === undefined ? [] : [{ ...share, ...ended }]) };
}

function makeDevice(shares: readonly Share[]): Device {
  const facts = { hostname: 'h', platform: 'linux', arch: 'x64', version: '1' };
  return { id: ID, name: 'pump', owner: OWNER, shares, publicKey: '', fingerprint: '', facts, enrolledAt: 0, enrolledBy: '-', revision: 1 };
}

function answerTo(work: () => void): string {
  try {
    work();
    return 'allowed';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('the table of rights', () => {
  it('is written down here in full', () => {
    expect(Object.keys(EXPECTED).sort()).toEqual(Object.keys(RIGHTS).sort());
    for (const marks of Object.values(EXPECTED)) expect(marks.split(/\s+/)).toHaveLength(WAYS.length);
  });

  it.each(cases)('$right for $way: $expected', ({ right, way, expected }) => {
    const { principal, device } = standing(way);
    const ask = ON_DEVICES.includes(right)
      ? () => requireOnDevice(principal, device, right, NOW)
      : () => requireOnScope(principal, OWNER, right);
    expect(answerTo(ask)).toBe(expected);
  });

  it.each(['device', 'enrolment'] as const)('has nothing for the credential of a %s', (kind) => {
    const { principal, device } = standing('platform admin');
    const other = { ...principal, kind, scopes: [{ scope: OWNER, role: 'admin' as const }] };
    for (const right of Object.keys(RIGHTS) as RightName[]) {
      const ask = ON_DEVICES.includes(right) ? () => requireOnDevice(other, device, right, NOW) : () => requireOnScope(other, OWNER, right);
      expect(answerTo(ask)).toBe('not_found');
    }
  });
});
