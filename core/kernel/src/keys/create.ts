import { type ApiKey, type Principal, roleIncludes, type ScopeRole, TowlineError, type UnixMs } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { createApiKeyText, type DeviceId, defined, type KeyId, type Scope, userScope } from '@towline/protocol';
import { type Asker, type ChangeParts, doerOf, recordChange } from '../people/change.ts';
import { OPERATOR_SCOPE } from '../people/operator-scope.ts';
import { ownRoleOn, refuseDeletedOrg } from '../people/organisations.ts';
import { findVisibleDevice } from '../sharing/find-visible.ts';
import { areWithin } from '../sharing/within.ts';
import { checkEnrolment } from './enrolment.ts';

/** Keys that are valid at a time for one user; a program that makes one each hour is to be noticed. */
const MAX_KEYS = 400;

/** A key that is asked for, its form checked. */
export interface KeySpec {
  readonly kind: 'user' | 'enrolment';
  readonly name?: string;
  readonly scopes?: readonly ScopeRole[];
  readonly streams?: readonly string[];
  /** Ids or names. */
  readonly devices?: readonly string[];
  readonly expiresAt?: UnixMs;
  readonly owner?: Scope;
  readonly count?: number;
}

/** A new key: the only moment in which its text is known. */
export interface NewKey {
  readonly id: KeyId;
  readonly key: string;
}

/** What differs from one kind of key to another. */
export type KeyHolder = Pick<ApiKey, 'kind' | 'name' | 'owner' | 'scopes'> &
  Partial<Pick<ApiKey, 'userId' | 'email' | 'bounded' | 'streams' | 'devices' | 'remaining'>>;

/**
 * Makes a key that has nothing which its maker does not have. That of a login is bounded by what its user holds at each moment; that
 * which a key of a platform admin makes holds what is written in it. Never a platform admin’s.
 * @throws TowlineError `forbidden`, `invalid_request`, `not_found`, `org_deleted`, `conflict`.
 */
export async function createKeyFor(parts: ChangeParts, asker: Asker, spec: KeySpec): Promise<NewKey> {
  const { principal } = asker;
  const now = parts.clock.now();
  refuseKeysOfKeys(principal);
  checkExpiry(principal, spec.expiresAt, now);
  const holder = await holderOf(parts, principal, spec);
  const made = createApiKeyText(spec.kind);
  const { id, hash } = made;
  const key: ApiKey = {
    ...{ id, hash, ...holder, admin: false, createdAt: now, createdBy: principal.label, revision: 1 },
    // A key must not outlast the key that made it.
    ...defined({ expiresAt: spec.expiresAt ?? (principal.keyId === undefined ? undefined : principal.expiresAt) }),
  };
  if (!(await parts.store.keys.insert(key))) throw new TowlineError('store_conflict');
  const { kind, name, owner, scopes } = holder;
  const detail = { key: id, kind, name, scopes: scopes.map(({ scope, role }) => `${scope} ${role}`) };
  await recordChange(parts, doerOf(asker), { action: 'key.created', owner, detail });
  return { id, key: made.text };
}

async function holderOf(parts: ChangeParts, principal: Principal, spec: KeySpec): Promise<KeyHolder> {
  if (spec.kind === 'enrolment') return checkEnrolment(parts, principal, spec);
  refuseEnrolmentFields(spec);
  const limits = {
    ...defined({ streams: streamsOf(principal, spec.streams), devices: await devicesOf(parts, principal, spec.devices) }),
  };
  const holder = principal.keyId === undefined ? boundedHolder(principal, spec) : await exactHolder(parts, principal, spec);
  if (holder.userId !== undefined) await refuseTooMany(parts, holder.userId);
  return { ...holder, ...limits };
}

/** What a person’s own key is: the person, within bounds. */
function boundedHolder(principal: Principal, { name, scopes = [] }: KeySpec): KeyHolder {
  const { id, email, emailNote } = principal;
  if (email === undefined) {
    throw new TowlineError('forbidden', 'Keys are made by users with an e-mail address, and you have none here.', {
      hint: emailNote ?? 'Have your identity provider send a verified address, or ask an admin of the relay for a key.',
    });
  }
  for (const { scope, role } of scopes) {
    const held = ownRoleOn(principal, scope);
    if (held === null || !roleIncludes(held, role))
      throw new TowlineError('forbidden', `You are not ${role} of ${scope} yourself, so no key of yours can be.`);
  }
  return { kind: 'user', name: name ?? email, owner: userScope(email), scopes, userId: id, email, bounded: true };
}

/** A key for a program, which is nobody but itself. Without an e-mail address it can never be taken for a platform admin. */
async function exactHolder({ store }: ChangeParts, principal: Principal, { name, scopes = [] }: KeySpec): Promise<KeyHolder> {
  if (scopes.length === 0) throw new TowlineError('invalid_request', 'scopes: expected at least one for a key that is made with a key.');
  for (const { scope } of scopes) await refuseDeletedOrg(store, scope);
  const owner = principal.email === undefined ? OPERATOR_SCOPE : userScope(principal.email);
  return { kind: 'user', name: name ?? `program of ${scopes[0]!.scope}`, owner, scopes };
}

/** Whoever finds a key must not be able to make more of them, which stay when that one is revoked. */
function refuseKeysOfKeys({ keyId, admin }: Principal): void {
  if (keyId === undefined || admin) return;
  throw new TowlineError('forbidden', 'A key cannot make keys.', { hint: 'Log in by an identity provider, then create the key.' });
}

/** A login ends by itself, and what its user may do does not: a key of its own may live longer. One that a key made may not. */
function checkExpiry({ keyId, expiresAt: own }: Principal, expiresAt: UnixMs | undefined, now: UnixMs): void {
  if (expiresAt !== undefined && expiresAt <= now) throw new TowlineError('invalid_request', 'expires_at: this moment is over.');
  if (keyId === undefined || own === undefined || (expiresAt ?? own) <= own) return;
  throw new TowlineError('forbidden', `Your own key ends at ${new Date(own).toISOString()}, and one made with it cannot live longer.`);
}

function refuseEnrolmentFields({ owner, count }: KeySpec): void {
  if (owner === undefined && count === undefined) return;
  throw new TowlineError('invalid_request', 'owner and count belong to keys of the kind enrolment.');
}

function streamsOf({ streams: own }: Principal, asked: readonly string[] | undefined): readonly string[] | undefined {
  if (asked === undefined) return own;
  if (!areWithin(asked, own)) throw new TowlineError('forbidden', `Your own credential is limited to the streams ${own?.join(', ')}.`);
  return asked;
}

async function devicesOf(
  { store, clock }: ChangeParts,
  principal: Principal,
  named: readonly string[] | undefined,
): Promise<readonly DeviceId[] | undefined> {
  if (named === undefined) return principal.devices;
  const looking = { store, principal, now: clock.now() };
  const ids = new Set<DeviceId>();
  for (const name of named) ids.add((await findVisibleDevice(looking, name, 'device.see')).id);
  return [...ids];
}

async function refuseTooMany({ store }: ChangeParts, userId: string): Promise<void> {
  const { items } = await store.keys.list({ kind: 'user', userId }, { limit: MAX_KEYS }, SYSTEM_SCOPE);
  if (items.length >= MAX_KEYS)
    throw new TowlineError('conflict', `You have ${MAX_KEYS} keys, and more are not possible.`, { hint: 'Revoke some first.' });
}
