import { type Device, type OpenSession, type Principal, type Store, type StreamHandler, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { defined, ERRORS, type KeyId } from '@towline/protocol';
import { requireStream } from '../access/roles.ts';
import { type SettleParts, settle } from '../access/settle.ts';

/** Started stream plugins by protocol. */
export type StreamHandlers = ReadonlyMap<string, { readonly name: string; readonly handler: StreamHandler }>;

/** What judging an open session anew works with. */
export interface JudgeAgainParts {
  readonly store: Store;
  readonly settling: SettleParts;
  readonly handlers: StreamHandlers;
}

/**
 * Judges a session as if it were opened now. Answers what its principal counts for.
 * @throws TowlineError why it would be refused, or what kept it from being judged: see {@link isRefusal}.
 */
export async function judgeAgain(
  { store, settling, handlers }: JudgeAgainParts,
  claimed: Principal,
  { deviceId, protocol }: Pick<OpenSession, 'deviceId' | 'protocol'>,
): Promise<Principal> {
  const found = handlers.get(protocol);
  if (found === undefined) throw new TowlineError('stream_not_offered');
  const [principal, device] = await Promise.all([settle(settling, claimed), store.devices.get(deviceId, SYSTEM_SCOPE)]);
  requireDevice(device);
  requireStream(principal, device, { stream: found.name, role: found.handler.right, now: settling.clock.now() });
  return principal;
}

/** Whether an error says no; others only say that nobody knows. */
export function isRefusal({ code }: TowlineError): boolean {
  return ERRORS[code].status < 500;
}

/**
 * Who opened a session of which only the books tell, as the store knows them now. What a token carried beyond that is gone
 * with it: the rights of a platform admin that a provider gave, and limits on streams and devices.
 * @throws TowlineError `key_revoked`, `unauthenticated`.
 */
export async function claimedByActor(store: Store, { actor }: OpenSession): Promise<Principal> {
  const base = { kind: 'user' as const, id: actor.id, label: actor.label, provider: actor.provider ?? '-' };
  if (actor.keyId !== undefined) {
    const key = await store.keys.get(actor.keyId as KeyId, SYSTEM_SCOPE);
    if (key === null) throw new TowlineError('key_revoked');
    const { id: keyId, scopes, admin, email, streams, devices, bounded, expiresAt } = key;
    return { ...base, keyId, scopes, admin, ...defined({ email, streams, devices, bounded, expiresAt }) };
  }
  const user = await store.users.get(actor.id);
  if (user === null) throw new TowlineError('unauthenticated', 'The user who opened the session is not known any more.');
  return { ...base, scopes: user.claims, admin: false, ...defined({ email: user.email }) };
}

function requireDevice(device: Device | null): asserts device is Device {
  if (device === null) throw new TowlineError('device_removed');
}
