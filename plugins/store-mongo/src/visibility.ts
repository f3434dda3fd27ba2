import type { Caller } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { TowlineError } from '@towline/protocol';

/** A filter of the database. Values are only ever values in it, never parts of its structure. */
export type Condition = Readonly<Record<string, unknown>>;

/** Only the one symbol is the system: whatever else is no list of scopes is an error, never a wider view. Null: the system. */
export function scopesOf(caller: Caller): readonly string[] | null {
  if (caller === SYSTEM_SCOPE) return null;
  if (!Array.isArray(caller) || caller.some((scope) => typeof scope !== 'string'))
    throw new TowlineError('store_failed', undefined, { detail: 'a look-up without a caller' });
  return [...new Set(caller)];
}

/** What the caller may see by a field that holds the owner. No scopes: nothing. */
export function visibleTo(caller: Caller, field = 'owner'): Condition {
  const scopes = scopesOf(caller);
  return scopes === null ? {} : { [field]: { $in: scopes } };
}

/** What the caller may see of devices: by the owner, or by a share. A device that is being removed is seen by nobody. */
export function reachableBy(caller: Caller): Condition {
  const scopes = scopesOf(caller);
  if (scopes === null) return { gone: { $exists: false } };
  return { $or: [{ owner: { $in: scopes } }, { 'shares.scope': { $in: scopes } }] };
}

const ORG_PREFIX = 'org:';

/** Ids of the organisations among scopes. */
export function organisationsAmong(scopes: readonly string[]): string[] {
  return scopes.filter((scope) => scope.startsWith(ORG_PREFIX)).map((scope) => scope.slice(ORG_PREFIX.length));
}

/** The scope that the members of an organisation hold. */
export function scopeOfOrganisation(id: string): string {
  return `${ORG_PREFIX}${id}`;
}

/** What the caller may see of organisations. */
export function organisationsOf(caller: Caller): Condition {
  const scopes = scopesOf(caller);
  return scopes === null ? {} : { _id: { $in: organisationsAmong(scopes) } };
}

/** All of the conditions. None takes the place of another that looks at the same field; side by side where they do not, for servers that see an id only there. */
export function allOf(...conditions: readonly Condition[]): Condition {
  const names = conditions.flatMap((condition) => Object.keys(condition));
  return new Set(names).size === names.length
    ? Object.assign({}, ...conditions)
    : { $and: conditions.filter((one) => Object.keys(one).length > 0) };
}
