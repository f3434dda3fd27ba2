import {
  type AuditEvent,
  type Clock,
  type Link,
  type Log,
  type PeerAddress,
  type Principal,
  type Store,
  TowlineError,
  toTowlineError,
} from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { watchLiveness } from '@towline/link';
import { type DeviceToRelay, type ErrorCode, type GrantKeyRecord, isErrorCode, type KeyId, PROTOCOL_LEVEL } from '@towline/protocol';
import { JOURNAL_GRACE_MS, type SessionLedger } from '../sessions/ledger.ts';
import { type ProvenDevice, proveDevice } from './device-handshake.ts';
import { endWithControl } from './end-with-control.ts';
import { createJournalIntake, type JournalIntake } from './journal-intake.ts';
import type { DeviceLink, DeviceRegistry } from './registry.ts';
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
  readonly clock: Clock;
  readonly log: Log;
}

/** A link whose request was authenticated. */
export interface AcceptedLink {
  readonly link: Link;
  readonly principal: Principal;
  readonly peer: PeerAddress;
  readonly transport: string;
}

/** Serves a device's link until it is over. Never rejects: what goes wrong is told to the device and logged. */
export async function serveDevice(parts: DeviceServing, accepted: AcceptedLink): Promise<void> {
  try {
    const proven = await proveDevice(accepted.link, accepted.principal, { relayId: parts.relayId, devices: parts.store.devices });
    await serveProven(parts, accepted, proven);
  } catch (thrown) {
    const error = toTowlineError(thrown);
    parts.log.warn('a device was not let in', {
      device: accepted.principal.deviceId,
      address: accepted.peer.address,
      code: error.code,
      detail: error.detail,
    });
    await recordRefusal(parts, accepted, error);
    await accepted.link.close(error.code, error.message);
  }
}

async function serveProven(parts: DeviceServing, accepted: AcceptedLink, proven: ProvenDevice): Promise<void> {
  const deviceLink = createDeviceLink(accepted, proven, parts.clock.now());
  const { control } = proven;
  endWithControl(accepted.link, control);
  try {
    await takePlace(parts, deviceLink);
    await settleAfterLink(parts, deviceLink);
    parts.log.info('a device is online', {
      device: deviceLink.device.id,
      name: deviceLink.device.name,
      address: deviceLink.address,
      transport: deviceLink.transport,
    });
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
    parts.log.info('a device is offline', { device: deviceLink.device.id, name: deviceLink.device.name, code: end.code, by: end.by });
  } finally {
    parts.registry.remove(deviceLink);
    await parts.store.devices.touch(deviceLink.device.id, { at: parts.clock.now(), address: deviceLink.address }).catch(() => {});
  }
}

function createDeviceLink(
  { link, principal, peer, transport }: AcceptedLink,
  { device, control, proof, nonce }: ProvenDevice,
  since: number,
): DeviceLink {
  const beganMs = performance.now();
  return {
    device,
    keyId: principal.keyId ?? '',
    link,
    transport,
    address: peer.address,
    since,
    instance: proof.instance,
    hostname: proof.hostname,
    serves: proof.serves,
    nonce,
    ready: false,
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
 * Welcomes the device and puts its link in the place of an older one, which is told, and closed. The older one serves
 * until then. @throws TowlineError `device_removed`, `key_revoked`, `link_lost` when the link is over itself.
 */
async function takePlace(parts: DeviceServing, next: DeviceLink): Promise<void> {
  parts.registry.admit(next);
  await refuseRevoked(parts, next);
  // What a device sent before it lost a connection may arrive when it has another, which must not give way to a dead one.
  if ((await Promise.race([next.link.closed, Promise.resolve(null)])) !== null) throw new TowlineError('link_lost');
  welcome(parts, next);
  const previous = parts.registry.replace(next);
  if (previous !== null) await giveWay(parts, previous, next);
}

async function giveWay(parts: DeviceServing, previous: DeviceLink, next: DeviceLink): Promise<void> {
  const two = previous.instance !== next.instance;
  const text = two
    ? `Another runtime with the identity of this device connected from ${next.address} (host ${next.hostname}).`
    : `A newer connection from ${next.address} took over.`;
  const detail = { old_address: previous.address, new_address: next.address, old_hostname: previous.hostname, new_hostname: next.hostname };
  parts.log.warn(two ? 'two runtimes share one identity; the newer replaced the older' : 'a device connection was replaced', {
    device: next.device.id,
    ...detail,
  });
  // A runtime that gave way to another stops; one that gave way to itself must come back.
  void previous.dismiss(two ? 'device_replaced' : 'device_lost', text);
  if (!two) return;
  const { id, name, owner } = next.device;
  await parts.audit({
    at: parts.clock.now(),
    action: 'device.replaced',
    actor: { kind: 'device', id: `device:${id}`, label: name },
    address: next.address,
    device: { id, name },
    owner,
    outcome: 'ok',
    detail,
  });
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

/** Sessions from before this link that the device neither runs nor reports are lost. */
function scheduleLost(parts: DeviceServing, { device }: DeviceLink, alive: ReadonlySet<string>): NodeJS.Timeout {
  const openedBefore = parts.clock.now();
  return setTimeout(() => {
    parts.ledger
      .closeLost({ deviceId: device.id, isLost: ({ id, openedAt }) => openedAt < openedBefore && !alive.has(id) })
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
      deviceLink.keyId = keyId;
      await parts.store.keys.revokeOlderOfDevice(deviceLink.device.id, key.id, parts.clock.now());
    })
    .catch((error: unknown) => parts.log.error('a rotated key could not be settled', { device: deviceLink.device.id, error }));
}

async function recordRefusal(parts: DeviceServing, { principal, peer }: AcceptedLink, error: TowlineError): Promise<void> {
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
