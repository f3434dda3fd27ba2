import { type Caller, type Principal, ROLES, type Role, roleIncludes, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { Scope } from '@towline/protocol';

/** On whose behalf the store is asked for a principal: its scopes, or everything for a platform admin. */
export function callerOf(principal: Principal): Caller {
  if (principal.kind === 'user' && principal.admin) return SYSTEM_SCOPE;
  return principal.kind === 'user' ? principal.scopes.map(({ scope }) => scope) : [];
}

/** The strongest role a principal has on things of a scope; null: none, they do not exist for it. */
export function roleOn(principal: Principal, owner: Scope): Role | null {
  if (principal.kind !== 'user') return null;
  if (principal.admin) return 'admin';
  const held = principal.scopes.filter(({ scope }) => scope === owner).map(({ role }) => role);
  return ROLES.findLast((role) => held.includes(role)) ?? null;
}

/** @throws TowlineError `forbidden` when the principal sees things of the scope but may not do this; `not_found` when it does not see them. */
export function requireRole(principal: Principal, owner: Scope, needed: Role): void {
  const held = roleOn(principal, owner);
  if (held === null) throw new TowlineError('not_found');
  if (!roleIncludes(held, needed)) {
    throw new TowlineError('forbidden', `This needs the role ${needed} on ${owner}, and yours is ${held}.`);
  }
}

/** @throws TowlineError `forbidden` unless the credential may open this kind of stream. */
export function requireStream(principal: Principal, stream: string): void {
  if (principal.streams !== undefined && !principal.streams.includes(stream)) {
    throw new TowlineError('forbidden', `Your API key is limited to ${principal.streams.join(', ')}.`);
  }
}

/** Whose records of the trail a principal may read: of the scopes it is admin of. */
export function auditCallerOf(principal: Principal): Caller {
  const caller = callerOf(principal);
  return caller === SYSTEM_SCOPE ? caller : principal.scopes.filter(({ role }) => role === 'admin').map(({ scope }) => scope);
}
