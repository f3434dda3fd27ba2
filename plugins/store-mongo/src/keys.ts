import type { Caller, RevocationNotice, Store } from '@towline/contract';
import { type Database, findById } from './database.ts';
import { isInserted } from './fault.ts';
import { AFTER, entryOf, inTurn, settle } from './outbox.ts';
import { cutPage, startOf } from './page-cursor.ts';
import { keyShape } from './shapes.ts';
import { allOf, type Condition, visibleTo } from './visibility.ts';

const LIST = 'keys';
const LIVE = { revokedAt: { $exists: false } };

type Keys = Store['keys'];

/** API keys. */
export function keyRepository(database: Database): Keys {
  const { keys } = database;
  return {
    get: async (id, caller) => {
      const found = await keys.findOne(allOf({ _id: id }, visibleTo(caller)));
      return found && keyShape.fromDocument(found);
    },
    list: async (filter, page, caller) => {
      const [after] = startOf(LIST, page) ?? [];
      const conditions = allOf(visibleTo(caller), conditionsOf(filter));
      const found = await findById(keys, conditions, { after: after as string | undefined, limit: page.limit });
      return cutPage(LIST, found.map(keyShape.fromDocument), page.limit, ({ id }) => [id]);
    },
    insert: (key) => isInserted(keys.insertOne(keyShape.toDocument({ ...key, revision: 1 }))),
    touch: (id, at) =>
      inTurn(database, 'keys', id, async () => {
        const older = { $or: [{ lastUsedAt: { $exists: false } }, { lastUsedAt: { $lt: at } }] };
        await keys.updateOne({ _id: id, ...older }, { $set: { lastUsedAt: at } });
      }),
    spend: (id) => inTurn(database, 'keys', id, () => spend(database, id)),
    revoke: (id, notice, caller) => inTurn(database, 'keys', id, () => revoke(database, id, notice, caller)),
    revokeOlderOfDevice: async (deviceId, keep, at) => {
      const kept = await keys.findOne({ _id: keep });
      if (!kept) return;
      const older = { deviceId, ...LIVE, createdAt: { $lt: kept.createdAt as number } };
      await keys.updateMany(older, { $set: { revokedAt: at }, $inc: { revision: 1 } });
    },
  };
}

function conditionsOf({ kind, deviceId, userId, includeRevoked }: Parameters<Keys['list']>[0]): Condition {
  return {
    ...(kind !== undefined && { kind }),
    ...(deviceId !== undefined && { deviceId }),
    ...(userId !== undefined && { userId }),
    ...(!includeRevoked && LIVE),
  };
}

async function spend({ keys }: Database, id: string): Promise<boolean> {
  const usable = { _id: id, kind: 'enrolment', ...LIVE };
  const taken = await keys.updateOne({ ...usable, remaining: { $gt: 0 } }, { $inc: { remaining: -1, revision: 1 } });
  if (taken.matchedCount === 1) return true;
  const unlimited = await keys.updateOne({ ...usable, remaining: { $exists: false } }, { $inc: { revision: 1 } });
  return unlimited.matchedCount === 1;
}

async function revoke(database: Database, id: string, notice: RevocationNotice, caller: Caller): Promise<boolean> {
  const revoked = await database.keys.findOneAndUpdate(
    allOf({ _id: id, ...LIVE }, visibleTo(caller)),
    {
      $set: { revokedAt: notice.at, revokedReason: notice.code },
      $inc: { revision: 1 },
      $push: { outbox: entryOf({ kind: 'key', id }, notice) },
    } as object,
    AFTER,
  );
  if (!revoked) return false;
  await settle(database, 'keys', id, revoked);
  return true;
}
