import { type Organisation, type Principal, type Role, type Store, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type OrgId, orgOfScope, orgScope, type Scope } from '@towline/protocol';
import type { RightName } from '../access/rights.ts';
import { requireOnScope, requirePlatformAdmin, roleOn } from '../access/roles.ts';
import { type Asker, type ChangeParts, doerOf, recordChange } from './change.ts';
import { OPERATOR_SCOPE } from './operator-scope.ts';

/** What a new organisation is made of. */
export interface OrganisationRequest {
  readonly id: OrgId;
  readonly name: string;
  /** Take over what names its scope already. */
  readonly adopt: boolean;
}

/** Creates an organisation. @throws TowlineError `forbidden`, `org_deleted`, `conflict`. */
export async function createOrganisation(parts: ChangeParts, asker: Asker, request: OrganisationRequest): Promise<Organisation> {
  const { store, clock } = parts;
  const { id, name, adopt } = request;
  requirePlatformAdmin(asker.principal);
  await refuseTakenId(store, id);
  const used = await store.isScopeUsed(orgScope(id));
  if (used && !adopt) {
    throw new TowlineError('conflict', `Devices, keys, shares, requests to enrol or secrets name ${orgScope(id)} already.`, {
      hint: 'Send "adopt": true where they are meant to belong to this organisation.',
    });
  }
  const made: Organisation = { id, name, createdAt: clock.now(), createdBy: asker.principal.label, revision: 1 };
  // Somebody may have been faster since.
  if (!(await store.organisations.insert(made))) throw await takenError(store, id);
  await recordChange(parts, doerOf(asker), { action: 'org.created', owner: orgScope(id), detail: { org: id, name, adopted: used } });
  return made;
}

/** An organisation that there is and with which the principal may do this. @throws TowlineError `not_found`, `forbidden`. */
export async function findOrganisation(
  { store }: Pick<ChangeParts, 'store'>,
  principal: Principal,
  { id, right }: { readonly id: OrgId | null; readonly right: RightName },
): Promise<Organisation> {
  const found = id === null || roleOn(principal, orgScope(id)) === null ? null : await store.organisations.get(id, SYSTEM_SCOPE);
  if (found === null || found.deletedAt !== undefined) throw absent();
  requireOnScope(principal, orgScope(found.id), right);
  return found;
}

/** The role somebody holds in a scope by themselves, not as platform admin; null: none. */
export function ownRoleOn(principal: Principal, scope: Scope): Role | null {
  return roleOn({ ...principal, admin: false }, scope);
}

/** @throws TowlineError `org_deleted` when the scope is that of an organisation that was deleted. */
export async function refuseDeletedOrg({ organisations }: Pick<Store, 'organisations'>, scope: Scope): Promise<void> {
  const org = orgOfScope(scope);
  const found = org === null ? null : await organisations.get(org, SYSTEM_SCOPE);
  if (found?.deletedAt !== undefined) throw new TowlineError('org_deleted', `The organisation ${found.id} was deleted.`);
}

function absent(): TowlineError {
  return new TowlineError('not_found', 'No such organisation, or it is not yours to see.', {
    hint: 'Check the id; `towline orgs list` shows what you can see.',
  });
}

async function refuseTakenId(store: Store, id: OrgId): Promise<void> {
  if (orgScope(id) === OPERATOR_SCOPE)
    throw new TowlineError('conflict', `The id ${id} is the relay’s own.`, { hint: 'Choose another id.' });
  if ((await store.organisations.get(id, SYSTEM_SCOPE)) !== null) throw await takenError(store, id);
}

async function takenError({ organisations }: Store, id: OrgId): Promise<TowlineError> {
  const found = await organisations.get(id, SYSTEM_SCOPE);
  if (found?.deletedAt !== undefined)
    return new TowlineError('org_deleted', `An organisation ${id} was deleted, and its id is not given again.`, {
      hint: 'Choose another id.',
    });
  return new TowlineError('conflict', `The organisation ${id} exists already.`, { hint: 'Choose another id.' });
}
