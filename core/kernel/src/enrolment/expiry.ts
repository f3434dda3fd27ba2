import type { Registration, UnixMs } from '@towline/contract';
import { APPROVED_LIFE_MS } from './parts.ts';

/** Whether a request counts no more: nobody decided in time, or its device never came for the credential. */
export function hasExpired({ state, expiresAt }: Registration, now: UnixMs): boolean {
  return expiresAt + (state === 'approved' ? APPROVED_LIFE_MS : 0) <= now;
}
