import { type ApiKey, type Device, type Registration, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { claimText, createApiKeyText, type DeviceId, type KeyId, parsePublicKey, type RegistrationId, verifyText } from '@towline/protocol';
import { ensureDevice } from './approve.ts';
import { hasExpired } from './expiry.ts';
import type { EnrolmentParts } from './parts.ts';

const GONE = 'No such request to enrol.';

/** A claim as it came, its form checked. */
export interface Claim {
  readonly registration: RegistrationId;
  readonly deviceId: DeviceId;
  readonly signature: string;
  readonly address: string;
}

/** What a claim is answered. */
export type ClaimOutcome = { readonly state: 'pending' } | { readonly state: 'approved'; readonly apiKey: string; readonly device: Device };

/**
 * Hands the credential of an approved request to the holder of the device's private key. May be repeated until
 * the first link, because an answer can be lost; each time replaces the key that was handed out before.
 * @throws TowlineError `not_found`, `proof_invalid`, `registration_rejected`, `registration_expired`.
 */
export async function claimCredential(parts: EnrolmentParts, claim: Claim): Promise<ClaimOutcome> {
  const registration = await parts.store.registrations.get(claim.registration, SYSTEM_SCOPE);
  if (registration === null) throw new TowlineError('not_found', GONE, { hint: 'Start the runtime again to make a new one.' });
  checkProof(parts, registration, claim);
  checkState(registration, parts.clock.now());
  if (registration.state === 'pending') return { state: 'pending' };
  const { device, made } = await ensureDevice(parts, registration);
  const apiKey = await insertDeviceKey(parts, device, 'enrolment');
  await takeBackIfLate(parts, registration, { device: made ? device.id : null, key: apiKey.id });
  await parts.store.keys.revokeOlderOfDevice(device.id, apiKey.id, parts.clock.now());
  await parts.audit({
    at: parts.clock.now(),
    action: 'device.claimed',
    actor: { kind: 'device', id: `device:${device.id}`, label: device.name },
    address: claim.address,
    device: { id: device.id, name: device.name },
    owner: device.owner,
    outcome: 'ok',
    detail: { request: registration.id, key: apiKey.id },
  });
  return { state: 'approved', apiKey: apiKey.text, device };
}

/**
 * A request goes when its device is removed, before the device itself, and when the device links first. A claim that
 * was under way then takes back what it made, and nothing else: the device may be online.
 */
async function takeBackIfLate(
  { store, clock }: EnrolmentParts,
  registration: Registration,
  { device, key }: { readonly device: DeviceId | null; readonly key: KeyId },
): Promise<void> {
  if ((await store.registrations.get(registration.id, SYSTEM_SCOPE)) !== null) return;
  const error = device === null ? new TowlineError('not_found', GONE) : new TowlineError('device_removed');
  const revocation = { at: clock.now(), code: error.code, message: error.message };
  await store.keys.revoke(key, revocation, SYSTEM_SCOPE);
  if (device !== null) await store.devices.remove(device, revocation, SYSTEM_SCOPE);
  throw error;
}

/** Makes a further key for a device; the others stay until the device links with the new one. */
export async function insertDeviceKey(
  { store, clock }: EnrolmentParts,
  device: Device,
  createdBy: string,
): Promise<{ id: ApiKey['id']; text: string }> {
  const { id, text, hash } = createApiKeyText('device');
  await store.keys.insert({
    id,
    kind: 'device',
    hash,
    name: device.name,
    owner: device.owner,
    admin: false,
    scopes: [],
    deviceId: device.id,
    createdAt: clock.now(),
    createdBy,
    revision: 1,
  });
  return { id, text };
}

function checkProof({ relayId }: EnrolmentParts, registration: Registration, claim: Claim): void {
  const text = claimText({ relay: relayId, registration: registration.id, deviceId: registration.deviceId });
  const key = parsePublicKey(registration.publicKey);
  if (claim.deviceId !== registration.deviceId || key === null || !verifyText(text, claim.signature, key))
    throw new TowlineError('proof_invalid');
}

function checkState(registration: Registration, now: number): void {
  if (registration.state === 'rejected') throw new TowlineError('registration_rejected', rejectionText(registration.reason));
  if (hasExpired(registration, now)) throw new TowlineError('registration_expired');
}

function rejectionText(reason: string | undefined): string {
  return reason === undefined ? 'The request to enrol was rejected.' : `The request to enrol was rejected: ${reason}`;
}
