import { createHash, createPublicKey, hkdfSync, type KeyObject } from 'node:crypto';
import type { GrantKeyRecord } from '../control.ts';
import { parsePrivateKey, parsePublicKey, rawPublicKey, signText, verifyText } from '../device-key.ts';

/** A key that signs grants. */
export interface GrantKey {
  /** First 16 hex digits of the SHA-256 of the raw public key. */
  readonly id: string;
  readonly privateKey: KeyObject;
  /** Raw public key, base64url. */
  readonly publicKey: string;
}

/** Derives the Ed25519 key of a secret: HKDF-SHA-256 (RFC 5869) with a fixed label, 32 bytes of seed. */
export function deriveGrantKey(secret: string): GrantKey {
  const seed = Buffer.from(hkdfSync('sha256', secret, '', 'towline-grant-key/1', 32));
  const privateKey = parsePrivateKey(seed.toString('base64url'))!;
  const publicKey = rawPublicKey(createPublicKey(privateKey));
  return { id: grantKeyId(publicKey), privateKey, publicKey };
}

/** Id of a grant key. */
export function grantKeyId(publicKey: string): string {
  return createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('hex').slice(0, 16);
}

/**
 * The public records of a ring, oldest first, each vouched for by the one before it.
 * `ring` is newest first, as `forward_secrets` is written.
 */
export function publishGrantKeys(ring: readonly GrantKey[]): GrantKeyRecord[] {
  return ring
    .map((key, index): GrantKeyRecord => {
      const older = ring[index + 1];
      if (older === undefined) return { id: key.id, key: key.publicKey };
      return { id: key.id, key: key.publicKey, signed_by: older.id, signature: signText(endorsement(key.publicKey), older.privateKey) };
    })
    .reverse();
}

/**
 * The keys a device goes on with when the relay shows it `offered`: those it holds that are still offered,
 * and those that one of them has signed, in turn. Null when none of its own is among them: the ring was lost.
 */
export function acceptGrantKeys(held: readonly GrantKeyRecord[], offered: readonly GrantKeyRecord[]): GrantKeyRecord[] | null {
  const trusted = new Map(held.map((record) => [record.id, record]));
  for (const record of offered) if (!trusted.has(record.id) && isEndorsed(record, trusted)) trusted.set(record.id, record);
  const accepted = offered.filter((record) => trusted.get(record.id)?.key === record.key);
  return accepted.length === 0 ? null : accepted;
}

function isEndorsed(record: GrantKeyRecord, trusted: ReadonlyMap<string, GrantKeyRecord>): boolean {
  const signer = record.signed_by === undefined ? undefined : trusted.get(record.signed_by);
  const signerKey = signer === undefined ? null : parsePublicKey(signer.key);
  if (signerKey === null || record.signature === undefined || record.id !== grantKeyId(record.key)) return false;
  return verifyText(endorsement(record.key), record.signature, signerKey);
}

function endorsement(publicKey: string): string {
  return `towline-grant-key/1\n${publicKey}`;
}
