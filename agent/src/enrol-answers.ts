import { type DeviceId, describeIssues, grantKeySchema, idSchema, parseApiKey, TowlineError, textSchema } from '@towline/protocol';
import { z } from 'zod';
import type { Identity } from './identity.ts';

/** Waits between two claims that a relay may ask for, milliseconds: not a flood, and not for ever. */
const MIN_POLL_MS = 200;
const MAX_POLL_MS = 60_000;

const registrationSchema = z.object({
  id: idSchema,
  device_id: idSchema,
  owner: textSchema(320),
  fingerprint: textSchema(128),
  state: z.enum(['pending', 'approved', 'rejected']),
  expires_at: textSchema(64),
  relay: idSchema,
});
/** The part of a request to enrol that the device goes by. */
export type Registration = z.infer<typeof registrationSchema>;

const claimSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('pending'), poll_ms: z.number() }),
  z.object({
    state: z.literal('approved'),
    api_key: z.string().refine((text) => parseApiKey(text)?.kind === 'device', 'expected the API key of a device'),
    device: z.object({ id: idSchema, name: textSchema(255) }),
    relay: idSchema,
    grant_keys: z.array(grantKeySchema).min(1).max(16),
  }),
]);
type Claim = z.infer<typeof claimSchema>;
/** The credential of an approved device. */
export type Approval = Extract<Claim, { state: 'approved' }>;

/** Reads the answer to a request to enrol. @throws TowlineError `protocol_error`, also when it is about another key. */
export function readRegistration(answer: unknown, identity: Identity): Registration {
  const registration = check(registrationSchema, answer);
  if (registration.device_id !== identity.deviceId || registration.fingerprint !== identity.fingerprint) {
    throw new TowlineError('protocol_error', 'The relay answered with the request of another device.');
  }
  return registration;
}

/** Reads the answer to a claim; the wait it asks for is brought into bounds. @throws TowlineError `protocol_error`. */
export function readClaim(answer: unknown, expected: { readonly deviceId: DeviceId; readonly relay: string }): Claim {
  const claim = check(claimSchema, answer);
  if (claim.state === 'pending') return { ...claim, poll_ms: Math.min(Math.max(claim.poll_ms, MIN_POLL_MS), MAX_POLL_MS) };
  if (claim.device.id !== expected.deviceId || claim.relay !== expected.relay) {
    throw new TowlineError('protocol_error', 'The relay answered with the credential of another device or relay.');
  }
  return claim;
}

function check<T>(schema: z.ZodType<T>, answer: unknown): T {
  const checked = schema.safeParse(answer);
  if (checked.success) return checked.data;
  throw new TowlineError('protocol_error', `The relay sent an answer that is not valid: ${describeIssues(checked.error.issues)}.`);
}
