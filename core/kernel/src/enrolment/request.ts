import { type Principal, type Registration, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import {
  createId,
  type DeviceId,
  deviceNameFault,
  fingerprintOf,
  parsePublicKey,
  parseScope,
  type RegistrationId,
  registrationText,
  type Scope,
  verifyText,
} from '@towline/protocol';
import { actorOf, NOBODY } from '../access/actor.ts';
import { approveRegistration } from './approve.ts';
import { hasExpired } from './expiry.ts';
import { requireLiveOwner } from './live-owner.ts';
import { APPROVED_LIFE_MS, type EnrolmentParts } from './parts.ts';
import { createTurns } from './turns.ts';

/** A request to enrol as it came, its form checked. */
export interface EnrolmentRequest {
  readonly deviceId: DeviceId;
  readonly publicKey: string;
  readonly name: string;
  readonly owner: string | undefined;
  readonly facts: Registration['facts'];
  readonly signature: string;
}

/** Who asks: an address, and an enrolment key where one came with the request. */
export interface Requester {
  readonly address: string;
  readonly principal: Principal | null;
}

/**
 * Takes requests to enrol. The same device asking for the same again gets the request it has. With an enrolment key
 * the request is approved at once.
 * @throws TowlineError `invalid_request`, `proof_invalid`, `device_identity`, `registration_limit`, `key_wrong_kind`, `key_spent`,
 * `org_deleted`.
 */
export type EnrolmentIntake = (request: EnrolmentRequest, requester: Requester) => Promise<Registration>;

/** What is known when a request comes in: for whom it is, and the one of the same device that still counts. */
interface Known {
  readonly owner: Scope;
  readonly earlier: Registration | null;
}

/** Makes the intake. What looks at the store and then adds to it is done in turns: requests at the same moment must not all find room. */
export function createEnrolmentIntake(parts: EnrolmentParts): EnrolmentIntake {
  const inTurn = createTurns();
  return async (request, requester) => {
    const owner = ownerOf(request, requester.principal);
    checkRequest(request);
    return inTurn(() => takeRequest(parts, request, { owner, requester }));
  };
}

async function takeRequest(
  parts: EnrolmentParts,
  request: EnrolmentRequest,
  { owner, requester }: { owner: Scope; requester: Requester },
): Promise<Registration> {
  await requireLiveOwner(parts.store, owner);
  const known = { owner, earlier: await findEarlier(parts, request.deviceId) };
  await refuseForeignIdentity(parts, request, known);
  const waiting = await waitingRequest(parts, request, known);
  const { principal } = requester;
  if (principal === null) return waiting ?? insertRequest(parts, request, { owner, requester });
  if (waiting?.state === 'approved') return waiting;
  // Spent first: a request that the key does not cover must not stay and wait for somebody.
  await spend(parts, principal);
  const registration = waiting ?? (await insertRequest(parts, request, { owner, requester }));
  return approveRegistration(parts, registration, { actor: actorOf(principal), address: requester.address, caller: SYSTEM_SCOPE });
}

function ownerOf(request: EnrolmentRequest, principal: Principal | null): Scope {
  if (principal === null) return parseOwner(request.owner);
  if (principal.kind !== 'enrolment') throw new TowlineError('key_wrong_kind');
  const owner = principal.scopes[0]?.scope;
  if (owner === undefined) throw new TowlineError('forbidden', 'The enrolment key names no owner.');
  if (request.owner !== undefined && parseScope(request.owner) !== owner) {
    throw new TowlineError('forbidden', `The enrolment key enrols for ${owner} only.`);
  }
  return owner;
}

function parseOwner(text: string | undefined): Scope {
  const owner = text === undefined ? null : parseScope(text);
  if (owner === null) throw new TowlineError('invalid_request', 'owner: expected user:EMAIL or org:ID.');
  return owner;
}

function checkRequest(request: EnrolmentRequest): void {
  const fault = deviceNameFault(request.name);
  if (fault !== null) throw new TowlineError('invalid_request', `name: ${fault}.`, { hint: 'Choose another with --name.' });
  const key = parsePublicKey(request.publicKey);
  if (key === null) throw new TowlineError('invalid_request', 'public_key: expected a raw Ed25519 public key in base64url.');
  const text = registrationText({
    deviceId: request.deviceId,
    publicKey: request.publicKey,
    owner: request.owner ?? '',
    name: request.name,
  });
  if (!verifyText(text, request.signature, key)) throw new TowlineError('proof_invalid');
}

/** An id belongs to the key pair that came with it first, and a device to its owner. */
async function refuseForeignIdentity({ store }: EnrolmentParts, request: EnrolmentRequest, known: Known): Promise<void> {
  const device = await store.devices.get(request.deviceId, SYSTEM_SCOPE);
  if (device !== null && device.publicKey !== request.publicKey) throw new TowlineError('device_identity');
  if (device !== null && device.owner !== known.owner) {
    throw new TowlineError('conflict', 'This device is enrolled for another owner.', {
      hint: 'Have it removed or transferred there first.',
    });
  }
  if (known.earlier !== null && known.earlier.publicKey !== request.publicKey) throw new TowlineError('device_identity');
}

/** The request of a device that still counts: it waits for a decision, or, approved, for its device, which may have forgotten it. */
async function findEarlier({ store, clock }: EnrolmentParts, deviceId: DeviceId): Promise<Registration | null> {
  const now = clock.now();
  const earlier = await store.registrations.findByDevice(deviceId, now - APPROVED_LIFE_MS);
  return earlier === null || hasExpired(earlier, now) ? null : earlier;
}

/** The earlier request, when the device asks for the same again; one that asks for something else gives way. */
async function waitingRequest(
  { store }: EnrolmentParts,
  request: EnrolmentRequest,
  { owner, earlier }: Known,
): Promise<Registration | null> {
  if (earlier === null) return null;
  if (earlier.state !== 'rejected' && earlier.owner === owner && earlier.name === request.name) return earlier;
  await store.registrations.deleteForDevice(request.deviceId);
  return null;
}

async function insertRequest(
  parts: EnrolmentParts,
  request: EnrolmentRequest,
  { owner, requester }: { owner: Scope; requester: Requester },
): Promise<Registration> {
  const now = parts.clock.now();
  if (requester.principal === null) await checkPending(parts, owner, requester.address);
  const registration: Registration = {
    id: createId<RegistrationId>(),
    deviceId: request.deviceId,
    publicKey: request.publicKey,
    fingerprint: fingerprintOf(request.publicKey),
    owner,
    name: request.name,
    facts: request.facts,
    address: requester.address,
    state: 'pending',
    createdAt: now,
    expiresAt: now + parts.limits.expiryMs,
    revision: 1,
  };
  await parts.store.registrations.insert(registration);
  await parts.audit({
    at: now,
    action: 'device.requested',
    actor: requester.principal === null ? NOBODY : actorOf(requester.principal),
    address: requester.address,
    device: { id: request.deviceId, name: request.name },
    owner,
    outcome: 'ok',
    detail: { request: registration.id, fingerprint: registration.fingerprint, hostname: request.facts.hostname },
  });
  return registration;
}

async function checkPending({ store, clock, limits }: EnrolmentParts, owner: Scope, address: string): Promise<void> {
  const [ofOwner, ofAddress] = await Promise.all([
    store.registrations.countPending({ owner }, clock.now()),
    store.registrations.countPending({ address }, clock.now()),
  ]);
  if (ofOwner >= limits.maxPendingPerOwner)
    throw new TowlineError('registration_limit', `${ofOwner} requests to enrol wait for ${owner} already.`);
  if (ofAddress >= limits.maxPendingPerAddress)
    throw new TowlineError('registration_limit', `${ofAddress} requests to enrol from your address wait already.`);
}

async function spend({ store }: EnrolmentParts, { keyId }: Principal): Promise<void> {
  if (keyId === undefined || !(await store.keys.spend(keyId))) throw new TowlineError('key_spent');
}
