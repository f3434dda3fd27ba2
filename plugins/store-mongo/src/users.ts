import type { RevocationNotice, Store, User, UserLogin } from '@towline/contract';
import { type Database, findById } from './database.ts';
import { isInserted } from './fault.ts';
import { AFTER, entryOf, inTurn, settle } from './outbox.ts';
import { cutPage, startOf } from './page-cursor.ts';
import { userShape } from './shapes.ts';
import type { Condition } from './visibility.ts';

const LIST = 'users';

type Users = Store['users'];

/** Whoever has logged in. */
export function userRepository(database: Database): Users {
  const { users } = database;
  return {
    get: async (id) => {
      const found = await users.findOne({ _id: id });
      return found && userShape.fromDocument(found);
    },
    list: async (filter, page) => {
      const [after] = startOf(LIST, page) ?? [];
      const found = await findById(users, conditionsOf(filter), { after: after as string | undefined, limit: page.limit });
      return cutPage(LIST, found.map(userShape.fromDocument), page.limit, ({ id }) => [id]);
    },
    note: (login) => inTurn(database, 'users', login.id, () => note(database, login)),
    disable: (id, by, notice) => inTurn(database, 'users', id, () => disable(database, { id, by }, notice)),
    enable: (id) =>
      inTurn(database, 'users', id, async () => {
        const change = { $unset: { disabledAt: '', disabledBy: '' }, $inc: { revision: 1 } } as object;
        return (await users.updateOne({ _id: id, disabledAt: { $exists: true } }, change)).matchedCount === 1;
      }),
  };
}

function conditionsOf({ email, disabled }: Parameters<Users['list']>[0]): Condition {
  return {
    ...(email !== undefined && { email }),
    // Only a range goes by the index.
    ...(disabled !== undefined && { disabledAt: disabled ? { $gte: 0 } : { $exists: false } }),
  };
}

/** Reads and changes what it has read; when the user was changed in between, it begins anew. */
async function note(database: Database, login: UserLogin): Promise<User> {
  const { at, ...told } = login;
  for (;;) {
    const present = await database.users.findOne({ _id: login.id });
    if (present) {
      const noted = await noteAgain(database, userShape.fromDocument(present), login);
      if (noted) return noted;
      continue;
    }
    const user: User = { ...told, createdAt: at, lastSeenAt: at, revision: 1 };
    const document = userShape.toDocument(user);
    if (await isInserted(database.users.insertOne(document))) return userShape.fromDocument(document);
  }
}

async function noteAgain({ users }: Database, present: User, { label, email, provider, claims, at }: UserLogin): Promise<User | null> {
  const differs =
    present.label !== label ||
    present.email !== email ||
    present.provider !== provider ||
    JSON.stringify(present.claims) !== JSON.stringify(claims);
  const changed = await users.findOneAndUpdate(
    { _id: present.id, revision: present.revision },
    {
      $set: { label, provider, claims, lastSeenAt: at, ...(email !== undefined && { email }) },
      ...(email === undefined && { $unset: { email: '' } }),
      ...(differs && { $inc: { revision: 1 } }),
    } as object,
    { returnDocument: 'after' },
  );
  return changed && userShape.fromDocument(changed);
}

async function disable(
  database: Database,
  { id, by }: { readonly id: string; readonly by: string },
  notice: RevocationNotice,
): Promise<boolean> {
  const disabled = await database.users.findOneAndUpdate(
    { _id: id, disabledAt: { $exists: false } },
    {
      $set: { disabledAt: notice.at, disabledBy: by },
      $inc: { revision: 1 },
      $push: { outbox: entryOf({ kind: 'user', id }, notice) },
    } as object,
    AFTER,
  );
  if (!disabled) return false;
  await settle(database, 'users', id, disabled);
  return true;
}
