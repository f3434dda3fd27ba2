import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose';
import { type Claims, findClaimFault, invalid, isRefused, type Refused, type Verdict } from './claims.ts';
import type { Issuer } from './issuer.ts';
import { audiencesOf, type OidcOptions } from './options.ts';

/**
 * Verifies signature and claims of a JWT whose form was looked at before. @throws TowlineError `provider_unavailable` when its
 * key is not known here and the provider cannot be asked for it.
 */
export async function verifyToken(token: string, { options, issuer, now, isAccessToken }: VerifyRequest): Promise<Verdict> {
  const verify = (keys: JWTVerifyGetKey) => verifySignature(token, keys, { options, now });
  let verdict = await verify(await issuer.keys.get());
  // The provider may have new keys. Asked at a bounded rate: anybody can make up key ids.
  if (verdict === 'unknown_key') verdict = await verify(await issuer.keys.renew());
  if (verdict === 'unknown_key') return invalid('is signed with a key that the provider does not publish');
  if (isRefused(verdict)) return verdict;
  return (isAccessToken ? undefined : findIdToken(verdict.claims)) ?? findClaimFault(verdict.claims, options, now) ?? verdict;
}

/** What {@link verifyToken} goes by. */
export interface VerifyRequest {
  readonly options: OidcOptions;
  readonly issuer: Issuer;
  /** Unix time, milliseconds. */
  readonly now: number;
  /** The header says that it is an access token (`at+jwt`, RFC 9068). */
  readonly isAccessToken: boolean;
}

async function verifySignature(
  token: string,
  keys: JWTVerifyGetKey,
  { options, now }: { readonly options: OidcOptions; readonly now: number },
): Promise<Verdict | 'unknown_key'> {
  const currentDate = new Date(now);
  try {
    const { payload } = await jwtVerify(token, keys, {
      algorithms: [...options.algorithms],
      issuer: options.issuer,
      audience: [...audiencesOf(options)],
      requiredClaims: ['exp', 'sub'],
      clockTolerance: options.clock_leeway / 1_000,
      currentDate,
    });
    return { claims: payload };
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) return 'unknown_key';
    return explain(error, options);
  }
}

/** Errors of the library carry the claims, so none of them goes further. */
function explain(error: unknown, options: OidcOptions): Refused {
  if (error instanceof errors.JWTExpired) return { outcome: 'rejected', code: 'token_expired' };
  if (error instanceof errors.JOSEAlgNotAllowed) return invalid(`is signed by another algorithm than ${options.algorithms.join(', ')}`);
  if (error instanceof errors.JWSSignatureVerificationFailed) return invalid('has a signature that is not by the provider');
  if (error instanceof errors.JWKSMultipleMatchingKeys) return invalid('does not say which key of the provider it is signed with');
  if (error instanceof errors.JWTClaimValidationFailed) return explainClaim(error, options);
  return invalid('is damaged');
}

function explainClaim({ claim, reason }: errors.JWTClaimValidationFailed, options: OidcOptions): Refused {
  if (reason === 'missing') return invalid(`says nothing in ${claim}`);
  if (reason === 'invalid') return invalid(`says something in ${claim} that is not a time`);
  if (claim === 'aud') return invalid(`is made for others: aud is none of ${audiencesOf(options).join(', ')}`);
  if (claim === 'nbf') return invalid('is not valid yet (nbf); compare the clocks of the relay and the provider');
  return invalid(`does not hold in ${claim}`);
}

/**
 * A token whose type (`at+jwt`) does not say that it is an access token must show it otherwise: what it may do or for which
 * client, which ID tokens do not say, or its kind in a claim. And it must not look like an ID token, which is for the eyes of
 * the client alone: those may carry a nonce or a hash of what came along (OpenID Connect Core, sections 2 and 3.3.2.11).
 */
function findIdToken(payload: Claims): Refused | undefined {
  const kind = payload.typ ?? payload.token_use;
  const named = typeof kind === 'string' ? /^(bearer|access|at\+jwt|jwt)$/i.test(kind) : undefined;
  const marked = ID_TOKEN_CLAIMS.some((claim) => payload[claim] !== undefined);
  const shown = named ?? ACCESS_TOKEN_CLAIMS.some((claim) => payload[claim] !== undefined);
  return marked || !shown ? invalid('is no access token but one of another kind, as an ID or refresh token') : undefined;
}

const ID_TOKEN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 's_hash'];
/** Scope and client, as RFC 9068 section 2.2 names them, and as some providers do. */
const ACCESS_TOKEN_CLAIMS = ['scope', 'scp', 'client_id', 'cid'];
