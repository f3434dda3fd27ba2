import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { isLoopbackHttp } from './endpoint-url.ts';

/** Algorithms that may be allowed: signatures by a key of which only the public half is here. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const;
/** Scopes that the command line asks for: who it is, a refresh token, the address and a name. */
const DEFAULT_SCOPES = ['openid', 'offline_access', 'email', 'profile'];
/** Leeway unless told, milliseconds. */
const DEFAULT_LEEWAY_MS = 30_000;
/** More leeway than this would hide a clock that is wrong, milliseconds. */
const MAX_LEEWAY_MS = 300_000;
const UNITS_MS: Readonly<Record<string, number>> = Object.freeze({ ms: 1, s: 1_000, m: 60_000 });

const text = (max: number) => z.string().min(1).max(max);
const plain = (max: number) => text(max).regex(/^[\x21-\x7e]+$/, 'expected visible ASCII characters without spaces');
const listOf = <Item extends z.ZodType>(item: Item) => z.union([item.transform((one) => [one]), z.array(item).min(1).max(50)]);

const issuer = plain(500).refine(isIssuer, {
  error:
    'expected the https:// URL of the provider as its tokens name it, without query, fragment, user name or |; http:// only for localhost',
});

const domain = text(253).transform((name, context) => {
  const ascii = domainToASCII(name.replace(/^@/, '')).toLowerCase();
  if (ascii !== '' && !ascii.includes('*')) return ascii;
  context.addIssue({ code: 'custom', message: 'expected a domain such as example.com' });
  return z.NEVER;
});

const leeway = z
  .union(
    [
      z
        .number()
        .min(0)
        .transform((seconds) => seconds * 1_000),
      z.string().transform(readDuration),
    ],
    {
      error: 'expected seconds as a number, or a duration such as 30s',
    },
  )
  .refine((ms) => ms <= MAX_LEEWAY_MS, { error: 'expected at most 5m; set the clocks instead' });

const introspection = z
  .strictObject({ client_id: text(500), client_secret: text(4_000).optional(), client_secret_file: text(4_000).optional() })
  .refine(({ client_secret, client_secret_file }) => (client_secret === undefined) !== (client_secret_file === undefined), {
    error: 'expected either client_secret or client_secret_file',
  });

/** Options of the plugin as they stand in the config. */
export const optionsSchema = z.strictObject({
  /** Exactly as the provider's discovery document and its tokens name it. */
  issuer,
  /** Id of the public client that people log in with by the device flow. */
  client_id: plain(500),
  /** Shown when there is a choice of logins; the host of the issuer by default. */
  label: text(100).optional(),
  /** What a token must be made for, one of several; `client_id` by default. */
  audience: listOf(plain(500)).optional(),
  scopes: z
    .array(plain(200))
    .min(1)
    .max(50)
    .refine((scopes) => scopes.includes('openid'), { error: 'expected openid among the scopes' })
    .default(DEFAULT_SCOPES),
  algorithms: z
    .array(z.enum(ALGORITHMS))
    .min(1)
    .default([...ALGORITHMS]),
  /** Domains whose addresses this provider may vouch for; all by default. */
  email_domains: z.array(domain).min(1).max(1_000).optional(),
  /** Claim that names organisations: `org:ID` or `org:ID:ROLE`, as a list or one text. */
  scopes_claim: text(200).optional(),
  /** Claim that names the role in those of them that say none. */
  roles_claim: text(200).optional(),
  /** A confidential client by which tokens that are no JWT are looked up (RFC 7662). */
  introspection: introspection.optional(),
  /** Certificates of further CAs that the provider is verified by, PEM. */
  ca_file: text(4_000).optional(),
  /** How far the clocks may be apart: seconds, or a duration such as 30s. */
  clock_leeway: leeway.default(DEFAULT_LEEWAY_MS),
});
/** See {@link optionsSchema}. */
export type OidcOptions = z.output<typeof optionsSchema>;

/** What tokens must be made for. */
export function audiencesOf({ audience, client_id }: OidcOptions): readonly string[] {
  return audience ?? [client_id];
}

/** The bar would let two pairs of issuer and subject make one user id. */
function isIssuer(given: string): boolean {
  if (!URL.canParse(given) || /[?#|\\]/.test(given)) return false;
  const url = new URL(given);
  return url.username === '' && url.password === '' && (url.protocol === 'https:' || isLoopbackHttp(url));
}

function readDuration(given: string, context: z.RefinementCtx): number {
  const [, count, unit] = /^(\d{1,9})(ms|s|m)$/.exec(given) ?? [];
  if (count !== undefined && unit !== undefined) return Number(count) * UNITS_MS[unit]!;
  context.addIssue({ code: 'custom', message: 'expected seconds as a number, or a duration such as 30s' });
  return z.NEVER;
}
