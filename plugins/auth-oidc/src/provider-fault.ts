import { TowlineError } from '@towline/protocol';

/**
 * The provider could not be asked. What went wrong stays with the log: whoever holds no valid token must not learn how
 * this network looks. `detail` completes "the provider …".
 */
export function providerFault(issuer: string, detail: string): TowlineError {
  return new TowlineError('provider_unavailable', `The identity provider ${issuer} cannot be asked by the relay now.`, { detail });
}
