import { type Principal, TowlineError } from '@towline/contract';
import { requireOnScope } from '../access/roles.ts';
import type { ChangeParts } from '../people/change.ts';
import { requireWhole } from '../people/whole-credential.ts';
import { requireTarget } from '../sharing/transfer.ts';
import type { KeyHolder, KeySpec } from './create.ts';

/** A key that enrols devices for a scope. @throws TowlineError `invalid_request`, `not_found`, `forbidden`, `org_deleted`. */
export async function checkEnrolment(parts: ChangeParts, principal: Principal, spec: KeySpec): Promise<KeyHolder> {
  const { owner, name, count, scopes, streams, devices } = spec;
  if (owner === undefined) throw new TowlineError('invalid_request', 'owner: an enrolment key needs to say whose the devices will be.');
  if (scopes !== undefined || streams !== undefined || devices !== undefined)
    throw new TowlineError('invalid_request', 'scopes, streams and devices belong to keys of the kind user.');
  requireOnScope(principal, owner, 'key.enrol');
  requireWhole(principal);
  // Devices that it enrols go there, as by a transfer.
  await requireTarget(parts, principal, owner);
  const remaining = count === undefined ? {} : { remaining: count };
  return { kind: 'enrolment', name: name ?? `enrol ${owner}`, owner, scopes: [{ scope: owner, role: 'viewer' }], ...remaining };
}
