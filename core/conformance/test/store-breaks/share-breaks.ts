import type { Device, Share } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { isTowlineError } from '@towline/protocol';
import { ADA, NOON } from '../../src/store/samples.ts';
import { type Break, replace } from './break.ts';

const ALL = { limit: 500 };
const hasEnded = ({ shares }: Device) => shares.some(({ until = NOON }) => until < NOON);

function withoutEnds(device: Device | null): Device | null {
  return device && { ...device, shares: device.shares.map(({ until: _, ...share }): Share => share) };
}

/** Stores that break one promise of the shares. */
export const shareBreaks: readonly Break[] = [
  {
    promise: 'shares: they are read back as they were given, and replaced by an update',
    fault: 'forgets when they end',
    of: (store) => replace(store, 'devices', (good) => ({ get: async (id, caller) => withoutEnds(await good.get(id, caller)) })),
  },
  {
    promise: 'shares: they are read back as they were given, and replaced by an update',
    fault: 'adds the new ones to the old ones',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: async (id, change, revision, caller) => {
          const shares = change.shares && [...((await good.get(id, caller))?.shares ?? []), ...change.shares];
          const updated = await good.update(id, change, revision, caller);
          return shares ? { ...updated, shares } : updated;
        },
      })),
  },
  {
    promise: 'shares: a device is got, listed, changed and removed by who holds a scope it is shared with, and by nobody else',
    fault: 'shows whatever is shared with anybody',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        get: async (id, caller) => {
          const device = await good.get(id, SYSTEM_SCOPE);
          return device?.shares.length ? device : good.get(id, caller);
        },
      })),
  },
  {
    promise: 'shares: a device is got, listed, changed and removed by who holds a scope it is shared with, and by nobody else',
    fault: 'lists by the owner alone',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        list: async (filter, page, caller) => {
          const { items, next } = await good.list(filter, page, caller);
          return { items: items.filter(({ owner }) => caller === SYSTEM_SCOPE || caller.includes(owner)), next };
        },
      })),
  },
  {
    promise: 'shares: a device is got, listed, changed and removed by who holds a scope it is shared with, and by nobody else',
    fault: 'lets anybody change one that is shared',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: async (id, change, revision, caller) =>
          good.update(id, change, revision, (await good.get(id, SYSTEM_SCOPE))?.shares.length ? SYSTEM_SCOPE : caller),
      })),
  },
  {
    promise: 'shares: a device is got, listed, changed and removed by who holds a scope it is shared with, and by nobody else',
    fault: 'lets anybody remove one that is shared',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        remove: async (id, notice, caller) =>
          good.remove(id, notice, (await good.get(id, SYSTEM_SCOPE))?.shares.length ? SYSTEM_SCOPE : caller),
      })),
  },
  {
    promise: 'shares: one whose end has passed still shows the device',
    fault: 'judges the time by itself',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        list: async (...args) => {
          const { items, next } = await good.list(...args);
          return { items: items.filter((device) => !hasEnded(device)), next };
        },
      })),
  },
  {
    promise: 'shares: a device that is reached in several ways is listed once',
    fault: 'lists it for each way',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        list: async (filter, page, caller) => {
          if (caller === SYSTEM_SCOPE) return good.list(filter, page, caller);
          const pages = await Promise.all(caller.map((scope) => good.list(filter, page, [scope])));
          return { items: pages.flatMap(({ items }) => items), next: null };
        },
      })),
  },
  {
    promise: 'shares: one that is taken back shows the device no more, by whatever filter',
    fault: 'remembers who was shown it',
    of: (store) => {
      const shown = new Set<string>();
      return replace(store, 'devices', (good) => ({
        get: async (id, caller) => {
          const who = `${id} ${String(caller)}`;
          if ((await good.get(id, caller)) !== null) shown.add(who);
          return good.get(id, shown.has(who) ? SYSTEM_SCOPE : caller);
        },
      }));
    },
  },
  {
    promise: 'shares: shared devices are found by name, by the beginning of the id and by owner as they are now',
    fault: 'finds them by the first name they had',
    of: (store) => {
      const first = new Map<string, string>();
      return replace(store, 'devices', (good) => ({
        insert: (device) => {
          first.set(device.id, device.name);
          return good.insert(device);
        },
        list: async ({ name, ...filter }, _, caller) => {
          const { items, next } = await good.list(filter, ALL, caller);
          return { items: items.filter(({ id }) => name === undefined || first.get(id) === name), next };
        },
      }));
    },
  },
  {
    promise: 'shares: a change with a notice leaves a revocation of the kind access, all or nothing',
    fault: 'loses the revocation',
    of: (store) =>
      replace(store, 'devices', (good) => ({ update: (id, change, revision, caller) => good.update(id, change, revision, caller) })),
  },
  {
    promise: 'shares: a change with a notice leaves a revocation of the kind access, all or nothing',
    fault: 'leaves the revocation of a change that failed',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        update: async (id, change, revision, caller, notice) => {
          try {
            return await good.update(id, change, revision, caller, notice);
          } catch (error) {
            const present = await good.get(id, SYSTEM_SCOPE);
            if (present && isTowlineError(error)) await good.update(id, {}, present.revision, SYSTEM_SCOPE, notice);
            throw error;
          }
        },
      })),
  },
  {
    promise: 'shares: a new owner gets the keys, the waiting requests and the open sessions of the device, and nothing of others',
    fault: 'leaves the keys',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        get: async (id) => {
          const key = await good.get(id, SYSTEM_SCOPE);
          return key && { ...key, owner: ADA };
        },
      })),
  },
  {
    promise: 'shares: devices with ended ones are found from the millisecond of the end on, at most 100',
    fault: 'finds them a millisecond late',
    of: (store) => replace(store, 'devices', (good) => ({ listWithEndedShares: (now) => good.listWithEndedShares(now - 1) })),
  },
  {
    promise: 'shares: devices with ended ones are found from the millisecond of the end on, at most 100',
    fault: 'hands out all',
    of: (store) =>
      replace(store, 'devices', (good) => ({
        listWithEndedShares: async (now) => {
          const { items } = await good.list({}, ALL, SYSTEM_SCOPE);
          return items.filter(({ shares }) => shares.some(({ until }) => until !== undefined && until <= now));
        },
      })),
  },
  {
    promise: 'shares: those of a device that is removed are gone, also when one with its id comes',
    fault: 'keeps them for the next one',
    of: (store) => {
      const kept = new Map<string, readonly Share[]>();
      return replace(store, 'devices', (good) => ({
        insert: (device) => good.insert({ ...device, shares: kept.get(device.id) ?? device.shares }),
        remove: async (id, notice, caller) => {
          kept.set(id, (await good.get(id, caller))?.shares ?? []);
          return good.remove(id, notice, caller);
        },
      }));
    },
  },
];
