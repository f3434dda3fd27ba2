import type { Registration, Store } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import type { Database } from './database.ts';
import { isInserted } from './fault.ts';
import { cutPage, startOf } from './page-cursor.ts';
import { registrationShape } from './shapes.ts';
import { allOf, visibleTo } from './visibility.ts';

const LIST = 'registrations.pending';

type Registrations = Store['registrations'];

/** Requests to enrol. One is expired from the millisecond of `expiresAt` on. */
export function registrationRepository(database: Database): Registrations {
  const { registrations, queue } = database;
  return {
    get: async (id, caller) => {
      const found = await registrations.findOne(allOf({ _id: id }, visibleTo(caller)));
      return found && registrationShape.fromDocument(found);
    },
    findByDevice: async (deviceId, now) => {
      const newest = registrations.find({ deviceId, expiresAt: { $gt: now } }).sort({ createdAt: -1, _id: -1 });
      const [found] = await newest.limit(1).toArray();
      return found ? registrationShape.fromDocument(found) : null;
    },
    listPending: listPending(database),
    countPending: (filter, now) => {
      const by = 'owner' in filter ? { owner: filter.owner } : { address: filter.address };
      return registrations.countDocuments({ ...by, state: 'pending', expiresAt: { $gt: now } });
    },
    insert: (registration) => isInserted(registrations.insertOne(registrationShape.toDocument({ ...registration, revision: 1 }))),
    decide: (id, { state, decidedAt, decidedBy, reason }, caller) =>
      queue.run(`registrations ${id}`, async () => {
        const decided = await registrations.findOneAndUpdate(
          allOf({ _id: id, state: 'pending' }, visibleTo(caller)),
          { $set: { state, decidedAt, decidedBy, ...(reason !== undefined && { reason }) }, $inc: { revision: 1 } },
          { returnDocument: 'after' },
        );
        if (decided) return registrationShape.fromDocument(decided);
        if (await registrations.findOne(allOf({ _id: id }, visibleTo(caller)))) return null;
        throw new TowlineError('not_found', 'No such request, or it is not yours to see.');
      }),
    deleteExpired: async (before) => (await registrations.deleteMany({ expiresAt: { $lt: before } })).deletedCount,
    deleteForDevice: async (deviceId) => void (await registrations.deleteMany({ deviceId })),
  };
}

function listPending({ registrations }: Database): Registrations['listPending'] {
  return async ({ owner, now }, page, caller) => {
    const [createdAt, id] = startOf(LIST, page) ?? [];
    const behind = createdAt === undefined ? {} : { $or: [{ createdAt: { $gt: createdAt } }, { createdAt, _id: { $gt: id } }] };
    const waiting = { state: 'pending', expiresAt: { $gt: now }, ...(owner !== undefined && { owner }) };
    const found = registrations.find(allOf(visibleTo(caller), waiting, behind)).sort({ createdAt: 1, _id: 1 });
    const items = (await found.limit(page.limit + 1).toArray()).map(registrationShape.fromDocument);
    return cutPage<Registration>(LIST, items, page.limit, (item) => [item.createdAt, item.id]);
  };
}
