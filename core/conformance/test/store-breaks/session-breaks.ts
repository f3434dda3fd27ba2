import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { type Break, replace, without } from './break.ts';

/** Stores that break one promise of the open sessions. */
export const sessionBreaks: readonly Break[] = [
  {
    promise: 'sessions: one is read back as it was inserted',
    fault: 'forgets the detail',
    of: (store) => replace(store, 'sessions', (good) => ({ get: async (id, caller) => without(await good.get(id, caller), 'detail') })),
  },
  {
    promise: 'sessions: one outside the scopes of the caller is answered like one that does not exist',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'sessions', (good) => ({ get: (id) => good.get(id, SYSTEM_SCOPE) })),
  },
  {
    promise: 'sessions: an id that exists is not inserted again, and nothing is changed',
    fault: 'overwrites',
    of: (store) =>
      replace(store, 'sessions', (good) => ({
        insert: async (session) => {
          await good.remove(session.id);
          return good.insert(session);
        },
      })),
  },
  {
    promise: 'sessions: a list shows what the caller may see, of one device where asked, in the order of the ids',
    fault: 'ignores the caller when a device is named',
    of: (store) =>
      replace(store, 'sessions', (good) => ({
        list: (filter, page, caller) => good.list(filter, page, filter.deviceId === undefined ? caller : SYSTEM_SCOPE),
      })),
  },
  {
    promise: 'sessions: those of a device are seen by whom it is shared with as long as it is, each once',
    fault: 'shows them to the owner only',
    of: (store) =>
      replace(store, 'sessions', (good) => ({
        list: async (filter, page, caller) => {
          const { items, next } = await good.list(filter, page, caller);
          return { items: items.filter(({ owner }) => caller === SYSTEM_SCOPE || caller.includes(owner)), next };
        },
      })),
  },
  {
    promise: 'sessions: those of a device are seen by whom it is shared with as long as it is, each once',
    fault: 'lists them for each way',
    of: (store) =>
      replace(store, 'sessions', (good) => ({
        list: async (filter, page, caller) => {
          if (caller === SYSTEM_SCOPE) return good.list(filter, page, caller);
          const pages = await Promise.all(caller.map((scope) => good.list(filter, page, [scope])));
          return { items: pages.flatMap(({ items }) => items), next: null };
        },
      })),
  },
  {
    promise: 'sessions: one is forgotten once, also by many at one time',
    fault: 'looks first and removes later',
    of: (store) =>
      replace(store, 'sessions', (good) => ({
        remove: async (id) => {
          const there = (await good.get(id, SYSTEM_SCOPE)) !== null;
          await good.remove(id);
          return there;
        },
      })),
  },
];
