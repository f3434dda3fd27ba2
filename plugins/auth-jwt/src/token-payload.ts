import type { Principal, Role, ScopeRole } from '@towline/contract';
import { type DeviceId, defined, idSchema, type KeyId, normaliseEmail, parseScope, type Scope } from '@towline/protocol';
import { z } from 'zod';

const seconds = z.int().positive();
const scopeRole = z.strictObject({
  scope: z.string().refine((text) => parseScope(text) === text),
  role: z.enum(['viewer', 'operator', 'admin']),
});

/**
 * What a token carries; times in seconds. A member that is not known here is refused: it may be a limit that a later
 * version has set, and to overlook it would widen what the token allows.
 */
export const payloadSchema = z.strictObject({
  iss: z.string(),
  aud: z.string(),
  sub: z.string().min(1),
  iat: seconds,
  exp: seconds,
  jti: z.string().min(1),
  label: z.string(),
  email: z
    .string()
    .refine((text) => normaliseEmail(text) === text)
    .optional(),
  scopes: z.array(scopeRole),
  streams: z.array(z.string().min(1)).optional(),
  devices: z.array(idSchema).optional(),
  bounded: z.literal(true).optional(),
  admin: z.literal(true).optional(),
  key_id: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  /** Name of the auth plugin that accepted the credential the token was made from. */
  provider: z.string().min(1),
});

/** A checked payload. */
export type TokenPayload = z.output<typeof payloadSchema>;

/** The members of a payload that say who it is. */
export function claimsOf(principal: Principal): Pick<TokenPayload, 'label' | 'scopes' | 'provider'> & Partial<TokenPayload> {
  const { label, email, scopes, streams, devices, bounded, admin, keyId, provider } = principal;
  return {
    label,
    scopes: scopes.map(({ scope, role }) => ({ scope, role })),
    provider,
    ...defined({ email, streams: streams && [...streams], devices: devices && [...devices], key_id: keyId }),
    ...(bounded ? { bounded } : {}),
    ...(admin ? { admin } : {}),
  };
}

/** Who a token stands for. */
export function principalOf(payload: TokenPayload): Principal {
  const { sub, exp, label, email, scopes, streams, devices, bounded, admin, key_id: keyId, provider } = payload;
  return {
    kind: 'user',
    id: sub,
    label,
    scopes: scopes.map(({ scope, role }): ScopeRole => ({ scope: scope as Scope, role: role satisfies Role })),
    admin: admin ?? false,
    provider,
    derived: true,
    expiresAt: exp * 1_000,
    ...defined({ email, streams, devices: devices as DeviceId[] | undefined, bounded, keyId: keyId as KeyId | undefined }),
  };
}
