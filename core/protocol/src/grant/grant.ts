import { createHash, type KeyObject, sign, timingSafeEqual, verify } from 'node:crypto';
import { z } from 'zod';
import { TowlineError } from '../errors/towline-error.ts';
import type { DeviceId } from '../ids.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { GRANT_VALIDITY_MS } from '../limits.ts';
import { idSchema, protocolNameSchema, textSchema } from '../schema.ts';

/**
 * A grant: the relay's word that one stream may be opened on one device, once, now. Text of two parts,
 * `BASE64URL(JSON) . BASE64URL(Ed25519 signature)`. There is one algorithm and no header that could choose another.
 */
const grantSchema = z.object({
  /** Id of the key that signed it. */
  key: z.string().regex(/^[0-9a-f]{16}$/),
  device: idSchema,
  protocol: protocolNameSchema,
  /** Nonce of the link it was made for: it is worth nothing on another. */
  nonce: z.string().min(16).max(64),
  /** Random per opening; a device takes each once. */
  opening: idSchema,
  /** Label of whoever is let in, for the device's log. */
  principal: textSchema(320),
  /** Stands for whoever is let in, by {@link accountOf}: labels may be alike. Absent from relays that know nothing of it. */
  account: z
    .string()
    .regex(/^[A-Za-z0-9_-]{22}$/)
    .optional(),
  /** Unix time of the relay's clock, milliseconds. */
  expires_ms: z.number(),
  /** SHA-256 of the open message, base64url. */
  open_sha256: z.string().length(43),
});
/** See {@link grantSchema}. */
export type Grant = z.infer<typeof grantSchema>;

const PURPOSE = Buffer.from('towline-grant/1\n');
const MAX_GRANT = 4_096;
/** Bytes of an account: nobody finds two principals that share one. */
const ACCOUNT_BYTES = 16;

/** What stands for a principal in grants: the same for one id always, another for every other, and not to be read back. */
export function accountOf(principalId: string): string {
  return createHash('sha256').update(`towline-account/1\n${principalId}`, 'utf8').digest().subarray(0, ACCOUNT_BYTES).toString('base64url');
}

/** SHA-256 of an open message's text, as a grant carries it. */
export function openDigest(open: string): string {
  return createHash('sha256').update(open, 'utf8').digest('base64url');
}

/** Signs a grant. */
export function signGrant(grant: Grant, privateKey: KeyObject): string {
  const payload = encodeJson(grant);
  return `${payload.toString('base64url')}.${sign(null, Buffer.concat([PURPOSE, payload]), privateKey).toString('base64url')}`;
}

/** What a device knows when it judges a grant. */
export interface GrantExpectation {
  readonly device: DeviceId;
  readonly nonce: string;
  /** The open message as it came, before it was decoded. */
  readonly open: string;
  /** The relay's time now, by the device's monotonic clock since the welcome. Unix milliseconds. */
  readonly nowMs: number;
  /** Public key of an id, among those the device accepts. */
  readonly keyOf: (id: string) => KeyObject | null;
}

/**
 * Reads and checks a grant. That each is used once is the caller's to see (`opening`, within {@link GRANT_VALIDITY_MS}).
 * @throws TowlineError `grant_invalid`, `grant_expired`.
 */
export function verifyGrant(text: string, expected: GrantExpectation): Grant {
  const { payload, signature } = splitGrant(text);
  const grant = decodeGrant(payload);
  const key = expected.keyOf(grant.key);
  if (key === null) throw new TowlineError('grant_invalid', 'The device does not know the key that signed the grant.');
  if (!verify(null, Buffer.concat([PURPOSE, payload]), key, signature))
    throw new TowlineError('grant_invalid', 'The signature of the grant is wrong.');
  if (grant.device !== expected.device) throw new TowlineError('grant_invalid', 'The grant is for another device.');
  if (!sameText(grant.nonce, expected.nonce)) throw new TowlineError('grant_invalid', 'The grant is for another link.');
  if (!sameText(grant.open_sha256, openDigest(expected.open)))
    throw new TowlineError('grant_invalid', 'The grant is for another open message.');
  if (grant.expires_ms <= expected.nowMs) throw new TowlineError('grant_expired');
  // A grant must not outlive the time for which the device remembers that it was used.
  if (grant.expires_ms > expected.nowMs + 2 * GRANT_VALIDITY_MS)
    throw new TowlineError('grant_invalid', 'The grant is valid for too long.');
  return grant;
}

function splitGrant(text: string): { payload: Buffer; signature: Buffer } {
  const parts = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/.exec(text);
  if (parts === null || text.length > MAX_GRANT) throw new TowlineError('grant_invalid', 'The grant is malformed.');
  return { payload: Buffer.from(parts[1]!, 'base64url'), signature: Buffer.from(parts[2]!, 'base64url') };
}

function decodeGrant(payload: Buffer): Grant {
  const checked = grantSchema.safeParse(decodeJsonOrNull(payload));
  if (checked.success) return checked.data;
  throw new TowlineError('grant_invalid', 'The grant is malformed.');
}

function decodeJsonOrNull(payload: Buffer): unknown {
  try {
    return decodeJson(payload, MAX_GRANT);
  } catch {
    return null;
  }
}

function sameText(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right));
}
