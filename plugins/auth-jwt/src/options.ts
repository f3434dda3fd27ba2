import { z } from 'zod';
import { createSigningKey, MIN_SECRET_LENGTH, secretWeakness } from './signing-key.ts';

const SECRET = `a random secret of at least ${MIN_SECRET_LENGTH} characters, such as \`openssl rand -base64 32\` prints`;
/** The newest signs; so many older ones may still verify while a secret is rotated. */
const MAX_SECRETS = 16;
const UNITS_MS: Readonly<Record<string, number>> = Object.freeze({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 });
/** Shortest life, milliseconds: a token must outlast the request that it was made for. */
const MIN_EXPIRATION_MS = 60_000;
/** Longest life, milliseconds: a token cannot be revoked by itself. */
const MAX_EXPIRATION_MS = 30 * 86_400_000;
const EXPIRATION = 'expected a duration such as 30m, 24h or 7d, from 1m to 30d';

// A message never shows what was found: it may be a secret.
const secret = z.string({ error: `expected ${SECRET}` }).superRefine((value, context) => {
  const weakness = secretWeakness(value);
  if (weakness !== null) context.addIssue({ code: 'custom', message: `expected ${SECRET}, found ${weakness}` });
});

/**
 * Options: `secret`, or `secrets` with the newest first; `expiration` as text, milliseconds in the output; `issuer`, which
 * is also the audience.
 */
export const optionsSchema = z
  .strictObject({
    secret: secret.optional().describe('Signs and verifies tokens'),
    secrets: z
      .array(secret, { error: 'expected a list of secrets, the newest first' })
      .min(1, 'expected at least one secret')
      .max(MAX_SECRETS, `expected at most ${MAX_SECRETS} secrets`)
      .optional()
      .describe('In place of secret: the newest first. It signs, all of them verify'),
    expiration: z
      .string({ error: EXPIRATION })
      .refine((text) => expirationMs(text) !== null, EXPIRATION)
      .default('24h')
      .describe('Life of a token, at most as long as that of the credential it was made from'),
    issuer: z
      .string({ error: 'expected the name of the relay in its tokens' })
      .regex(/^[\x21-\x7e]{1,200}$/, 'expected 1 to 200 printable characters of ASCII without space')
      .default('towline')
      .describe('Issuer and audience of the tokens; two relays with one secret need two names'),
  })
  .superRefine((options, context) => {
    const { secret: one, secrets } = options;
    if ((one === undefined) === (secrets === undefined))
      context.addIssue({ code: 'custom', message: `expected either secret or secrets, found ${one === undefined ? 'neither' : 'both'}` });
    if (secrets !== undefined && new Set(secrets).size < secrets.length)
      context.addIssue({ code: 'custom', path: ['secrets'], message: 'expected each secret once' });
  })
  .transform(({ secret: one, secrets, expiration, issuer }) => ({
    keys: (secrets ?? [one!]).map(createSigningKey),
    // The check above has seen that it is one.
    expiration: expirationMs(expiration)!,
    issuer,
  }));

function expirationMs(text: string): number | null {
  const [, count, unit] = /^([1-9][0-9]{0,8})([smhd])$/.exec(text) ?? [];
  if (count === undefined || unit === undefined) return null;
  const ms = Number(count) * UNITS_MS[unit]!;
  return ms >= MIN_EXPIRATION_MS && ms <= MAX_EXPIRATION_MS ? ms : null;
}
