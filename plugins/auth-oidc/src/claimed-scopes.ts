import { ROLES, type Role, type ScopeRole } from '@towline/contract';
import { orgScope, parseOrgId } from '@towline/protocol';
import type { Claims } from './claims.ts';
import { asObject } from './issuer.ts';
import type { OidcOptions } from './options.ts';

/** Values of one claim that are looked at. */
const MAX_VALUES = 500;
/** The role in an organisation for which none is said: the least there is. */
const DEFAULT_ROLE: Role = 'viewer';

/** Hears of a value that means nothing here. `claim` is the name of the claim. */
export type IgnoredValue = (claim: string, value: unknown) => void;

/**
 * The organisations that the claims name, with the role in each. The strongest counts where one is named twice. A scope of a
 * person is never taken from a claim: that one is proved by the e-mail address alone.
 */
export function claimedScopes(claims: Claims, { scopes_claim, roles_claim }: OidcOptions, ignored: IgnoredValue): readonly ScopeRole[] {
  if (scopes_claim === undefined) return [];
  const otherwise = roles_claim === undefined ? DEFAULT_ROLE : claimedRole(claims, roles_claim, ignored);
  const roles = new Map<ScopeRole['scope'], Role>();
  for (const value of valuesOf(claims, scopes_claim)) {
    const read = readScope(value, otherwise);
    if (read === null) ignored(scopes_claim, value);
    else roles.set(read.scope, stronger(roles.get(read.scope), read.role));
  }
  return [...roles].map(([scope, role]) => ({ scope, role }));
}

/** The value of a claim by its name, or by a path with dots where there is no claim of that name. */
export function readClaim(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  return name.split('.').reduce<unknown>((value, step) => {
    const object = asObject(value);
    return object !== null && Object.hasOwn(object, step) ? object[step] : undefined;
  }, claims);
}

function claimedRole(claims: Claims, name: string, ignored: IgnoredValue): Role {
  let role: Role | undefined;
  for (const value of valuesOf(claims, name)) {
    if (isRole(value)) role = stronger(role, value);
    else ignored(name, value);
  }
  return role ?? DEFAULT_ROLE;
}

/** A list, or a text with spaces between its values. */
function valuesOf(claims: Claims, name: string): readonly unknown[] {
  const value = readClaim(claims, name);
  if (typeof value === 'string') return value.split(' ', MAX_VALUES).filter((part) => part !== '');
  if (Array.isArray(value)) return value.slice(0, MAX_VALUES);
  return value === undefined || value === null ? [] : [value];
}

function readScope(value: unknown, otherwise: Role): ScopeRole | null {
  const [, id = '', role = otherwise] = typeof value === 'string' ? (/^org:([^:]*)(?::([^:]*))?$/.exec(value) ?? []) : [];
  const org = parseOrgId(id);
  return org !== null && isRole(role) ? { scope: orgScope(org), role } : null;
}

function isRole(value: unknown): value is Role {
  return ROLES.some((role) => role === value);
}

function stronger(one: Role | undefined, other: Role): Role {
  return one !== undefined && ROLES.indexOf(one) > ROLES.indexOf(other) ? one : other;
}
