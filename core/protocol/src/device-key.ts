import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import type { DeviceId, RegistrationId } from './ids.ts';

/** DER head of a raw Ed25519 public key (RFC 8410, section 4). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex');
/** DER head of a raw Ed25519 private key (RFC 8410, section 7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
const RAW_KEY = 32;
const SIGNATURE = 64;

/** A device's key pair in the form in which it is kept: raw, base64url. */
export interface DeviceKeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** A new Ed25519 key pair. */
export function createDeviceKeyPair(): DeviceKeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return {
    publicKey: rawPublicKey(publicKey),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-RAW_KEY).toString('base64url'),
  };
}

/** The raw form of an Ed25519 public key, base64url. */
export function rawPublicKey(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).subarray(-RAW_KEY).toString('base64url');
}

/** Key object of a raw Ed25519 public key; null when the text is not one. */
export function parsePublicKey(publicKey: string): KeyObject | null {
  const raw = decodeBase64url(publicKey, RAW_KEY);
  return raw === null ? null : createPublicKey({ key: Buffer.concat([SPKI_HEAD, raw]), format: 'der', type: 'spki' });
}

/** Key object of a raw Ed25519 private key (a seed); null when the text is not one. */
export function parsePrivateKey(privateKey: string): KeyObject | null {
  const raw = decodeBase64url(privateKey, RAW_KEY);
  return raw === null ? null : createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, raw]), format: 'der', type: 'pkcs8' });
}

/** `sha256:<64 hex digits>` of a raw public key: what device and approver compare by eye. */
export function fingerprintOf(publicKey: string): string {
  return `sha256:${createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex')}`;
}

/** What a device signs to ask for enrolment: it holds the key and asks for this owner. */
export function registrationText(request: {
  readonly deviceId: DeviceId;
  readonly publicKey: string;
  readonly owner: string;
  readonly name: string;
}): string {
  return signedText('towline-registration/1', [request.deviceId, request.publicKey, request.owner, request.name]);
}

/** What a device signs to fetch the credential of an approved request. */
export function claimText(claim: { readonly relay: string; readonly registration: RegistrationId; readonly deviceId: DeviceId }): string {
  return signedText('towline-claim/1', [claim.relay, claim.registration, claim.deviceId]);
}

/** What a device signs at each link: its own relay, itself, and the nonce of this link. */
export function proofText(proof: {
  readonly relay: string;
  readonly deviceId: DeviceId;
  readonly nonce: string;
  readonly instance: string;
}): string {
  return signedText('towline-device-proof/1', [proof.relay, proof.deviceId, proof.nonce, proof.instance]);
}

/** Signs a text; the signature as base64url. */
export function signText(text: string, privateKey: KeyObject): string {
  return sign(null, Buffer.from(text, 'utf8'), privateKey).toString('base64url');
}

/** Whether the signature over the text is by the key. False for anything malformed. */
export function verifyText(text: string, signature: string, publicKey: KeyObject): boolean {
  const bytes = decodeBase64url(signature, SIGNATURE);
  return bytes !== null && verify(null, Buffer.from(text, 'utf8'), publicKey, bytes);
}

/** One line a part; JSON, so that no part can pose as two. */
function signedText(purpose: string, parts: readonly string[]): string {
  return [purpose, ...parts.map((part) => JSON.stringify(part))].join('\n');
}

function decodeBase64url(text: string, length: number): Buffer | null {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === length && bytes.toString('base64url') === text ? bytes : null;
}
