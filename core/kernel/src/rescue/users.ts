import type { User } from '@towline/contract';
import { OPERATOR } from '../access/actor.ts';
import { allPages } from '../people/pages.ts';
import { disableUser, enableUser } from '../people/users.ts';
import type { RescueParts } from './keys.ts';

/** Everybody who has logged in. */
export async function listUsers({ store }: RescueParts): Promise<User[]> {
  const users: User[] = [];
  for await (const user of allPages((page) => store.users.list({}, page))) users.push(user);
  return users;
}

/** Disables a user; a running relay ends what lives by their credentials within a second. @throws TowlineError `not_found`. */
export function disableStoredUser(parts: RescueParts, id: string, reason: string | undefined): Promise<User> {
  return disableUser(parts, id, { actor: OPERATOR, ...(reason === undefined ? {} : { reason }) });
}

/** Lets a user in again. @throws TowlineError `not_found`. */
export function enableStoredUser(parts: RescueParts, id: string): Promise<User> {
  return enableUser(parts, id, { actor: OPERATOR });
}
