import type { ErrorCode } from '@towline/contract';
import { errors, jwtVerify } from 'jose';
import { z } from 'zod';
import { MAX_TOKEN, type OwnToken, TOKEN_TYPE } from './own-token.ts';
import type { SigningKey } from './signing-key.ts';
import { payloadSchema, type TokenPayload } from './token-payload.ts';

/** How far ahead the time of issue may be, seconds: the clock of the relay was set back a little. */
const FUTURE_LEEWAY = 60;

/** What tokens are verified with. */
export interface VerifySettings {
  readonly keys: readonly SigningKey[];
  readonly issuer: string;
  /** Unix time, milliseconds. */
  readonly now: number;
}

/** The payload of a token that is good, or what is wrong with it. */
export type TokenVerdict = { readonly payload: TokenPayload } | { readonly code: ErrorCode; readonly message?: string };

/** Nothing else is read, so nothing else may be there: no key, no address of a key, no extension. */
const headerSchema = z.strictObject({ alg: z.literal('HS256'), typ: z.literal(TOKEN_TYPE), kid: z.string() });

/** Verifies signature, algorithm, issuer, audience, times and form of a token. */
export async function verifyToken({ token, header }: OwnToken, { keys, issuer, now }: VerifySettings): Promise<TokenVerdict> {
  if (token.length > MAX_TOKEN) return invalid('The token is too long to be one of this relay.');
  const { data } = headerSchema.safeParse(header);
  if (data === undefined) return invalid('The token is signed in a way that this relay does not use.');
  const signing = keys.find(({ id }) => id === data.kid);
  if (signing === undefined) return invalid('The token is signed with a secret that this relay does not have, or not any more.');
  try {
    const { payload } = await jwtVerify(token, signing.key, {
      algorithms: ['HS256'],
      typ: TOKEN_TYPE,
      issuer,
      audience: issuer,
      requiredClaims: ['sub', 'iat', 'exp', 'jti'],
      currentDate: new Date(now),
    });
    return judgePayload(payload, now);
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { code: 'token_expired' };
    if (error instanceof errors.JOSEError) return invalid();
    throw error;
  }
}

function judgePayload(payload: unknown, now: number): TokenVerdict {
  const { data } = payloadSchema.safeParse(payload);
  if (data === undefined) return invalid();
  if (data.iat > now / 1_000 + FUTURE_LEEWAY) return invalid('The token is from the future: a clock is wrong, or was.');
  return { payload: data };
}

function invalid(message?: string): TokenVerdict {
  return { code: 'token_invalid', ...(message === undefined ? {} : { message }) };
}
