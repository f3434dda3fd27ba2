import { TowlineError, type User } from '@towline/contract';
import { type ChangeParts, type Doer, recordChange } from './change.ts';

type UserParts = Pick<ChangeParts, 'store' | 'audit' | 'clock'>;

/** The user of an id. @throws TowlineError `not_found`. */
export async function findUser({ store }: Pick<ChangeParts, 'store'>, id: string): Promise<User> {
  const user = await store.users.get(id);
  if (user !== null) return user;
  throw new TowlineError('not_found', 'No user has this id.', {
    hint: 'The list of users has the ids: issuer, a bar and the subject.',
  });
}

/**
 * Disables a user: no credential of theirs counts any more, keys included, and what lives by them ends. Of no effect on one who is
 * disabled. @throws TowlineError `not_found`.
 */
export async function disableUser(parts: UserParts, id: string, by: Doer & { readonly reason?: string }): Promise<User> {
  const { store, clock } = parts;
  const message = by.reason === undefined ? 'Your account was disabled.' : `Your account was disabled: ${by.reason}`;
  const disabled = await store.users.disable(id, by.actor.label, { at: clock.now(), code: 'user_disabled', message });
  const user = await findUser(parts, id);
  const reason = by.reason === undefined ? {} : { reason: by.reason };
  if (disabled) await recordChange(parts, by, { action: 'user.disabled', detail: { user: id, label: user.label, ...reason } });
  return user;
}

/** Lets a user in again. Of no effect on one who is not disabled. @throws TowlineError `not_found`. */
export async function enableUser(parts: UserParts, id: string, by: Doer): Promise<User> {
  const enabled = await parts.store.users.enable(id);
  const user = await findUser(parts, id);
  if (enabled) await recordChange(parts, by, { action: 'user.enabled', detail: { user: id, label: user.label } });
  return user;
}
