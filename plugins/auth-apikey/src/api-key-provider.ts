import type { ApiKey, AuthOutcome, AuthProvider, Clock, Credential, ErrorCode, KeyRepository, Log, PluginLife } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { API_KEY_PREFIX, apiKeyMatches, hashApiKeySecret, parseApiKey } from '@towline/protocol';
import { principalOf } from './key-principal.ts';
import { LastUse } from './last-use.ts';

/** What an {@link ApiKeyProvider} works with. */
export interface ApiKeyProviderParts {
  readonly keys: KeyRepository;
  readonly clock: Clock;
  readonly log: Log;
}

const SKIPPED: AuthOutcome = Object.freeze({ outcome: 'skipped' });
/** One answer for a wrong form, an unknown key and a wrong secret: nobody learns which keys exist. */
const UNKNOWN: AuthOutcome = Object.freeze({ outcome: 'rejected', code: 'unauthenticated', message: 'The API key is not known here.' });
/** Compared with when no such key exists, so that the answer takes as long. Belongs to no secret anybody has. */
const NOBODYS_HASH = hashApiKeySecret('');

/** Judges API keys by the store, each time anew: what was revoked a moment ago is not accepted. */
export class ApiKeyProvider implements AuthProvider, PluginLife {
  readonly loginMethod = Object.freeze({ method: 'api_key', label: 'API key' } as const);
  readonly #parts: ApiKeyProviderParts;
  readonly #lastUse: LastUse;

  constructor(parts: ApiKeyProviderParts) {
    this.#parts = parts;
    this.#lastUse = new LastUse(parts.keys, parts.clock, parts.log);
  }

  async authenticate(credential: Credential, signal: AbortSignal): Promise<AuthOutcome> {
    const text = keyTextOf(credential);
    if (text === null) return SKIPPED;
    const parsed = parseApiKey(text);
    if (parsed === null) return UNKNOWN;
    const key = await this.#parts.keys.get(parsed.id, SYSTEM_SCOPE);
    signal.throwIfAborted();
    const matches = apiKeyMatches(parsed.secret, key?.hash ?? NOBODYS_HASH);
    if (key === null || !matches || key.kind !== parsed.kind) return UNKNOWN;
    return this.#judge(key);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastUse[Symbol.asyncDispose]();
  }

  #judge(key: ApiKey): AuthOutcome {
    const code = findFault(key, this.#parts.clock.now());
    if (code !== null) return { outcome: 'rejected', code };
    const principal = principalOf(key);
    if (principal === null) {
      this.#parts.log.error('A device key belongs to no device; it is refused.', { id: key.id });
      return UNKNOWN;
    }
    this.#lastUse.note(key.id);
    return { outcome: 'accepted', principal };
  }
}

/** The text that should be an API key, or null when the credential is for another provider. */
function keyTextOf(credential: Credential): string | null {
  if (credential.scheme === 'api_key') return credential.key;
  return credential.scheme === 'bearer' && credential.token.startsWith(API_KEY_PREFIX) ? credential.token : null;
}

/**
 * Why a key that exists cannot be used. Told only to who has its secret. Whether an enrolment key has a use left is seen when
 * it is spent: a device that took the last one may ask again for the answer that it lost.
 */
function findFault(key: ApiKey, now: number): ErrorCode | null {
  if (key.revokedAt !== undefined) return 'key_revoked';
  return key.expiresAt !== undefined && key.expiresAt <= now ? 'key_expired' : null;
}
