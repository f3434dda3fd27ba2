import { type Device, type Principal, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type DeviceId, orgOfScope, printable, type Scope } from '@towline/protocol';
import { callerOf, requireOnDevice, roleOn } from '../access/roles.ts';
import { type Asker, type ChangeParts, doerOf, recordChange } from '../people/change.ts';
import { ownRoleOn, refuseDeletedOrg } from '../people/organisations.ts';
import { retryOnConflict } from '../people/retry.ts';
import { requireWhole } from '../people/whole-credential.ts';

/**
 * Gives a device to another scope. Its keys go along; everything it was shared with loses it, and what others have open ends.
 * @throws TowlineError `not_found`, `forbidden`, `invalid_request`, `org_deleted`.
 */
export async function transferDevice(parts: ChangeParts, asker: Asker, { id, to }: { id: DeviceId; to: Scope }): Promise<Device> {
  const { principal } = asker;
  const device = await parts.store.devices.get(id, callerOf(principal));
  if (device === null) throw new TowlineError('not_found');
  requireOnDevice(principal, device, 'device.transfer', parts.clock.now());
  requireWhole(principal);
  if (device.owner === to) throw new TowlineError('invalid_request', `owner: ${printable(device.name)} belongs to ${to} already.`);
  await requireTarget(parts, principal, to);
  const moved = await moveDevice(parts, asker, { id, from: device.owner, to });
  if (moved === null) throw new TowlineError('conflict', 'The device was transferred by somebody else.');
  await parts.enforce();
  return moved;
}

/**
 * Whether devices may be given to a scope by this principal, and it is one that there is: a wrong letter must not lose a device.
 * @throws TowlineError `forbidden`, `org_deleted`, `not_found`.
 */
export async function requireTarget({ store }: Pick<ChangeParts, 'store'>, principal: Principal, to: Scope): Promise<void> {
  if (roleOn(principal, to) !== 'admin')
    throw new TowlineError('forbidden', `Devices go only where you are admin, and of ${to} you are not.`, {
      hint: `Ask an admin of ${to}.`,
    });
  await refuseDeletedOrg(store, to);
  const org = orgOfScope(to);
  if (org === null || ownRoleOn(principal, to) !== null) return;
  if ((await store.organisations.get(org, SYSTEM_SCOPE)) === null)
    throw new TowlineError('not_found', `There is no organisation ${org}.`, { hint: 'Create it first, or check the id.' });
}

/** Moves a device that may be moved, and records it for both owners. Null when it is not `from`’s any more. */
export async function moveDevice(
  parts: ChangeParts,
  asker: Asker,
  { id, from, to }: { readonly id: DeviceId; readonly from: Scope; readonly to: Scope },
): Promise<Device | null> {
  const { store, clock } = parts;
  const moved = await retryOnConflict(async () => {
    const device = await store.devices.get(id, SYSTEM_SCOPE);
    if (device === null || device.owner !== from) return null;
    const notice = { at: clock.now(), code: 'access_ended', message: `${printable(device.name)} was given to another owner.` };
    return store.devices.update(id, { owner: to, shares: [] }, device.revision, SYSTEM_SCOPE, notice);
  });
  if (moved === null) return null;
  const change = { action: 'device.transferred', device: { id, name: moved.name }, detail: { from, to } };
  await recordChange(parts, doerOf(asker), { ...change, owner: from });
  await recordChange(parts, doerOf(asker), { ...change, owner: to });
  return moved;
}
