import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { isTowlineError, TowlineError } from '@towline/protocol';
import { type Break, replace, without } from './break.ts';

const GONE = { at: 1, code: 'gone', message: 'gone' };
const ALL = { limit: 500 };

/** Stores that break one promise of the devices. */
export const deviceBreaks: readonly Break[] = [
  {
    promise: 'devices: one is read back as it was inserted, with revision 1',
    fault: 'forgets the address',
    of: (store) => replace(store, 'devices', (good) => ({ get: async (id, caller) => without(await good.get(id, caller), 'lastAddress') })),
  },
  {
    promise: 'devices: one outside the scopes of the caller is answered like one that does not exist',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'devices', (good) => ({ get: (id) => good.get(id, SYSTEM_SCOPE) })),
  },
  {
    promise: 'devices: one outside the scopes of the caller is answered like one that does not exist',
    fault: 'takes no scopes for all scopes',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        get: (id, caller) => good.get(id, caller !== SYSTEM_SCOPE && caller.length === 0 ? SYSTEM_SCOPE : caller),
      })),
  },
  {
    promise: 'devices: a list shows what the caller may see and nothing else, in the order of the ids',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'devices', (good) => ({ list: (filter, page) => good.list(filter, page, SYSTEM_SCOPE) })),
  },
  {
    promise: 'devices: a list shows what the caller may see and nothing else, in the order of the ids',
    fault: 'lists in another order',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        list: async (...args) => {
          const { items, next } = await good.list(...args);
          return { items: items.toReversed(), next };
        },
      })),
  },
  {
    promise: 'devices: an id that exists is not inserted again, and nothing is changed',
    fault: 'overwrites',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        insert: async (device) => {
          await good.remove(device.id, GONE, SYSTEM_SCOPE);
          return good.insert(device);
        },
      })),
  },
  {
    promise: 'devices: they are found by their exact name',
    fault: 'ignores upper and lower case',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        list: async ({ name, ...filter }, _, caller) => {
          const { items, next } = await good.list(filter, ALL, caller);
          return { items: items.filter((item) => name === undefined || item.name.toLowerCase() === name.toLowerCase()), next };
        },
      })),
  },
  {
    promise: 'devices: they are found by the beginning of their id, in which no character has a meaning of its own',
    fault: 'takes % and _ for wild cards',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        list: async ({ idPrefix = '', ...filter }, _, caller) => {
          const pattern = new RegExp(`^${idPrefix.replace('*', '\\*').replaceAll('%', '.*').replaceAll('_', '.')}`);
          const { items, next } = await good.list(filter, ALL, caller);
          return { items: items.filter(({ id }) => pattern.test(id)), next };
        },
      })),
  },
  {
    promise: 'devices: they are found by owner, within what the caller may see',
    fault: 'takes the owner asked for as the caller',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        list: (filter, page, caller) => good.list(filter, page, filter.owner === undefined ? caller : [filter.owner]),
      })),
  },
  {
    promise: 'devices: an update changes the named fields, keeps the others and raises the revision by one',
    fault: 'loses an update of the facts',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: (id, { facts: _, ...change }, revision, caller) => good.update(id, change, revision, caller),
      })),
  },
  {
    promise: 'devices: an update touches only the fields that may change',
    fault: 'takes over whatever it is given',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: async (id, change, revision, caller) => ({ ...(await good.update(id, change, revision, caller)), ...change }),
      })),
  },
  {
    promise: 'devices: an update of another revision is store_conflict and changes nothing',
    fault: 'skips the check of the revision',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: async (id, change, revision, caller) =>
          good.update(id, change, (await good.get(id, SYSTEM_SCOPE))?.revision ?? revision, caller),
      })),
  },
  {
    promise: 'devices: an update of one the caller may not see is not_found, as of one that does not exist',
    fault: 'ignores the caller',
    of: (store) =>
      replace(store, 'devices', (good) => ({ update: (id, change, revision) => good.update(id, change, revision, SYSTEM_SCOPE) })),
  },
  {
    promise: 'devices: an update of one the caller may not see is not_found, as of one that does not exist',
    fault: 'tells by store_conflict that a foreign one exists',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: async (id, change, revision, caller) => {
          const present = await good.get(id, SYSTEM_SCOPE);
          if (present && present.revision !== revision) throw new TowlineError('store_conflict');
          return good.update(id, change, revision, caller);
        },
      })),
  },
  {
    promise: 'devices: of updates of one revision at one time exactly one wins, and its change is the one that stays',
    fault: 'checks the revision first and writes later',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: async (id, change, revision, caller) => {
          if ((await good.get(id, caller))?.revision !== revision) throw new TowlineError('store_conflict');
          for (let present = revision; ; present += 1) {
            try {
              return await good.update(id, change, present, caller);
            } catch (error) {
              if (!isTowlineError(error) || error.code !== 'store_conflict') throw error;
            }
          }
        },
      })),
  },
  {
    promise: 'devices: a sign of life sets time and address and leaves the revision',
    fault: 'raises the revision',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        touch: async (id, seen) => {
          await good.touch(id, seen);
          await good.update(id, {}, (await good.get(id, SYSTEM_SCOPE))!.revision, SYSTEM_SCOPE);
        },
      })),
  },
  {
    promise: 'devices: a sign of life of one that is gone is no error and brings nothing back',
    fault: 'answers not_found',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        touch: async (id, seen) => {
          if (!(await good.get(id, SYSTEM_SCOPE))) throw new TowlineError('not_found');
          await good.touch(id, seen);
        },
      })),
  },
  {
    promise: 'devices: removing one revokes all its keys and leaves a revocation',
    fault: 'loses the revocation',
    of: (store) =>
      replace(store, 'revocations', (good) => ({
        listAfter: async (number) => (await good.listAfter(number)).filter(({ kind }) => kind !== 'device'),
      })),
  },
  {
    promise: 'devices: removing one revokes all its keys and leaves a revocation',
    fault: 'leaves the keys valid',
    of: (store) => replace(store, 'keys', (good) => ({ get: async (id, caller) => without(await good.get(id, caller), 'revokedAt') })),
  },
  {
    promise: 'devices: removing one the caller may not see answers false and changes nothing',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'devices', (good) => ({ remove: (id, revocation) => good.remove(id, revocation, SYSTEM_SCOPE) })),
  },
  {
    promise: 'devices: of removals at one time exactly one answers true, and one revocation is left',
    fault: 'looks first and removes later',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        remove: async (id, revocation, caller) => {
          const there = (await good.get(id, caller)) !== null;
          await good.remove(id, revocation, caller);
          return there;
        },
      })),
  },
];
