import { type ApiKey, type Caller, type Page, type PageRequest, type Principal, type Store, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { KeyId } from '@towline/protocol';
import { auditCallerOf, requireOnScope, roleOn } from '../access/roles.ts';
import { type Asker, type ChangeParts, doerOf } from '../people/change.ts';
import { filteredPage } from '../people/pages.ts';
import { isLimited, requireWhole } from '../people/whole-credential.ts';
import { revokeFoundKey } from './revoke.ts';

const ABSENT = 'No such key, or it is not yours to see.';
const HINT = '`towline keys list` shows yours.';

/** Which keys are listed. */
export interface KeyFilter {
  /** Those of every scope of which the principal is admin, too. */
  readonly all: boolean;
  readonly includeRevoked: boolean;
}

/** The keys somebody made for themselves, or all that they may see; never those of devices. */
export function listVisibleKeys(
  { keys }: Pick<Store, 'keys'>,
  principal: Principal,
  { filter, page }: { readonly filter: KeyFilter; readonly page: PageRequest },
): Promise<Page<ApiKey>> {
  const { includeRevoked } = filter;
  if (!filter.all) return keys.list({ kind: 'user', userId: principal.id, includeRevoked }, page, SYSTEM_SCOPE);
  requireWhole(principal);
  const caller: Caller = auditCallerOf(principal);
  return filteredPage(
    (request) => keys.list({ includeRevoked }, request, caller),
    page,
    (key) => isVisible(key, principal),
  );
}

/** A key that the principal may see. @throws TowlineError `not_found`. */
export async function findVisibleKey({ keys }: Pick<Store, 'keys'>, principal: Principal, id: string): Promise<ApiKey> {
  const key = await keys.get(id as KeyId, SYSTEM_SCOPE);
  if (key === null || !isVisible(key, principal)) throw new TowlineError('not_found', ABSENT, { hint: HINT });
  return key;
}

/**
 * Revokes a key: one’s own, or by the right of an admin of its owner. A key with limits revokes itself and no other.
 * @throws TowlineError `not_found`, `forbidden`, `conflict`.
 */
export async function revokeVisibleKey(
  parts: ChangeParts,
  asker: Asker,
  { id, reason }: { readonly id: string; readonly reason: string | undefined },
): Promise<void> {
  const { principal } = asker;
  const key = await findVisibleKey(parts.store, principal, id);
  if (!isOwn(key, principal)) {
    requireWhole(principal);
    // A key that is less than its user is not its user: it needs the right like anybody else.
    if (key.userId !== principal.id || principal.bounded) requireOnScope(principal, key.owner, 'key.revoke');
  }
  const revoked = await revokeFoundKey(parts, key, { ...doerOf(asker), ...(reason === undefined ? {} : { reason }) });
  if (!revoked) throw new TowlineError('conflict', 'The key was revoked before.', { hint: 'Nothing is left to be done.' });
  await parts.enforce();
}

/** Whoever is logged in, however limited, and the key itself. */
function isOwn(key: ApiKey, { id, keyId }: Principal): boolean {
  return keyId === undefined ? key.userId === id : key.id === keyId;
}

/** Keys of platform admins are shown to their holders and to platform admins alone, whatever their owner. */
function isVisible(key: ApiKey, principal: Principal): boolean {
  if (key.kind === 'device') return false;
  if (key.id === principal.keyId || (key.userId !== undefined && key.userId === principal.id)) return true;
  if (principal.admin) return true;
  return !key.admin && !isLimited(principal) && roleOn(principal, key.owner) === 'admin';
}
