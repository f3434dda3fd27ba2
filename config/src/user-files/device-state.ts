import { createPublicKey } from 'node:crypto';
import { createDeviceKeyPair, createId, type DeviceId, type GrantKeyRecord, isId, parsePrivateKey, rawPublicKey } from '@towline/protocol';
import { isObject, type JsonFile, type JsonRecord, readJsonFile, updateJsonFile } from './json-file.ts';

/** The relay that the device is enrolled at. */
export interface DeviceRelay {
  /** Origin, `https://HOST[:PORT]`. */
  readonly url: string;
  /** Id of the relay. */
  readonly id: string;
  /** Name of the device at this relay. */
  readonly name: string;
  /** Keys whose grants the device accepts. */
  readonly grant_keys: readonly GrantKeyRecord[];
}

/** Content of device.json. Members that this version does not know are kept. */
export interface DeviceState extends JsonRecord {
  /** 128 random bits as 32 hex digits. */
  readonly device_id: DeviceId;
  /** Raw Ed25519 private key, base64url. */
  readonly private_key: string;
  /** Raw Ed25519 public key, base64url. */
  readonly public_key: string;
  /** Absent until the device is enrolled. */
  readonly relay?: DeviceRelay;
}

const DEVICE_STATE_FILE: JsonFile<DeviceState> = Object.freeze({ name: 'device.json', check: checkDeviceState });

/** A new identity: a random id and an Ed25519 key pair. Depends on nothing of the machine. */
export function createDeviceIdentity(): DeviceState {
  const { publicKey, privateKey } = createDeviceKeyPair();
  return { device_id: createId<DeviceId>(), private_key: privateKey, public_key: publicKey };
}

/** Reads device.json; null when there is none. @throws TowlineError `credentials_unsafe`, `file_damaged`. */
export async function readDeviceState(dir: string): Promise<DeviceState | null> {
  return readJsonFile(dir, DEVICE_STATE_FILE);
}

/** Reads device.json, or makes it with a new identity. Of two processes that start at once both get the same one. */
export async function ensureDeviceState(dir: string): Promise<DeviceState> {
  const present = await readDeviceState(dir);
  return present ?? updateDeviceState(dir, (state) => state);
}

/** Changes device.json under a lock that other processes honour; a missing one begins with a new identity. */
export async function updateDeviceState(dir: string, change: (present: DeviceState) => DeviceState): Promise<DeviceState> {
  let next = createDeviceIdentity();
  await updateJsonFile(dir, DEVICE_STATE_FILE, (present) => (next = change(present ?? next)));
  return next;
}

function checkDeviceState({ device_id: id, private_key: privateKey, public_key: publicKey, relay }: JsonRecord): string | null {
  if (!isId(id)) return 'has no "device_id" of 32 hex digits';
  const key = typeof privateKey === 'string' ? parsePrivateKey(privateKey) : null;
  if (key === null) return 'has no "private_key" of 32 bytes in base64url';
  if (rawPublicKey(createPublicKey(key)) !== publicKey) return 'has no "public_key" that belongs to its private key';
  return relay === undefined || isDeviceRelay(relay) ? null : 'has a "relay" without url, id, name or grant_keys';
}

function isDeviceRelay(relay: unknown): boolean {
  return isObject(relay) && ['url', 'id', 'name'].every((key) => typeof relay[key] === 'string') && isGrantKeys(relay.grant_keys);
}

function isGrantKeys(keys: unknown): boolean {
  return Array.isArray(keys) && keys.every((key) => isObject(key) && typeof key.id === 'string' && typeof key.key === 'string');
}
