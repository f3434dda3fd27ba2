import { type Caller, type Device, type DeviceRepository, TowlineError } from '@towline/contract';
import { type DeviceId, isId, printable } from '@towline/protocol';

/** How many of the devices a name fits are listed in the error. */
const LISTED = 5;

/**
 * The device that somebody named: by exact id, else by exact name, else by an unambiguous prefix of the id.
 * @throws TowlineError `not_found`, `ambiguous` (its text lists the devices).
 */
export async function findDevice(devices: Pick<DeviceRepository, 'get' | 'list'>, named: string, caller: Caller): Promise<Device> {
  const exact = isId(named) ? await devices.get(named as DeviceId, caller) : null;
  const found = exact ?? (await findByName(devices, named, caller)) ?? (await findByPrefix(devices, named, caller));
  if (found === null) throw new TowlineError('not_found', `No device “${printable(named)}”, or it is not yours to see.`);
  return found;
}

async function findByName(devices: Pick<DeviceRepository, 'get' | 'list'>, name: string, caller: Caller): Promise<Device | null> {
  const { items } = await devices.list({ name }, { limit: LISTED }, caller);
  return theOnly(items, `The name “${printable(name)}”`);
}

async function findByPrefix(devices: Pick<DeviceRepository, 'get' | 'list'>, idPrefix: string, caller: Caller): Promise<Device | null> {
  if (!/^[0-9a-f]{4,32}$/.test(idPrefix)) return null;
  const { items } = await devices.list({ idPrefix }, { limit: LISTED }, caller);
  return theOnly(items, `The id prefix ${idPrefix}`);
}

function theOnly(items: readonly Device[], what: string): Device | null {
  if (items.length <= 1) return items[0] ?? null;
  const list = items.map(({ id, name, owner }) => `${id} (${printable(name)}, ${owner})`).join(', ');
  throw new TowlineError('ambiguous', `${what} fits several devices: ${list}.`);
}
