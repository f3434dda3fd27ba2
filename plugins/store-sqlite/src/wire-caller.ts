import type { Caller } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { TowlineError } from '@towline/protocol';

/** A {@link Caller} in a form that can be sent to a thread; the system scope is a symbol and cannot. */
export type WireCaller = readonly string[] | 'system';

/** Only the one symbol becomes the system: whatever else is no list of scopes is an error, never a wider view. */
export function encodeCaller(caller: Caller): WireCaller {
  if (caller === SYSTEM_SCOPE) return 'system';
  if (!Array.isArray(caller)) throw new TowlineError('store_failed', undefined, { detail: 'a look-up without a caller' });
  return [...new Set(caller)];
}
