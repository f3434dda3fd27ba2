import type { ErrorCode } from '@towline/protocol';
import type { Principal, UnixMs } from './model.ts';

/** A credential as it came with a request, not yet believed. */
export type Credential =
  | { readonly scheme: 'bearer'; readonly token: string }
  | { readonly scheme: 'api_key'; readonly key: string }
  | { readonly scheme: 'basic'; readonly username: string; readonly password: string };

/**
 * What a provider says of a credential. `skipped`: not of my kind, ask the next. `rejected`: of my kind and
 * wrong; nobody else is asked. Expected outcomes are values; an exception means that the provider is broken.
 */
export type AuthOutcome =
  | { readonly outcome: 'accepted'; readonly principal: Principal }
  | { readonly outcome: 'skipped' }
  | { readonly outcome: 'rejected'; readonly code: ErrorCode; readonly message?: string };

/** How people may log in by a provider, for the command line to offer. `label` is shown when there is a choice. */
export type LoginMethod =
  | { readonly method: 'api_key' | 'basic'; readonly label: string }
  | {
      /** OAuth 2.0 Device Authorization Grant (RFC 8628) at an OpenID provider that is found by discovery. */
      readonly method: 'device_flow';
      readonly label: string;
      readonly issuer: string;
      readonly client_id: string;
      /** Scopes to ask for, `openid` among them. */
      readonly scopes: readonly string[];
      /** Sent as `resource` (RFC 8707) and `audience`, where the provider needs one to issue a token for this relay. */
      readonly audience?: string;
    };

/** A token that a provider made. */
export interface IssuedToken {
  readonly token: string;
  readonly expiresAt: UnixMs;
}

/** An auth plugin. */
export interface AuthProvider {
  /** Judges a credential. Constant time where it compares secrets. */
  authenticate(credential: Credential, signal: AbortSignal): Promise<AuthOutcome>;
  readonly loginMethod?: LoginMethod;
  /**
   * Domains of the e-mail addresses that this provider may vouch for, lower case; `any`: all. Left out: it vouches for none
   * of its own, as one that only passes on what another provider said. Two providers for one domain stop the start.
   */
  readonly emailDomains?: readonly string[] | 'any';
  /** Makes a token by which this provider will know the principal again. */
  issueToken?(principal: Principal, signal: AbortSignal): Promise<IssuedToken>;
}
