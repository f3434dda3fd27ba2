import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { isTowlineError } from '@towline/protocol';
import { type Break, replace, without } from './break.ts';

/** Stores that break one promise of the requests to enrol. */
export const registrationBreaks: readonly Break[] = [
  {
    promise: 'registrations: one is read back as it was inserted, with revision 1',
    fault: 'forgets the reason',
    of: (store) =>
      replace(store, 'registrations', (good) => ({ get: async (id, caller) => without(await good.get(id, caller), 'reason') })),
  },
  {
    promise: 'registrations: one outside the scopes of the caller is answered like one that does not exist',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'registrations', (good) => ({ get: (id) => good.get(id, SYSTEM_SCOPE) })),
  },
  {
    promise: 'registrations: an id that exists is not inserted again, and nothing is changed',
    fault: 'overwrites',
    of: (store) =>
      replace(store, 'registrations', (good) => ({
        insert: async (registration) => {
          await good.deleteForDevice(registration.deviceId);
          return good.insert(registration);
        },
      })),
  },
  {
    promise: 'registrations: the pending list holds those that wait and have not expired, oldest first',
    fault: 'lists expired ones',
    of: (store) =>
      replace(store, 'registrations', (good) => ({
        listPending: (filter, page, caller) => good.listPending({ ...filter, now: 0 }, page, caller),
      })),
  },
  {
    promise: 'registrations: the pending list shows what the caller may see, of one owner where asked',
    fault: 'ignores the caller',
    of: (store) =>
      replace(store, 'registrations', (good) => ({ listPending: (filter, page) => good.listPending(filter, page, SYSTEM_SCOPE) })),
  },
  {
    promise: 'registrations: the newest of a device that has not expired is found, whatever its state',
    fault: 'finds only pending ones',
    of: (store) =>
      replace(store, 'registrations', (good) => ({
        findByDevice: async (deviceId, now) => {
          const found = await good.findByDevice(deviceId, now);
          return found?.state === 'pending' ? found : null;
        },
      })),
  },
  {
    promise: 'registrations: those that wait are counted for an owner and for an address',
    fault: 'counts expired ones',
    of: (store) => replace(store, 'registrations', (good) => ({ countPending: (filter) => good.countPending(filter, 0) })),
  },
  {
    promise: 'registrations: a decision is stored and raises the revision',
    fault: 'forgets who decided',
    of: (store) =>
      replace(store, 'registrations', (good) => ({ get: async (id, caller) => without(await good.get(id, caller), 'decidedBy') })),
  },
  {
    promise: 'registrations: one that was decided is not decided again',
    fault: 'answers the earlier decision as if it were new',
    of: (store) =>
      replace(store, 'registrations', (good) => ({
        decide: async (id, decision, caller) => (await good.decide(id, decision, caller)) ?? (await good.get(id, caller)),
      })),
  },
  {
    promise: 'registrations: deciding one the caller may not see is not_found, as of one that does not exist',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'registrations', (good) => ({ decide: (id, decision) => good.decide(id, decision, SYSTEM_SCOPE) })),
  },
  {
    promise: 'registrations: deciding one the caller may not see is not_found, as of one that does not exist',
    fault: 'answers null',
    of: (store) =>
      replace(store, 'registrations', (good) => ({
        decide: (id, decision, caller) =>
          good.decide(id, decision, caller).catch((error: unknown) => {
            if (isTowlineError(error) && error.code === 'not_found') return null;
            throw error;
          }),
      })),
  },
  {
    promise: 'registrations: of twenty decisions at one time exactly one wins, and it is the one that stays',
    fault: 'lets two deciders win: looks first and decides later',
    of: (store) =>
      replace(store, 'registrations', (good) => ({
        decide: async (id, decision, caller) => {
          const before = await good.get(id, caller);
          const decided = await good.decide(id, decision, caller);
          return before?.state === 'pending' ? (decided ?? { ...before, ...decision, revision: 2 }) : null;
        },
      })),
  },
  {
    promise: 'registrations: expired ones are deleted and counted, the others stay',
    fault: 'deletes what expires at that very moment',
    of: (store) => replace(store, 'registrations', (good) => ({ deleteExpired: (before) => good.deleteExpired(before + 1) })),
  },
  {
    promise: 'registrations: all of one device are deleted, those of others stay',
    fault: 'deletes nothing',
    of: (store) => replace(store, 'registrations', () => ({ deleteForDevice: async () => undefined })),
  },
];
