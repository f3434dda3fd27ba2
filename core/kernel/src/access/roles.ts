import { type Caller, type Device, type Principal, ROLES, type Role, roleIncludes, type ScopeRole, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { Scope } from '@towline/protocol';
import { requireWhole } from '../people/whole-credential.ts';
import { RIGHTS, type RightName } from './rights.ts';

/** On whose behalf the store is asked for a principal: its scopes, or everything for a platform admin. */
export function callerOf(principal: Principal): Caller {
  if (principal.kind === 'user' && principal.admin) return SYSTEM_SCOPE;
  return principal.kind === 'user' ? principal.scopes.map(({ scope }) => scope) : [];
}

/** The strongest role a principal has on things of a scope; null: none, they do not exist for it. */
export function roleOn(principal: Principal, owner: Scope): Role | null {
  if (principal.kind !== 'user') return null;
  return principal.admin ? 'admin' : heldIn(principal.scopes, owner);
}

/** One way in which a principal may reach a device. */
export interface DeviceAccess {
  readonly role: Role;
  /** Stream names it is limited to; undefined: all. */
  readonly streams: readonly string[] | undefined;
  /** When it ends; undefined: not by itself. */
  readonly until: number | undefined;
}

/** All ways in which a principal may reach a device now. None: the device does not exist for it. */
export function accessTo(principal: Principal, device: Device, now: number): readonly DeviceAccess[] {
  if (principal.kind !== 'user' || (principal.devices !== undefined && !principal.devices.includes(device.id))) return [];
  const byOwner = roleOn(principal, device.owner);
  const own = byOwner === null ? [] : [{ role: byOwner, streams: principal.streams, until: undefined }];
  const shared = device.shares.flatMap((share) => {
    const held = heldIn(principal.scopes, share.scope);
    if (held === null || (share.until !== undefined && share.until <= now)) return [];
    return [{ role: weaker(held, share.role), streams: narrower(principal.streams, share.streams), until: share.until }];
  });
  return [...own, ...shared];
}

/** The strongest role a principal has on a device, by whatever way; null: the device does not exist for it. */
export function roleOnDevice(principal: Principal, device: Device, now: number): Role | null {
  return strongest(accessTo(principal, device, now).map(({ role }) => role));
}

/** @throws TowlineError `not_found` when the principal does not see the device, `forbidden` when it may not do this with it. */
export function requireOnDevice(principal: Principal, device: Device, name: RightName, now: number): void {
  const { role, place } = RIGHTS[name];
  const held = roleOnDevice(principal, device, now);
  if (held === null) throw new TowlineError('not_found');
  const counting = place === 'device' ? held : roleOn(principal, device.owner);
  if (counting === null || !roleIncludes(counting, role)) throw lacking(role, device.name, held, counting === null && place !== 'device');
}

/** @throws TowlineError as {@link requireOnDevice}, for a thing that a scope owns. */
export function requireOnScope(principal: Principal, owner: Scope, name: RightName): void {
  const { role, place } = RIGHTS[name];
  const held = roleOn(principal, owner);
  if (held === null) throw new TowlineError('not_found');
  if (place === 'platform' ? !principal.admin : !roleIncludes(held, role)) throw lacking(role, owner, held, false);
}

/** @throws TowlineError `forbidden`. */
export function requirePlatformAdmin(principal: Principal): void {
  if (principal.kind !== 'user' || !principal.admin) throw new TowlineError('forbidden', 'This is for platform admins.');
  requireWhole(principal);
}

/**
 * @throws TowlineError `not_found` when the principal does not see the device, `forbidden` unless one way of reaching it
 * includes both the role and this kind of stream.
 */
export function requireStream(
  principal: Principal,
  device: Device,
  needed: { readonly stream: string; readonly role: Role; readonly now: number },
): void {
  const ways = accessTo(principal, device, needed.now);
  if (ways.length === 0) throw new TowlineError('not_found');
  const strong = ways.filter(({ role }) => roleIncludes(role, needed.role));
  if (strong.length === 0) throw lacking(needed.role, device.name, strongest(ways.map(({ role }) => role))!, false);
  if (strong.some(({ streams }) => streams === undefined || streams.includes(needed.stream))) return;
  const allowed = [...new Set(strong.flatMap(({ streams }) => streams ?? []))];
  throw new TowlineError('forbidden', `You may use ${device.name} for ${allowed.join(', ') || 'no streams'}, not for ${needed.stream}.`);
}

/** Whose records of the trail a principal may read: of the scopes it is admin of. */
export function auditCallerOf(principal: Principal): Caller {
  const caller = callerOf(principal);
  return caller === SYSTEM_SCOPE ? caller : principal.scopes.filter(({ role }) => role === 'admin').map(({ scope }) => scope);
}

/** Each scope once, in the strongest role that any of the lists gives. */
export function mergeScopes(...lists: readonly (readonly ScopeRole[])[]): ScopeRole[] {
  const merged = new Map<Scope, Role>();
  for (const { scope, role } of lists.flat()) merged.set(scope, strongest([role, merged.get(scope) ?? role])!);
  return [...merged].map(([scope, role]) => ({ scope, role }));
}

/** What is in both, in the weaker of the two roles. */
export function intersectScopes(bound: readonly ScopeRole[], held: readonly ScopeRole[]): ScopeRole[] {
  return bound.flatMap(({ scope, role }) => {
    const has = heldIn(held, scope);
    return has === null ? [] : [{ scope, role: weaker(role, has) }];
  });
}

/** The weaker of two roles. */
export function weaker(one: Role, other: Role): Role {
  return roleIncludes(one, other) ? other : one;
}

/** What two limits on streams leave; undefined: no limit. */
export function narrower(one: readonly string[] | undefined, other: readonly string[] | undefined): readonly string[] | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.filter((stream) => other.includes(stream));
}

function heldIn(scopes: readonly ScopeRole[], scope: Scope): Role | null {
  return strongest(scopes.filter((each) => each.scope === scope).map(({ role }) => role));
}

function strongest(roles: readonly Role[]): Role | null {
  return ROLES.findLast((role) => roles.includes(role)) ?? null;
}

function lacking(needed: Role, on: string, held: Role, byShare: boolean): TowlineError {
  const why = byShare ? `and you reach it by a share (${held})` : `and yours is ${held}`;
  return new TowlineError('forbidden', `This needs the role ${needed} on ${byShare ? 'the owner of ' : ''}${on}, ${why}.`);
}
