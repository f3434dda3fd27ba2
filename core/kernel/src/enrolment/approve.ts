import { type AuditActor, type Caller, type Device, type Registration, type Store, TowlineError, toTowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { defined } from '@towline/protocol';
import { requireLiveOwner } from './live-owner.ts';
import type { EnrolmentParts } from './parts.ts';

/** Who decides, from where, seeing what. */
export interface Decider {
  readonly actor: AuditActor;
  readonly address: string;
  readonly caller: Caller;
}

/**
 * Approves a pending request; of several deciders exactly one wins. The device exists when this resolves.
 * @throws TowlineError `registration_decided`, `registration_expired`, `not_found`, `org_deleted`.
 */
export async function approveRegistration(parts: EnrolmentParts, registration: Registration, decider: Decider): Promise<Registration> {
  await requireLiveOwner(parts.store, registration.owner);
  const approved = await decide(parts, registration, decider, { state: 'approved' });
  await ensureDevice(parts, approved);
  await record(parts, approved, decider, 'device.approved');
  return approved;
}

/** Rejects a pending request; the device is told `reason`. @throws TowlineError as {@link approveRegistration}. */
export async function rejectRegistration(
  parts: EnrolmentParts,
  registration: Registration,
  decider: Decider & { readonly reason?: string },
): Promise<Registration> {
  const reason = decider.reason === undefined ? {} : { reason: decider.reason };
  const rejected = await decide(parts, registration, decider, { state: 'rejected', ...reason });
  await record(parts, rejected, decider, 'device.rejected');
  return rejected;
}

/** The device of an approved request. */
interface EnsuredDevice {
  readonly device: Device;
  readonly made: boolean;
}

/**
 * Makes the device of an approved request, unless it exists; `made` tells which. Called by the approval and again by each claim, so
 * that a crash between the two steps of an approval heals.
 */
export async function ensureDevice({ store, clock }: EnrolmentParts, approved: Registration): Promise<EnsuredDevice> {
  const present = await store.devices.get(approved.deviceId, SYSTEM_SCOPE);
  if (present !== null) return { device: sameKey(present, approved), made: false };
  const device: Device = {
    id: approved.deviceId,
    name: approved.name,
    owner: approved.owner,
    shares: [],
    publicKey: approved.publicKey,
    fingerprint: approved.fingerprint,
    facts: approved.facts,
    enrolledAt: approved.decidedAt ?? approved.createdAt,
    enrolledBy: approved.decidedBy ?? '-',
    revision: 1,
  };
  if (await store.devices.insert(device)) {
    await takeBackIfDeleted(store, device, clock.now());
    return { device, made: true };
  }
  const existing = await store.devices.get(approved.deviceId, SYSTEM_SCOPE);
  if (existing === null) throw new TowlineError('not_found');
  return { device: sameKey(existing, approved), made: false };
}

function sameKey(device: Device, { publicKey }: Registration): Device {
  if (device.publicKey !== publicKey) throw new TowlineError('device_identity');
  return device;
}

/** The organisation may have been deleted since the request was looked at: nothing is left behind under its name. */
async function takeBackIfDeleted(store: Store, { id, owner }: Device, now: number): Promise<void> {
  try {
    await requireLiveOwner(store, owner);
  } catch (thrown) {
    const { code, message } = toTowlineError(thrown);
    if (code === 'org_deleted') await store.devices.remove(id, { at: now, code, message }, SYSTEM_SCOPE);
    throw thrown;
  }
}

async function decide(
  { store, clock }: EnrolmentParts,
  registration: Registration,
  decider: Decider,
  decision: { readonly state: 'approved' | 'rejected'; readonly reason?: string },
): Promise<Registration> {
  const now = clock.now();
  if (registration.state === 'pending' && registration.expiresAt <= now) throw new TowlineError('registration_expired');
  const decided = await store.registrations.decide(
    registration.id,
    { ...decision, decidedAt: now, decidedBy: decider.actor.label },
    decider.caller,
  );
  if (decided === null) throw new TowlineError('registration_decided');
  return decided;
}

async function record(parts: EnrolmentParts, registration: Registration, decider: Decider, action: string): Promise<void> {
  await parts.audit({
    at: parts.clock.now(),
    action,
    actor: decider.actor,
    address: decider.address,
    device: { id: registration.deviceId, name: registration.name },
    owner: registration.owner,
    outcome: 'ok',
    detail: {
      request: registration.id,
      fingerprint: registration.fingerprint,
      ...defined({ reason: registration.reason }),
    },
  });
}
