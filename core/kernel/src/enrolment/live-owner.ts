import { type Store, TowlineError } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { orgOfScope, type Scope } from '@towline/protocol';

/** Nothing is enrolled for an organisation that was deleted, nor given to it. @throws TowlineError `org_deleted`. */
export async function requireLiveOwner({ organisations }: Pick<Store, 'organisations'>, owner: Scope): Promise<void> {
  const id = orgOfScope(owner);
  if (id === null) return;
  const organisation = await organisations.get(id, SYSTEM_SCOPE);
  if (organisation?.deletedAt !== undefined)
    throw new TowlineError('org_deleted', `The organisation ${id} was deleted. Its id is not given again.`);
}
