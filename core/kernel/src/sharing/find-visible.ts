import type { Device, DeviceRepository, Principal, Store } from '@towline/contract';
import { findDevice } from '../access/find-device.ts';
import type { RightName } from '../access/rights.ts';
import { callerOf, requireOnDevice, roleOnDevice } from '../access/roles.ts';
import { filteredPage } from '../people/pages.ts';

/** Who looks, at which moment. */
export interface Looking {
  readonly store: Pick<Store, 'devices'>;
  readonly principal: Principal;
  readonly now: number;
}

/** The devices a principal sees now: a store shows also those of shares that have ended, and knows no limits of keys. */
export function visibleDevices({ store, principal, now }: Looking): Pick<DeviceRepository, 'get' | 'list'> {
  const isVisible = (device: Device) => roleOnDevice(principal, device, now) !== null;
  return {
    async get(id, caller) {
      const device = await store.devices.get(id, caller);
      return device !== null && isVisible(device) ? device : null;
    },
    list: (filter, page, caller) => filteredPage((request) => store.devices.list(filter, request, caller), page, isVisible),
  };
}

/** The device somebody named, with which they may do this. @throws TowlineError `not_found`, `ambiguous`, `forbidden`. */
export async function findVisibleDevice(looking: Looking, named: string, right: RightName): Promise<Device> {
  const { principal, now } = looking;
  // Looking for a device takes these two methods alone.
  const device = await findDevice(visibleDevices(looking) as DeviceRepository, named, callerOf(principal));
  requireOnDevice(principal, device, right, now);
  return device;
}
