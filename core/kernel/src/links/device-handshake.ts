import { randomBytes } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Device, type DeviceRepository, type Link, type Principal, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type ControlChannel, createControlChannel } from '@towline/link';
import {
  AUTHENTICATION_DEADLINE_MS,
  CONTROL_PROTOCOL,
  type DeviceToRelay,
  deviceToRelay,
  encodeJson,
  PROTOCOL_LEVEL,
  parsePublicKey,
  proofText,
  type RelayToDevice,
  relayToDevice,
  verifyText,
} from '@towline/protocol';

/** The control stream of a device link, seen from the relay. */
export type DeviceControl = ControlChannel<RelayToDevice, DeviceToRelay>;
type Proof = Extract<DeviceToRelay, { type: 'proof' }>;

/** A device that proved to hold its private key. */
export interface ProvenDevice {
  readonly device: Device;
  readonly control: DeviceControl;
  readonly proof: Proof;
  readonly nonce: string;
}

/**
 * Opens the control stream and has the device prove who it is. Until then the link is nobody. Null when the device left,
 * or its connection was lost, before it sent a proof: a device that tries two ways leaves the slower one so.
 * @throws TowlineError `proof_invalid`, `device_removed`, `timeout`, `protocol_error`.
 */
export async function proveDevice(
  link: Link,
  principal: Principal,
  parts: { readonly relayId: string; readonly devices: DeviceRepository },
): Promise<ProvenDevice | null> {
  const stream = link.openStream(encodeJson({ protocol: CONTROL_PROTOCOL }));
  const control = createControlChannel(stream, { encode: relayToDevice, decode: deviceToRelay });
  const nonce = randomBytes(24).toString('base64url');
  control.send({ type: 'challenge', level: PROTOCOL_LEVEL, relay: parts.relayId, nonce });
  const proof = await firstMessage(link, control);
  if (proof === null) return null;
  if (proof.type !== 'proof') throw new TowlineError('protocol_error', 'The device sent something else than its proof.');
  const device = principal.deviceId === undefined ? null : await parts.devices.get(principal.deviceId, SYSTEM_SCOPE);
  if (device === null) throw new TowlineError('device_removed');
  checkProof(device, proof, { relay: parts.relayId, nonce });
  return { device, control, proof, nonce };
}

/** Null when the other end was over first. */
async function firstMessage(link: Link, control: DeviceControl): Promise<DeviceToRelay | null> {
  try {
    return await control.next(AbortSignal.timeout(AUTHENTICATION_DEADLINE_MS));
  } catch (error) {
    // Streams break just before their link says that it is over.
    const end = await Promise.race([link.closed, nextTurn(null)]);
    if (end === null || end.by === 'self') throw error;
    return null;
  }
}

function checkProof(device: Device, proof: Proof, { relay, nonce }: { relay: string; nonce: string }): void {
  const key = parsePublicKey(device.publicKey);
  const text = proofText({ relay, deviceId: device.id, nonce, instance: proof.instance });
  if (proof.device !== device.id) {
    throw new TowlineError('proof_invalid', 'The device gave another id than the one its key belongs to.');
  }
  if (key === null || !verifyText(text, proof.signature, key)) throw new TowlineError('proof_invalid');
}
