import { type Membership, type MembershipOutcome, type Role, roleIncludes, TowlineError } from '@towline/contract';
import { type OrgId, orgScope } from '@towline/protocol';
import { callerOf, roleOn } from '../access/roles.ts';
import { type Asker, type ChangeParts, doerOf, enforceAndRecord } from './change.ts';
import { findOrganisation } from './organisations.ts';
import { requireWhole } from './whole-credential.ts';

/** A person and the organisation. */
interface Place {
  readonly org: OrgId | null;
  /** Normalised. */
  readonly email: string;
}

/**
 * Adds a member or changes the role of one. Nobody gives a stronger role than their own.
 * @throws TowlineError `not_found`, `forbidden`, `last_admin`.
 */
export async function setMember(
  parts: ChangeParts,
  asker: Asker,
  { org, email, role }: Place & { readonly role: Role },
): Promise<Membership> {
  const { store, clock } = parts;
  const { principal } = asker;
  const { id } = await findOrganisation(parts, principal, { id: org, right: 'org.members' });
  requireWhole(principal);
  const held = roleOn(principal, orgScope(id));
  if (held === null || !roleIncludes(held, role)) throw new TowlineError('forbidden', `You cannot make somebody ${role} of ${id}.`);
  const at = clock.now();
  const membership = { org: id, email, role, addedAt: at, addedBy: principal.label };
  // An admin has all there is. Any other role may be less than before, by now if not when one looked.
  const notice = { at, code: 'access_ended', message: `Your role in ${id} is ${role} now.` };
  const outcome = await store.organisations.setMember(membership, callerOf(principal), role === 'admin' ? undefined : notice);
  refuseFailed(outcome, new TowlineError('not_found', `There is no organisation ${id} any more.`));
  await enforceAndRecord(parts, doerOf(asker), { action: 'org.member_set', owner: orgScope(id), detail: { org: id, email, role } });
  return membership;
}

/** Removes a member; what they have open by it ends. @throws TowlineError `not_found`, `forbidden`, `last_admin`. */
export async function removeMember(parts: ChangeParts, asker: Asker, { org, email }: Place): Promise<void> {
  const { store, clock } = parts;
  const { principal } = asker;
  const { id } = await findOrganisation(parts, principal, { id: org, right: 'org.members' });
  requireWhole(principal);
  const notice = { at: clock.now(), code: 'access_ended', message: `You are no member of ${id} any more.` };
  const outcome = await store.organisations.removeMember(id, email, notice, callerOf(principal));
  refuseFailed(
    outcome,
    new TowlineError('not_found', `${email} is no member of ${id}.`, { hint: `\`towline orgs members list ${id}\` shows who is.` }),
  );
  await enforceAndRecord(parts, doerOf(asker), { action: 'org.member_removed', owner: orgScope(id), detail: { org: id, email } });
}

function refuseFailed(outcome: MembershipOutcome, absent: TowlineError): void {
  if (outcome === 'last_admin') throw new TowlineError('last_admin');
  if (outcome === 'absent') throw absent;
}
