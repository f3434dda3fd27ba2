import type { IncomingHttpHeaders } from 'node:http';
import { type AuthProvider, type Credential, type Principal, TowlineError } from '@towline/contract';
import { normaliseEmail, userScope } from '@towline/protocol';

/** Longest credential that is looked at, characters. Tokens with many groups reach 8 KiB. */
const MAX_CREDENTIAL = 16_384;

/** A started auth plugin. */
export interface NamedProvider {
  readonly name: string;
  readonly provider: AuthProvider;
}

/** Judges credentials by the providers of the config, in its order. */
export interface Authenticator {
  /** The principal of a request. @throws TowlineError `unauthenticated`, or what the provider that knew it says. */
  authenticate(headers: IncomingHttpHeaders, signal: AbortSignal): Promise<Principal>;
}

/** Makes the chain. A provider that answers `rejected` ends it: nobody is asked after one who knew the credential. */
export function createAuthenticator(providers: readonly NamedProvider[], adminEmails: readonly string[]): Authenticator {
  const admins = new Set(adminEmails.map((email) => normaliseEmail(email) ?? email));
  return {
    async authenticate(headers, signal) {
      const credential = readCredential(headers);
      if (credential === null) throw new TowlineError('unauthenticated', 'The request carries no credential.');
      for (const { provider } of providers) {
        const answer = await provider.authenticate(credential, signal);
        if (answer.outcome === 'accepted') return withAdmin(answer.principal, admins);
        if (answer.outcome === 'rejected') throw new TowlineError(answer.code, answer.message);
      }
      throw new TowlineError('unauthenticated');
    },
  };
}

/**
 * The credential of a request. More than one is refused: which of them counts must not depend on an order.
 * @throws TowlineError `invalid_request`.
 */
export function readCredential(headers: IncomingHttpHeaders): Credential | null {
  const { authorization } = headers;
  const key = headers['x-api-key'];
  if (authorization !== undefined && key !== undefined) {
    throw new TowlineError('invalid_request', 'The request carries both Authorization and X-API-Key; send one of them.');
  }
  if (typeof key === 'string') return { scheme: 'api_key', key: checkLength(key) };
  return authorization === undefined ? null : readAuthorization(checkLength(authorization));
}

function readAuthorization(header: string): Credential {
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +([^ ]+)$/.exec(header) ?? [];
  if (scheme.toLowerCase() === 'bearer') return { scheme: 'bearer', token: value };
  if (scheme.toLowerCase() === 'basic') return readBasic(value);
  throw new TowlineError('invalid_request', 'The Authorization header is neither Bearer nor Basic.');
}

/** RFC 7617: base64 of `user:password`, the first colon divides. */
function readBasic(value: string): Credential {
  const text = Buffer.from(value, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) throw new TowlineError('invalid_request', 'The Basic credential has no colon.');
  return { scheme: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) };
}

function checkLength(value: string): string {
  if (value.length > MAX_CREDENTIAL) throw new TowlineError('too_large', 'The credential is too long.');
  return value;
}

/** Whoever holds an address of `admin_emails`, vouched for by a provider, is a platform admin, unless the key is a limited one. */
function withAdmin(principal: Principal, admins: ReadonlySet<string>): Principal {
  if (principal.kind !== 'user' || principal.admin || principal.email === undefined || principal.streams !== undefined) return principal;
  const wholeUser = principal.scopes.some(({ scope, role }) => scope === userScope(principal.email!) && role === 'admin');
  return admins.has(principal.email) && wholeUser ? { ...principal, admin: true } : principal;
}
