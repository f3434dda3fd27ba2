import type { Clock, Log } from '@towline/contract';
import { isTowlineError, printable } from '@towline/protocol';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { readEndpoint } from './endpoint-url.ts';
import type { ProviderClient } from './provider-client.ts';
import { providerFault } from './provider-fault.ts';
import { createRefreshed, type Refreshed } from './refreshed.ts';

/** Largest discovery document or key set, bytes. */
const MAX_DOCUMENT_BYTES = 1_024 * 1_024;
/** Keys of one set; a provider has two or three. */
const MAX_KEYS = 100;
/** The endpoints of a provider hardly ever move. */
const METADATA_TIMES = Object.freeze({ maxAgeMs: 3_600_000, retryMs: 5_000, renewMs: 30_000 });
/** A key that is withdrawn is believed no longer than this. */
const KEYS_TIMES = Object.freeze({ maxAgeMs: 600_000, retryMs: 5_000, renewMs: 30_000 });
const KEY_TYPES = ['RSA', 'EC', 'OKP'];

/** What the discovery document of the provider says. */
export interface ProviderMetadata {
  readonly jwksUri: URL;
  readonly userinfo: URL | null;
  readonly introspection: URL | null;
  /** The introspection endpoint takes the secret in the form, not in the header. */
  readonly postsSecret: boolean;
}

/** The provider as far as it has to be asked. Both parts are fetched when first needed and kept. */
export interface Issuer {
  readonly metadata: Refreshed<ProviderMetadata>;
  readonly keys: Refreshed<JWTVerifyGetKey>;
}

/** What {@link createIssuer} works with. */
export interface IssuerParts {
  readonly issuer: string;
  readonly client: ProviderClient;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when the plugin ends: requests are shared, so they belong to no caller. */
  readonly closing: AbortSignal;
}

/** Makes the provider of an issuer. Fetches nothing yet. */
export function createIssuer(parts: IssuerParts): Issuer {
  const warn = (message: string) => (error: unknown) => {
    if (!parts.closing.aborted) parts.log.warn(message, { issuer: parts.issuer, reason: reasonOf(error) });
  };
  const fetchDocument = async (url: URL) => {
    const { status, json } = await parts.client.ask({ url, maxBytes: MAX_DOCUMENT_BYTES, signal: parts.closing });
    if (status !== 200) throw providerFault(parts.issuer, `answers with status ${status} (${url.origin}${url.pathname})`);
    return json;
  };
  const metadata = createRefreshed(
    async () => readMetadata(await fetchDocument(discoveryUrl(parts.issuer)), parts.issuer),
    parts.clock,
    METADATA_TIMES,
    warn('The discovery document of the identity provider cannot be used; tokens are refused until it can, or judged by what is known.'),
  );
  const keys = createRefreshed(
    async () => readKeys(await fetchDocument((await metadata.get()).jwksUri), parts.issuer),
    parts.clock,
    KEYS_TIMES,
    warn('The signing keys of the identity provider cannot be fetched; those that are known stay in use.'),
  );
  return { metadata, keys };
}

/** What went wrong, for the log. */
export function reasonOf(error: unknown): string {
  if (isTowlineError(error)) return error.detail ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

/** OpenID Connect Discovery 1.0, section 4.1: the slash at the end of an issuer is not doubled. */
function discoveryUrl(issuer: string): URL {
  return new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
}

function readMetadata(json: unknown, issuer: string): ProviderMetadata {
  const document = asObject(json);
  if (document === null) throw providerFault(issuer, 'has a discovery document that is no JSON object');
  if (document.issuer !== issuer)
    throw providerFault(
      issuer,
      `calls itself ${shown(document.issuer)} in its discovery document; issuer in the config must be the same text`,
    );
  const endpoint = (name: string) => {
    if (document[name] === undefined) return null;
    const url = readEndpoint(document[name], new URL(issuer));
    if (url === null) throw providerFault(issuer, `names ${shown(document[name])} as ${name}, where an https:// URL is expected`);
    return url;
  };
  const jwksUri = endpoint('jwks_uri');
  if (jwksUri === null) throw providerFault(issuer, 'names no jwks_uri in its discovery document');
  const methods = document.introspection_endpoint_auth_methods_supported;
  const postsSecret = Array.isArray(methods) && !methods.includes('client_secret_basic') && methods.includes('client_secret_post');
  return { jwksUri, userinfo: endpoint('userinfo_endpoint'), introspection: endpoint('introspection_endpoint'), postsSecret };
}

/** Only public keys of kinds that can be allowed; anything else in the set is nothing that a token could be verified by. */
function readKeys(json: unknown, issuer: string): JWTVerifyGetKey {
  const keys = asObject(json)?.keys;
  if (!Array.isArray(keys) || keys.length > MAX_KEYS)
    throw providerFault(issuer, `has a key set that is no list of at most ${MAX_KEYS} keys`);
  const usable = keys.filter((key) => KEY_TYPES.includes(String(asObject(key)?.kty)) && asObject(key)?.d === undefined);
  if (usable.length === 0) throw providerFault(issuer, 'has a key set without any public key');
  return createLocalJWKSet({ keys: usable } as JSONWebKeySet);
}

/** The value as an object with members, or null. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}

function shown(value: unknown): string {
  return typeof value === 'string' ? printable(value).slice(0, 200) : 'nothing that is a text';
}
