import type { AuditActor, Caller, Device } from '@towline/contract';
import { TowlineError } from '@towline/contract';
import type { EnrolmentParts } from './parts.ts';

/**
 * Removes an enrolled device: its requests, its record and its keys. Live links close by the revocation that
 * the store appends. @throws TowlineError `not_found`.
 */
export async function removeDevice(
  { store, clock, audit }: EnrolmentParts,
  device: Device,
  by: { readonly actor: AuditActor; readonly address: string; readonly caller: Caller; readonly reason?: string },
): Promise<void> {
  await store.registrations.deleteForDevice(device.id);
  const message =
    by.reason === undefined ? 'The device was removed from the relay.' : `The device was removed from the relay: ${by.reason}`;
  const removed = await store.devices.remove(device.id, { at: clock.now(), code: 'device_removed', message }, by.caller);
  if (!removed) throw new TowlineError('not_found');
  await audit({
    at: clock.now(),
    action: 'device.removed',
    actor: by.actor,
    address: by.address,
    device: { id: device.id, name: device.name },
    owner: device.owner,
    outcome: 'ok',
    ...(by.reason === undefined ? {} : { detail: { reason: by.reason } }),
  });
}
