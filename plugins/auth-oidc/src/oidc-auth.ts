import { setMaxListeners } from 'node:events';
import type { AuthOutcome, AuthProvider, Credential, LoginMethod, PluginLife } from '@towline/contract';
import { API_KEY_PREFIX, isTowlineError } from '@towline/protocol';
import { type Asking, type OidcAuthParts, openAsking } from './asking.ts';
import { isRefused } from './claims.ts';
import { createIgnoredValues } from './ignored-values.ts';
import { audiencesOf, type OidcOptions } from './options.ts';
import { principalOf } from './principal.ts';
import { completeClaims, readClaims } from './read-claims.ts';

const SKIPPED: AuthOutcome = Object.freeze({ outcome: 'skipped' });

/** Makes the provider. Tokens of other issuers are skipped, so that several of them work side by side. */
export function createOidcAuth(parts: OidcAuthParts): AuthProvider & PluginLife {
  const { options, log, clock } = parts;
  const closing = new AbortController();
  // One for each request under way, of which there is a bounded number.
  setMaxListeners(0, closing.signal);
  const ignored = createIgnoredValues(log, clock, options.issuer);
  let asking: Promise<Asking> | undefined;
  const open = () => (asking ??= openAsking(parts, closing.signal));

  async function judge(token: string): Promise<AuthOutcome> {
    const request = { options, clock, asking: await open() };
    const verdict = await readClaims(token, request);
    if (verdict === null) return SKIPPED;
    if (isRefused(verdict)) return verdict;
    const complete = await completeClaims(token, verdict.claims, request);
    return isRefused(complete) ? complete : { outcome: 'accepted', principal: principalOf(complete.claims, options, ignored) };
  }

  return {
    loginMethod: loginMethodOf(options),
    emailDomains: options.email_domains ?? 'any',
    /** A provider that is down does not stop the relay; a file that cannot be read does. */
    async start(signal) {
      const { issuer } = await open();
      await whileWaiting(() => issuer.keys.get().catch(() => null), signal);
    },
    async authenticate(credential: Credential, signal: AbortSignal) {
      if (credential.scheme !== 'bearer' || credential.token.startsWith(API_KEY_PREFIX)) return SKIPPED;
      try {
        return await whileWaiting(() => judge(credential.token), signal);
      } catch (error) {
        if (signal.aborted || !isTowlineError(error) || error.code !== 'provider_unavailable') throw error;
        return { outcome: 'rejected', code: error.code, message: error.message };
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
    },
  };
}

/** Requests to the provider are shared, so a caller that leaves ends only its own waiting. */
async function whileWaiting<Value>(work: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function loginMethodOf(options: OidcOptions): LoginMethod {
  const { issuer, client_id, scopes } = options;
  const audiences = audiencesOf(options);
  const other = audiences.includes(client_id) ? {} : { audience: audiences[0]! };
  return Object.freeze({ method: 'device_flow', label: options.label ?? new URL(issuer).host, issuer, client_id, scopes, ...other });
}
