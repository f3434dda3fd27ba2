import type { ErrorCode } from '@towline/protocol';
import type { Principal } from './model.ts';

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

/** How people may log in by a provider, for the command line to offer. */
export interface LoginMethod {
  readonly method: 'api_key' | 'basic' | 'device_flow';
  /** Shown when there is a choice. */
  readonly label: string;
}

/** An auth plugin. */
export interface AuthProvider {
  /** Judges a credential. Constant time where it compares secrets. */
  authenticate(credential: Credential, signal: AbortSignal): Promise<AuthOutcome>;
  readonly loginMethod?: LoginMethod;
}
