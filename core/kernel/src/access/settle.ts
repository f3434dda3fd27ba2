import { type Clock, type Principal, type ScopeRole, type Standing, type Store, TowlineError, type User } from '@towline/contract';
import { defined, type ErrorCode, normaliseEmail, type OrgId, orgOfScope, orgScope, userScope } from '@towline/protocol';
import { OPERATOR_SCOPE } from '../people/operator-scope.ts';
import { intersectScopes, mergeScopes } from './roles.ts';

/** How long a note of a user's last login is good enough, milliseconds. */
const NOTE_EVERY_MS = 60_000;

/** What settling works with. */
export interface SettleParts {
  readonly store: Pick<Store, 'standing' | 'users'>;
  /** Normalised addresses of `admin_emails`. */
  readonly admins: ReadonlySet<string>;
  readonly clock: Clock;
}

/** Normalised addresses of `admin_emails`. */
export function adminSet(emails: readonly string[]): ReadonlySet<string> {
  return new Set(emails.map((email) => normaliseEmail(email) ?? email));
}

/** Code by which a credential is over: a token, or the key that it is. */
export function expiryCode({ keyId, derived }: Principal): ErrorCode {
  return keyId === undefined || derived ? 'token_expired' : 'key_expired';
}

/** A principal as it is at this moment, and its user as the store knew it; null: it does not. */
export interface Settled {
  readonly principal: Principal;
  readonly user: User | null;
}

/**
 * What a principal may do at this moment: a provider says who it is, the store what became of its account, key, memberships and
 * organisations since. One round trip to the store. Called at each request and each opening of a stream.
 * @throws TowlineError `user_disabled`, `key_revoked`, `key_expired`, `token_expired`, `unauthenticated`.
 */
export async function settle(parts: SettleParts, claimed: Principal): Promise<Principal> {
  return (await settleUser(parts, claimed)).principal;
}

/** Like {@link settle}; tells the user besides, so that a login can be noted without another look. */
export async function settleUser({ store, admins, clock }: SettleParts, claimed: Principal): Promise<Settled> {
  if (claimed.expiresAt !== undefined && claimed.expiresAt <= clock.now()) throw new TowlineError(expiryCode(claimed));
  if (claimed.kind !== 'user') return { principal: claimed, user: null };
  const standing = await store.standing({
    userId: claimed.id,
    ...(claimed.bounded ? { ofUser: true } : defined({ email: claimed.email })),
    ...defined({ keyId: claimed.keyId }),
    orgs: orgsOf(claimed.scopes),
  });
  if (standing.user?.disabledAt !== undefined) throw new TowlineError('user_disabled');
  refuseDeadKey(claimed, standing, clock.now());
  const principal = claimed.bounded ? settleBounded(claimed, standing, admins) : settleWhole(claimed, standing, admins);
  return { principal, user: standing.user };
}

/**
 * Notes the login of a user where that tells something new; `known` is what the store has of it. Not for credentials that were
 * made from others. Null: there is nothing to note.
 */
export function noteLogin({ store, clock }: SettleParts, claimed: Principal, known: User | null): Promise<unknown> | null {
  if (claimed.kind !== 'user' || claimed.bounded || claimed.derived) return null;
  const at = clock.now();
  const claims = claimsOf(claimed);
  const same =
    known !== null &&
    known.label === claimed.label &&
    known.email === claimed.email &&
    known.provider === claimed.provider &&
    JSON.stringify(known.claims) === JSON.stringify(claims);
  if (same && at - known.lastSeenAt < NOTE_EVERY_MS) return null;
  const { id, label, provider } = claimed;
  return store.users.note({ id, label, provider, claims, at, ...defined({ email: claimed.email }) });
}

/** What a login proves of its user beyond the address; a key proves nothing but itself. */
export function claimsOf({ keyId, scopes }: Principal): readonly ScopeRole[] {
  return keyId === undefined ? scopes : [];
}

/** A key that lives on in a token made from it, or on a link, may be gone in the meantime. */
function refuseDeadKey({ keyId }: Principal, { key }: Standing, now: number): void {
  if (keyId === undefined) return;
  if (key === null || key.revokedAt !== undefined) throw new TowlineError('key_revoked');
  if (key.expiresAt !== undefined && key.expiresAt <= now) throw new TowlineError('key_expired');
}

/** A login holds what it carries, its own scope and its memberships; a key from the rescue command exactly what is written in it. */
function settleWhole(claimed: Principal, standing: Standing, admins: ReadonlySet<string>): Principal {
  const byKey = claimed.keyId !== undefined;
  const carried = withoutDeleted(claimed.scopes, standing.deletedOrgs);
  const scopes = byKey ? carried : mergeScopes(carried, ownScope(claimed.email), membershipScopes(standing));
  const limited = claimed.streams !== undefined || claimed.devices !== undefined;
  const whole =
    !byKey ||
    claimed.scopes.some(({ scope, role }) => claimed.email !== undefined && scope === userScope(claimed.email) && role === 'admin');
  const admin = claimed.admin || (!limited && whole && claimed.email !== undefined && admins.has(claimed.email));
  return { ...claimed, scopes, admin };
}

/** A key that its user made holds of its scopes what the user holds now; without scopes all of that. */
function settleBounded(claimed: Principal, standing: Standing, admins: ReadonlySet<string>): Principal {
  const { user } = standing;
  if (user === null) throw new TowlineError('unauthenticated', 'The user of this credential is not known any more.');
  const held = mergeScopes(withoutDeleted(user.claims, standing.deletedOrgs), ownScope(user.email), membershipScopes(standing));
  const scopes = claimed.scopes.length === 0 ? held : intersectScopes(claimed.scopes, held);
  const admin = claimed.admin && user.email !== undefined && admins.has(user.email);
  return { ...claimed, scopes, admin };
}

function ownScope(email: string | undefined): ScopeRole[] {
  return email === undefined ? [] : [{ scope: userScope(email), role: 'admin' }];
}

function membershipScopes({ memberships }: Standing): ScopeRole[] {
  return memberships.map(({ org, role }) => ({ scope: orgScope(org), role }));
}

function withoutDeleted(scopes: readonly ScopeRole[], deleted: readonly OrgId[]): ScopeRole[] {
  return scopes.filter(({ scope }) => {
    const org = orgOfScope(scope);
    // That of the operator lists keys of platform admins, and nobody is given it by a claim.
    return org === null || (scope !== OPERATOR_SCOPE && !deleted.includes(org));
  });
}

function orgsOf(scopes: readonly ScopeRole[]): OrgId[] {
  return scopes.flatMap(({ scope }) => orgOfScope(scope) ?? []);
}
