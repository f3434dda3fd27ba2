import type { IncomingHttpHeaders } from 'node:http';
import { type AuthProvider, type Credential, type Log, type Principal, TowlineError } from '@towline/contract';
import { withOwnAddress } from './email-domains.ts';
import { claimsOf, noteLogin, type SettleParts, settleUser } from './settle.ts';

/** Longest credential that is looked at, characters. Tokens with many groups reach 8 KiB. */
const MAX_CREDENTIAL = 16_384;

/** A started auth plugin. */
export interface NamedProvider {
  readonly name: string;
  readonly provider: AuthProvider;
}

/** Whom a credential proves. */
export interface Identity {
  /** As the provider says. */
  readonly claimed: Principal;
  /** What that counts for at this moment. */
  readonly principal: Principal;
}

/** Judges credentials by the providers of the config, in its order. */
export interface Authenticator {
  /** Who sent these headers. @throws TowlineError `unauthenticated`, `user_disabled`, or what the provider that knew the credential says. */
  authenticate(headers: IncomingHttpHeaders, signal: AbortSignal): Promise<Identity>;
}

/** What the chain works with. */
export interface AuthenticatorParts extends SettleParts {
  readonly log: Log;
  /** Has the live sessions of a user judged anew whose last login proves something else than the one before: keys go by it. */
  readonly changed?: (userId: string) => Promise<void>;
}

/** Makes the chain. A provider that answers `rejected` ends it: nobody is asked after one who knew the credential. */
export function createAuthenticator(providers: readonly NamedProvider[], parts: AuthenticatorParts): Authenticator {
  const note = createNotes(parts);
  return {
    async authenticate(headers, signal) {
      const credential = readCredential(headers);
      if (credential === null) throw new TowlineError('unauthenticated', 'The request carries no credential.');
      const claimed = await ask(providers, credential, signal);
      const { principal, user } = await settleUser(parts, claimed);
      await note(claimed, user);
      return { claimed, principal };
    },
  };
}

async function ask(providers: readonly NamedProvider[], credential: Credential, signal: AbortSignal): Promise<Principal> {
  for (const { provider } of providers) {
    const answer = await provider.authenticate(credential, signal);
    if (answer.outcome === 'accepted') return withOwnAddress(answer.principal, provider);
    if (answer.outcome === 'rejected') throw new TowlineError(answer.code, answer.message);
  }
  throw new TowlineError('unauthenticated');
}

/** Notes logins beside the requests that tell of them. Only that of a new user is waited for: what is done with it may need the record. */
function createNotes(parts: AuthenticatorParts): (claimed: Principal, user: Parameters<typeof noteLogin>[2]) => Promise<void> {
  const running = new Set<string>();
  return async (claimed, user) => {
    if (user !== null && running.has(claimed.id)) return;
    const noting = noteLogin(parts, claimed, user);
    if (noting === null) return;
    if (user === null) return void (await noting);
    running.add(claimed.id);
    const provesElse = user.email !== claimed.email || JSON.stringify(user.claims) !== JSON.stringify(claimsOf(claimed));
    noting
      .then(() => (provesElse ? parts.changed?.(claimed.id) : undefined))
      .catch((error: unknown) => parts.log.error('a login could not be noted', { user: claimed.id, error }))
      .finally(() => running.delete(claimed.id));
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
