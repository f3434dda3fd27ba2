import { type Device, MAX_SHARES, type RevocationNotice, type Share, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type DeviceId, printable, type Scope } from '@towline/protocol';
import { callerOf, requireOnDevice } from '../access/roles.ts';
import { type Asker, type ChangeParts, doerOf, enforceAndRecord } from '../people/change.ts';
import { refuseDeletedOrg } from '../people/organisations.ts';
import { retryOnConflict } from '../people/retry.ts';
import { type Given, isWithin, requireWithin } from './within.ts';

/** What is given to whom. */
export interface ShareRequest extends Given {
  readonly scope: Scope;
}

/**
 * Gives the holders of a scope access to a device, or changes what they have of it.
 * @throws TowlineError `not_found`, `forbidden`, `invalid_request`, `conflict`, `org_deleted`.
 */
export async function shareDevice(
  parts: ChangeParts,
  asker: Asker,
  { id, request }: { id: DeviceId; request: ShareRequest },
): Promise<Device> {
  const now = parts.clock.now();
  if (request.until !== undefined && request.until <= now) throw new TowlineError('invalid_request', 'until: this moment is over.');
  await refuseOutliving(parts, asker.principal, request.until);
  await refuseDeletedOrg(parts.store, request.scope);
  const shared = await changeShares(parts, asker, id, (device) => {
    if (request.scope === device.owner)
      throw new TowlineError('invalid_request', `scope: ${request.scope} owns the device, and has all of it already.`);
    const before = liveShare(device, request.scope, now);
    requireWithin(asker.principal, device, { given: request, now });
    if (before !== undefined) requireWithin(asker.principal, device, { given: before, now });
    const others = device.shares.filter(({ scope }) => scope !== request.scope);
    if (others.length >= MAX_SHARES) throw tooMany(device);
    const share: Share = { ...request, sharedAt: now, sharedBy: asker.principal.label };
    // Also one that ended a moment ago: what lives by it is ended by this change, if nobody has looked yet.
    const replaced = device.shares.find(({ scope }) => scope === request.scope);
    return { shares: [...others, share], narrowed: replaced !== undefined && !isWithin(replaced, share) };
  });
  const { scope, role, streams, until } = request;
  const limits = {
    ...(streams === undefined ? {} : { streams }),
    ...(until === undefined ? {} : { until: new Date(until).toISOString() }),
  };
  await enforceAndRecord(parts, doerOf(asker), { action: 'device.shared', ...placeOf(shared), detail: { scope, role, ...limits } });
  return shared;
}

/** Takes the access of a scope to a device back; what lives by it ends. @throws TowlineError `not_found`, `forbidden`. */
export async function unshareDevice(parts: ChangeParts, asker: Asker, { id, scope }: { id: DeviceId; scope: Scope }): Promise<void> {
  const now = parts.clock.now();
  const changed = await changeShares(parts, asker, id, (device) => {
    const before = liveShare(device, scope, now);
    if (before === undefined) {
      throw new TowlineError('not_found', `${printable(device.name)} is not shared with ${scope}.`, {
        hint: '`towline devices access D` shows with whom it is.',
      });
    }
    requireWithin(asker.principal, device, { given: before, now });
    return { shares: device.shares.filter((share) => share.scope !== scope), narrowed: true };
  });
  await enforceAndRecord(parts, doerOf(asker), { action: 'device.unshared', ...placeOf(changed), detail: { scope } });
}

type ShareChange = (device: Device) => { readonly shares: readonly Share[]; readonly narrowed: boolean };

/** Reads the device, changes its shares, and begins anew when somebody else changed it meanwhile. */
function changeShares({ store, clock }: ChangeParts, { principal }: Asker, id: DeviceId, change: ShareChange): Promise<Device> {
  return retryOnConflict(async () => {
    const device = await store.devices.get(id, callerOf(principal));
    if (device === null) throw new TowlineError('not_found');
    requireOnDevice(principal, device, 'device.share', clock.now());
    const { shares, narrowed } = change(device);
    const message = `Your access to ${printable(device.name)} was changed.`;
    const notice: RevocationNotice | undefined = narrowed ? { at: clock.now(), code: 'access_ended', message } : undefined;
    return store.devices.update(id, { shares }, device.revision, callerOf(principal), notice);
  });
}

/**
 * Whoever finds a key that ends must not be able to keep by a share what it opens. A token made from a key ends sooner than the key, which
 * says nothing. @throws TowlineError `forbidden`.
 */
async function refuseOutliving({ store }: ChangeParts, { keyId }: Asker['principal'], until: number | undefined): Promise<void> {
  if (keyId === undefined) return;
  const ends = (await store.keys.get(keyId, SYSTEM_SCOPE))?.expiresAt;
  if (ends === undefined || (until !== undefined && until <= ends)) return;
  throw new TowlineError('forbidden', `Your key ends at ${new Date(ends).toISOString()}, and what it shares cannot last longer.`, {
    hint: 'Say until when, or share with a login.',
  });
}

/** What a scope has by a share that has not ended. */
function liveShare({ shares }: Device, scope: Scope, now: number): Share | undefined {
  return shares.find((share) => share.scope === scope && (share.until === undefined || share.until > now));
}

function tooMany({ name }: Device): TowlineError {
  return new TowlineError('conflict', `${printable(name)} is shared ${MAX_SHARES} times, and more are not possible.`, {
    hint: 'Take a share back, or share it with an organisation.',
  });
}

function placeOf({ id, name, owner }: Device) {
  return { device: { id, name }, owner };
}
