import { type ApiKey, type Device, isTowlineError, type Registration, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type OrgId, orgScope, type Scope } from '@towline/protocol';
import { callerOf } from '../access/roles.ts';
import { rejectRegistration } from '../enrolment/approve.ts';
import type { EnrolmentParts } from '../enrolment/parts.ts';
import { revokeFoundKey } from '../keys/revoke.ts';
import { moveDevice, requireTarget } from '../sharing/transfer.ts';
import { type Asker, type ChangeParts, doerOf, enforceAndRecord } from './change.ts';
import { findOrganisation } from './organisations.ts';
import { allPages } from './pages.ts';
import { requireWhole } from './whole-credential.ts';

const GONE = 'The organisation was deleted.';

/** An organisation that is about to go, and where its devices go. */
interface Leaving {
  readonly scope: Scope;
  readonly devicesTo: Scope | null;
}

/** What the end of an organisation works with. */
export type DeletingParts = ChangeParts & EnrolmentParts;

/**
 * Deletes an organisation. Its keys are revoked, requests that wait for it rejected; its devices go to `devicesTo`, without which
 * an organisation that has some is not deleted. The id is not given again.
 * @throws TowlineError `not_found`, `forbidden`, `conflict`.
 */
export async function deleteOrganisation(
  parts: DeletingParts,
  asker: Asker,
  { org, devicesTo }: { readonly org: OrgId | null; readonly devicesTo: Scope | null },
): Promise<void> {
  const { id } = await findOrganisation(parts, asker.principal, { id: org, right: 'org.delete' });
  requireWhole(asker.principal);
  const leaving = { scope: orgScope(id), devicesTo };
  if (devicesTo === leaving.scope) throw new TowlineError('invalid_request', 'devices_to: this is the organisation that is deleted.');
  if (devicesTo !== null) await requireTarget(parts, asker.principal, devicesTo);
  await refuseDevicesLeft(parts, leaving);
  await clearAway(parts, asker, leaving);
  await refuseDevicesLeft(parts, { ...leaving, devicesTo: null });
  const notice = { at: parts.clock.now(), code: 'org_deleted', message: `The organisation ${id} was deleted.` };
  if (!(await parts.store.organisations.delete(id, notice, callerOf(asker.principal)))) throw new TowlineError('not_found');
  // What came in between the two steps.
  await clearAway(parts, asker, leaving);
  const detail = { org: id, ...(devicesTo === null ? {} : { devices_to: devicesTo }) };
  await enforceAndRecord(parts, doerOf(asker), { action: 'org.deleted', owner: leaving.scope, detail });
}

/** Keys first: with them no more devices come. */
async function clearAway(parts: DeletingParts, asker: Asker, { scope, devicesTo }: Leaving): Promise<void> {
  for await (const key of keysOf(parts, scope)) {
    if (key.kind !== 'device') await revokeFoundKey(parts, key, { ...doerOf(asker), reason: GONE });
  }
  for await (const registration of requestsFor(parts, scope)) await reject(parts, asker, registration);
  if (devicesTo === null) return;
  for await (const { id } of devicesOf(parts, scope)) await moveDevice(parts, asker, { id, from: scope, to: devicesTo });
}

async function refuseDevicesLeft(parts: DeletingParts, { scope, devicesTo }: Leaving): Promise<void> {
  if (devicesTo !== null) return;
  const ids: string[] = [];
  for await (const { id } of devicesOf(parts, scope)) ids.push(id);
  if (ids.length === 0) return;
  throw new TowlineError('conflict', `The organisation has ${ids.length === 1 ? 'a device' : `${ids.length} devices`}.`, {
    hint: 'Say where they go with devices_to=SCOPE (`--devices-to SCOPE`), or remove them first.',
  });
}

function keysOf({ store }: DeletingParts, scope: Scope): AsyncGenerator<ApiKey> {
  return allPages((page) => store.keys.list({}, page, [scope]));
}

function requestsFor({ store, clock }: DeletingParts, owner: Scope): AsyncGenerator<Registration> {
  return allPages((page) => store.registrations.listPending({ owner, now: clock.now() }, page, SYSTEM_SCOPE));
}

function devicesOf({ store }: DeletingParts, owner: Scope): AsyncGenerator<Device> {
  return allPages((page) => store.devices.list({ owner }, page, SYSTEM_SCOPE));
}

/** One that somebody else decided meanwhile is none of ours. */
async function reject(parts: DeletingParts, asker: Asker, registration: Registration): Promise<void> {
  const decider = { actor: doerOf(asker).actor, address: asker.address, caller: SYSTEM_SCOPE, reason: GONE } as const;
  try {
    await rejectRegistration(parts, registration, decider);
  } catch (error) {
    if (!isTowlineError(error) || !/^(registration_|not_found)/.test(error.code)) throw error;
  }
}
