import type { ApiKey } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type ChangeParts, type Doer, recordChange } from '../people/change.ts';

/** Revokes a key and records it. False when it was revoked before. */
export async function revokeFoundKey(
  parts: Pick<ChangeParts, 'store' | 'audit' | 'clock'>,
  { id, name, owner }: ApiKey,
  by: Doer & { readonly reason?: string },
): Promise<boolean> {
  const message = by.reason === undefined ? 'The API key was revoked.' : `The API key was revoked: ${by.reason}`;
  const revoked = await parts.store.keys.revoke(id, { at: parts.clock.now(), code: 'key_revoked', message }, SYSTEM_SCOPE);
  const reason = by.reason === undefined ? {} : { reason: by.reason };
  if (revoked) await recordChange(parts, by, { action: 'key.revoked', owner, detail: { key: id, name, ...reason } });
  return revoked;
}
