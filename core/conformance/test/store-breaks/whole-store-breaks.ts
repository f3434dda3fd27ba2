import type { Device, OpenSession, Registration } from '@towline/contract';
import { TowlineError } from '@towline/protocol';
import { type Break, replace, replaceMember } from './break.ts';

/** Stores that break one promise of the whole. */
export const wholeStoreBreaks: readonly Break[] = [
  {
    promise: 'store: it answers a ping',
    fault: 'does not',
    of: (store) => replaceMember(store, 'ping', () => Promise.reject(new TowlineError('store_failed'))),
  },
  {
    promise: 'store: what was acknowledged is there after it is opened again',
    fault: 'keeps sessions in memory',
    of: (store) => {
      const sessions = new Map<string, OpenSession>();
      return replace(store, 'sessions', () => ({
        insert: async (session) => sessions.size < sessions.set(session.id, session).size,
        list: async () => ({ items: [...sessions.values()], next: null }),
        remove: async (id) => sessions.delete(id),
      }));
    },
  },
  {
    promise: 'store: text comes back as it was given, whatever is in it',
    fault: 'normalises it',
    of: (store) =>
      replace(store, 'devices', (good) => ({ insert: (device) => good.insert({ ...device, name: device.name.normalize('NFC') }) })),
  },
  {
    promise: 'store: text comes back as it was given, whatever is in it',
    fault: 'ends it at a NUL',
    of: (store) =>
      replace(store, 'meta', (good) => ({
        compareAndSet: (name, expected, value) => good.compareAndSet(name, expected, value.split('\0')[0]!),
      })),
  },
  {
    promise: 'store: large values are kept whole',
    fault: 'cuts them',
    of: (store) =>
      replace(store, 'meta', (good) => ({
        compareAndSet: (name, expected, value) => good.compareAndSet(name, expected, value.slice(0, 65_536)),
      })),
  },
  {
    promise: 'store: calls that fail leave nothing and do not touch those made beside them',
    fault: 'fails a whole group for one of it',
    of: (store) => {
      const group: Promise<Device>[] = [];
      return replace(store, 'devices', (good) => ({
        update: (...args) => {
          const update = good.update(...args);
          group.push(update);
          return update;
        },
        insert: async (device) => {
          const inserted = await good.insert(device);
          await Promise.all(group);
          return inserted;
        },
      }));
    },
  },
  {
    promise: 'two stores on one data: what one acknowledged the other sees',
    fault: 'writes later',
    of: (store) => {
      const later = new Map<string, Device>();
      return replace(store, 'devices', () => ({
        insert: async (device) => later.size < later.set(device.id, device).size,
        get: async (id) => later.get(id) ?? null,
      }));
    },
  },
  {
    promise: 'two stores on one data: a race between them has exactly one winner',
    fault: 'locks only within one process',
    of: (store) => {
      let won: Registration | undefined;
      return replace(store, 'registrations', (good) => ({
        decide: async (id, decision, caller) => {
          const decided = await good.decide(id, decision, caller);
          if (won) return null;
          won = decided ?? { ...(await good.get(id, caller))!, ...decision };
          return won;
        },
      }));
    },
  },
  {
    promise: 'two stores on one data: both write at one time and nothing is lost',
    fault: 'overwrites what the other wrote',
    of: (store) => {
      const own = new Set<string>();
      return replace(store, 'devices', (good) => ({
        insert: (device) => {
          own.add(device.id);
          return good.insert(device);
        },
        list: async (...args) => {
          const { items, next } = await good.list(...args);
          return { items: items.filter(({ id }) => own.has(id)), next };
        },
      }));
    },
  },
];
