import { type Caller, type Device, type DeviceRepository, TowlineError } from '@towline/contract';
import { type DeviceId, isId, printable } from '@towline/protocol';

/** How many of the devices a name fits are listed in the error. */
const LISTED = 5;
/** How many of them are looked at: others may share devices of the same name. */
const SEARCHED = 100;

/**
 * The device that somebody named: by exact id, else by exact name, else by an unambiguous prefix of the id.
 * @throws TowlineError `not_found`, `ambiguous` (its text lists the devices).
 */
export async function findDevice(devices: Pick<DeviceRepository, 'get' | 'list'>, named: string, caller: Caller): Promise<Device> {
  const exact = isId(named) ? await devices.get(named as DeviceId, caller) : null;
  const found = exact ?? (await findByText(devices, named, caller));
  if (found === null) throw new TowlineError('not_found', `No device “${printable(named)}”, or it is not yours to see.`);
  return found;
}

/** What belongs to one of the caller’s scopes comes first: whatever others share, and how they name it, changes nothing of it. */
async function findByText(devices: Pick<DeviceRepository, 'get' | 'list'>, text: string, caller: Caller): Promise<Device | null> {
  const look = async (filter: Parameters<DeviceRepository['list']>[0]) => (await devices.list(filter, { limit: SEARCHED }, caller)).items;
  // Asked together: one round trip.
  const [named, begun] = await Promise.all([look({ name: text }), /^[0-9a-f]{4,32}$/.test(text) ? look({ idPrefix: text }) : []]);
  const isOwn = ({ owner }: Device) => !Array.isArray(caller) || caller.includes(owner);
  const byName = `The name “${printable(text)}”`;
  const byPrefix = `The id prefix ${text}`;
  return (
    theOnly(named.filter(isOwn), byName) ?? theOnly(begun.filter(isOwn), byPrefix) ?? theOnly(named, byName) ?? theOnly(begun, byPrefix)
  );
}

function theOnly(items: readonly Device[], what: string): Device | null {
  if (items.length <= 1) return items[0] ?? null;
  const list = items
    .slice(0, LISTED)
    .map(({ id, name, owner }) => `${id} (${printable(name)}, ${owner})`)
    .join(', ');
  throw new TowlineError('ambiguous', `${what} fits several devices: ${list}.`);
}
