import {
  type AuditEvent,
  type Clock,
  type Link,
  type LinkEnd,
  type Log,
  type PeerAddress,
  type Store,
  TowlineError,
  toTowlineError,
} from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { watchLiveness } from '@towline/link';
import {
  type DeviceToRelay,
  defined,
  type ErrorCode,
  type GrantKeyRecord,
  isErrorCode,
  type KeyId,
  PROTOCOL_LEVEL,
} from '@towline/protocol';
import { JOURNAL_GRACE_MS, type SessionLedger } from '../sessions/ledger.ts';
import { type ProvenDevice, proveDevice } from './device-handshake.ts';
import { endWithControl } from './end-with-control.ts';
import { giveWay } from './give-way.ts';
import { createJournalIntake, type JournalIntake } from './journal-intake.ts';
import type { LinkCredential } from './link-credential.ts';
import type { DeviceLine, DeviceLink, DeviceRegistry } from './registry.ts';
import type { ReportedSessions } from './reported-sessions.ts';
import { createTurns, type Turns } from './turns.ts';

/** How often a device is told the relay's time, milliseconds: clocks that drift 50 parts in a million differ by 0.2 s then. */
const TELL_TIME_EVERY_MS = 3_600_000;

/** What serving devices works with. */
export interface DeviceServing {
  readonly relayId: string;
  readonly store: Store;
  readonly registry: DeviceRegistry;
  readonly ledger: SessionLedger;
  readonly audit: (event: AuditEvent) => Promise<void>;
  readonly grantKeys: () => readonly GrantKeyRecord[];
  /** Sessions that this relay carries now, by their ids. */
  readonly joined: ReadonlyMap<string, unknown>;
  /** Judges anew the sessions that a device brings with it. */
  readonly reported: ReportedSessions;
  readonly clock: Clock;
  readonly log: Log;
}

/** A link whose request was authenticated. */
export interface AcceptedLink {
  readonly link: Link;
  readonly credential: LinkCredential;
  readonly peer: PeerAddress;
  readonly transport: string;
}

/** Serves a device's link until it is over. Never rejects: what goes wrong is told to the device and logged. */
export async function serveDevice(parts: DeviceServing, accepted: AcceptedLink): Promise<void> {
  const { link, credential, peer } = accepted;
  try {
    const proven = await proveDevice(link, credential.claimed, { relayId: parts.relayId, devices: parts.store.devices });
    if (proven === null) return noteLeft(parts, accepted);
    await serveProven(parts, accepted, proven);
  } catch (thrown) {
    const error = toTowlineError(thrown);
    parts.log.warn('a device was not let in', {
      device: credential.claimed.deviceId,
      address: peer.address,
      code: error.code,
      detail: error.detail,
    });
    await recordRefusal(parts, accepted, error);
    await link.close(error.code, error.message);
  }
}

/** Nothing was refused, so the trail has nothing of it. */
function noteLeft({ log }: DeviceServing, { credential, peer, transport }: AcceptedLink): void {
  log.info('a link was over before its device had proved itself', {
    device: credential.claimed.deviceId,
    address: peer.address,
    transport,
  });
}

async function serveProven(parts: DeviceServing, accepted: AcceptedLink, proven: ProvenDevice): Promise<void> {
  const deviceLink = createDeviceLink(accepted, proven, parts.clock.now());
  const { control } = proven;
  endWithControl(accepted.link, control);
  try {
    await takePlace(parts, deviceLink, proven.proof.beside === true);
    await settleAfterLink(parts, deviceLink);
    parts.log.info('a device is online', {
      device: deviceLink.device.id,
      name: deviceLink.device.name,
      address: deviceLink.address,
      transport: deviceLink.transport,
    });
    parts.reported(deviceLink, proven.proof.sessions);
    const lost = scheduleLost(parts, deviceLink, new Set(proven.proof.sessions));
    const stopWatching = watchLiveness(accepted.link, control);
    const telling = setInterval(() => deviceLink.send({ type: 'time', time_ms: deviceLink.timeMs() }), TELL_TIME_EVERY_MS);
    const turns = createTurns();
    const journal = createJournalIntake(deviceLink.device.id, {
      ledger: parts.ledger,
      turns,
      log: parts.log,
      acknowledge: (received) => deviceLink.send({ type: 'journal_ack', received }),
    });
    control.onMessage((message) => takeMessage(parts, { deviceLink, journal, turns }, message));
    const end = await accepted.link.closed;
    clearTimeout(lost);
    clearInterval(telling);
    stopWatching();
    parts.registry.remove(deviceLink);
    logEnd(parts, deviceLink, end);
  } finally {
    parts.registry.remove(deviceLink);
    await noteLastSeen(parts, deviceLink);
  }
}

function logEnd({ registry, log }: DeviceServing, { device, transport }: DeviceLink, { code, by }: LinkEnd): void {
  const present = registry.get(device.id);
  const fields = { device: device.id, name: device.name, transport, code, by };
  if (present === null) log.info('a device is offline', fields);
  else log.info('a link of a device is over; the device is on another', { ...fields, present: present.transport });
}

/** When and where it was last seen, unless it is still here: the address of an older link must not cover that of the present one. */
async function noteLastSeen({ registry, store, clock }: DeviceServing, { device, address }: DeviceLink): Promise<void> {
  if (registry.get(device.id) === null) await store.devices.touch(device.id, { at: clock.now(), address }).catch(() => {});
}

function createDeviceLink(
  { link, credential, peer, transport }: AcceptedLink,
  { device, control, proof, nonce }: ProvenDevice,
  since: number,
): DeviceLink {
  const beganMs = performance.now();
  const { keyId = '' } = credential.claimed;
  return {
    device,
    keyId,
    link,
    transport,
    ...defined({ transportNote: proof.transport_note }),
    address: peer.address,
    since,
    instance: proof.instance,
    hostname: proof.hostname,
    serves: proof.serves,
    features: proof.features ?? [],
    nonce,
    ready: false,
    line: { begunAt: since, keyIds: new Set([keyId]) },
    timeMs: () => since + performance.now() - beganMs,
    send: (message) => control.send(message),
    async dismiss(code, message) {
      const error = new TowlineError(code, message);
      control.send({ type: 'goodbye', ...error.toPublic() });
      await link.close(code, message);
    },
  };
}

/**
 * Welcomes the device and puts its link in the place of an older one, which serves until then. That one is told, and closed;
 * when the device says that it holds both (`beside`), not before its streams are over. @throws TowlineError `device_removed`, `key_revoked`, `link_lost` when the link is over itself.
 */
async function takePlace(parts: DeviceServing, next: DeviceLink, beside: boolean): Promise<void> {
  parts.registry.admit(next);
  await refuseRevoked(parts, next);
  // What a device sent before it lost a connection may arrive when it has another, which must not give way to a dead one.
  if ((await Promise.race([next.link.closed, Promise.resolve(null)])) !== null) throw new TowlineError('link_lost');
  welcome(parts, next);
  const replaced = parts.registry.replace(next, beside);
  next.line = lineOf(next, replaced.retiring, parts.clock.now());
  await giveWay(parts, next, replaced);
}

/** The line that a link goes on with: that of the link beside which it came, or one of its own that begins now. */
function lineOf({ keyId }: DeviceLink, retiring: DeviceLink | null, now: number): DeviceLine {
  if (retiring === null) return { begunAt: now, keyIds: new Set([keyId]) };
  retiring.line.keyIds.add(keyId);
  return retiring.line;
}

/** A revocation between the request and the note in the registry would have missed this link: look again. */
async function refuseRevoked({ store }: DeviceServing, { device, keyId }: DeviceLink): Promise<void> {
  const [present, key] = await Promise.all([store.devices.get(device.id, SYSTEM_SCOPE), store.keys.get(keyId as KeyId, SYSTEM_SCOPE)]);
  if (present === null) throw new TowlineError('device_removed');
  if (keyId !== '' && (key === null || key.revokedAt !== undefined)) throw new TowlineError('key_revoked');
}

function welcome(parts: DeviceServing, deviceLink: DeviceLink): void {
  deviceLink.send({
    type: 'welcome',
    level: PROTOCOL_LEVEL,
    device: deviceLink.device.id,
    name: deviceLink.device.name,
    time_ms: deviceLink.timeMs(),
    grant_keys: [...parts.grantKeys()],
    journal_received: 0,
  });
  deviceLink.ready = true;
}

/** From its first link on a device needs neither its request nor any older key. */
async function settleAfterLink({ store, clock }: DeviceServing, { device, keyId, address }: DeviceLink): Promise<void> {
  const now = clock.now();
  await Promise.all([
    store.registrations.deleteForDevice(device.id),
    keyId === '' ? undefined : store.keys.revokeOlderOfDevice(device.id, keyId as KeyId, now),
    store.devices.touch(device.id, { at: now, address }),
  ]);
}

/**
 * Sessions from before this link, and those that it took over from, that the device neither runs nor reports are lost.
 * Of those that this relay carries, the end is written by who joined their streams.
 */
function scheduleLost(parts: DeviceServing, { device, line }: DeviceLink, alive: ReadonlySet<string>): NodeJS.Timeout {
  return setTimeout(() => {
    parts.ledger
      .closeLost({ deviceId: device.id, isLost: ({ id, openedAt }) => openedAt < line.begunAt && !alive.has(id) && !parts.joined.has(id) })
      .catch((error: unknown) => parts.log.error('sessions could not be closed as lost', { device: device.id, error }));
  }, JOURNAL_GRACE_MS);
}

function takeMessage(
  parts: DeviceServing,
  { deviceLink, journal, turns }: { deviceLink: DeviceLink; journal: JournalIntake; turns: Turns },
  message: DeviceToRelay,
): void {
  if (message.type === 'journal') journal.take(message.entries);
  else if (message.type === 'rotated') {
    turns(() => settleRotation(parts, deviceLink, message.key_id), 1);
  } else if (message.type === 'goodbye') {
    void deviceLink.link.close(isErrorCode(message.code) ? message.code : ('link_closed' satisfies ErrorCode), message.message);
  }
}

/** The device stored its new key: the link goes on under it, and the older ones end. */
function settleRotation(parts: DeviceServing, deviceLink: DeviceLink, keyId: string): Promise<void> {
  return parts.store.keys
    .get(keyId as KeyId, SYSTEM_SCOPE)
    .then(async (key) => {
      if (key === null || key.deviceId !== deviceLink.device.id || key.revokedAt !== undefined) return;
      deviceLink.line.keyIds.add(keyId);
      await parts.store.keys.revokeOlderOfDevice(deviceLink.device.id, key.id, parts.clock.now());
    })
    .catch((error: unknown) => parts.log.error('a rotated key could not be settled', { device: deviceLink.device.id, error }));
}

async function recordRefusal(parts: DeviceServing, { credential, peer }: AcceptedLink, error: TowlineError): Promise<void> {
  const principal = credential.claimed;
  const record = async () => {
    const device = principal.deviceId === undefined ? null : await parts.store.devices.get(principal.deviceId, SYSTEM_SCOPE);
    await parts.audit({
      at: parts.clock.now(),
      action: 'device.refused',
      actor: { kind: 'device', id: principal.id, label: principal.label },
      address: peer.address,
      ...(device === null ? {} : { device: { id: device.id, name: device.name }, owner: device.owner }),
      outcome: 'refused',
      reason: error.code,
    });
  };
  await record().catch((cause: unknown) => parts.log.error('a refusal could not be recorded', { cause }));
}
