import type { Role } from '@towline/contract';
import { createKey, type TestKey } from './keys.ts';
import type { EnrolledRawDevice } from './raw-device.ts';
import { eventually, type TestRelay, type TestSystem } from './system.ts';

/** The owners of the two devices that access is tried on. */
export const OWNERS = Object.freeze({ acme: 'org:acme', alice: 'user:alice@example.com' } as const);
/** One of them. */
export type OwnerName = keyof typeof OWNERS;

/** Somebody who asks: what kind of credential it is, and the role it has on the devices of each owner. */
export interface PrincipalRow {
  /** `user`, `device` or `enrolment` for a credential that stands; else the error it is refused with. */
  readonly is: 'user' | 'device' | 'enrolment' | 'unauthenticated' | 'key_revoked' | 'key_expired';
  readonly acme: Role | null;
  readonly alice: Role | null;
}

/** Everybody who asks. */
export const PRINCIPALS = Object.freeze({
  admin: { is: 'user', acme: 'admin', alice: 'admin' },
  'admin by e-mail': { is: 'user', acme: 'admin', alice: 'admin' },
  alice: { is: 'user', acme: null, alice: 'admin' },
  'org admin': { is: 'user', acme: 'admin', alice: null },
  'org operator': { is: 'user', acme: 'operator', alice: null },
  'org viewer': { is: 'user', acme: 'viewer', alice: null },
  stranger: { is: 'user', acme: null, alice: null },
  'admin of another org': { is: 'user', acme: null, alice: null },
  device: { is: 'device', acme: null, alice: null },
  enrolment: { is: 'enrolment', acme: null, alice: null },
  nobody: { is: 'unauthenticated', acme: null, alice: null },
  'a made-up key': { is: 'unauthenticated', acme: null, alice: null },
  'a revoked key': { is: 'key_revoked', acme: 'admin', alice: null },
  'an expired key': { is: 'key_expired', acme: 'admin', alice: null },
} as const satisfies Record<string, PrincipalRow>);
/** One of them. */
export type PrincipalName = keyof typeof PRINCIPALS;
/** All of them. */
export const PRINCIPAL_NAMES = Object.keys(PRINCIPALS) as readonly PrincipalName[];

/** How the relay lists the keys that `keys create` is to make. */
const CREATED = Object.freeze({
  'admin by e-mail': ['--admin', '--email', 'root@example.com'],
  alice: ['--email', 'alice@example.com'],
  'org admin': ['--email', 'olga@example.com', '--scope', OWNERS.acme, '--role', 'admin'],
  'org operator': ['--email', 'otto@example.com', '--scope', OWNERS.acme, '--role', 'operator'],
  'org viewer': ['--email', 'vera@example.com', '--scope', OWNERS.acme, '--role', 'viewer'],
  stranger: ['--email', 'mallory@example.com'],
  'admin of another org': ['--email', 'gus@example.com', '--scope', 'org:globex', '--role', 'admin'],
  enrolment: ['--enrol', '--org', 'acme'],
  'a revoked key': ['--email', 'rita@example.com', '--scope', OWNERS.acme, '--role', 'admin'],
  'an expired key': ['--email', 'elsa@example.com', '--scope', OWNERS.acme, '--role', 'admin', '--expires', '1s'],
} as const satisfies Partial<Record<PrincipalName, readonly string[]>>);

/** The text of everybody's key; undefined for nobody's. */
export type Keys = Readonly<Record<PrincipalName, string | undefined>>;

/** Makes everybody's key. `of` is the device whose own key the principal `device` has. */
export async function createPrincipals(system: TestSystem, relay: TestRelay, of: EnrolledRawDevice): Promise<Keys> {
  const made: (readonly [string, TestKey])[] = [];
  const rows = Object.entries(CREATED);
  // A few at a time: each is a process.
  for (let at = 0; at < rows.length; at += 3) {
    const some = rows.slice(at, at + 3).map(async ([name, args]) => [name, await createKey(system, relay, args)] as const);
    made.push(...(await Promise.all(some)));
  }
  const keys = Object.fromEntries(made);
  const { code, stderr } = await system.rescue(relay, ['keys', 'revoke', keys['a revoked key']!.id]);
  if (code !== 0) throw new Error(`not revoked: ${stderr}`);
  await eventually(async () => {
    const { stdout } = await system.rescue(relay, ['keys', 'list', '--json']);
    const { items } = JSON.parse(stdout) as { items: { id: string; state: string }[] };
    return items.find(({ id }) => id === keys['an expired key']!.id)?.state === 'expired';
  }, 'the brief key expires');
  return {
    ...(Object.fromEntries(made.map(([name, { key }]) => [name, key])) as Keys),
    admin: relay.adminKey,
    device: of.apiKey,
    nobody: undefined,
    'a made-up key': `twl_u_${'0'.repeat(16)}_${'0'.repeat(64)}`,
  };
}
