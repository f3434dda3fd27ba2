import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import type { KeyId } from '@towline/protocol';
import { keyIdOf } from '../../src/store/samples.ts';
import { type Break, replace, without } from './break.ts';

/** Stores that break one promise of the API keys. */
export const keyBreaks: readonly Break[] = [
  {
    promise: 'keys: one is read back as it was inserted, with revision 1',
    fault: 'takes no streams for all streams',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        get: async (id, caller) => {
          const key = await good.get(id, caller);
          return key?.streams?.length === 0 ? without(key, 'streams') : key;
        },
      })),
  },
  {
    promise: 'keys: one is read back as it was inserted, with revision 1',
    fault: 'takes one that is not bounded for one of which that is not known',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        get: async (id, caller) => {
          const key = await good.get(id, caller);
          return key?.bounded === false ? without(key, 'bounded') : key;
        },
      })),
  },
  {
    promise: 'keys: one outside the scopes of the caller is answered like one that does not exist',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'keys', (good) => ({ get: (id) => good.get(id, SYSTEM_SCOPE) })),
  },
  {
    promise: 'keys: an id that exists is not inserted again, and nothing is changed',
    fault: 'answers true for every insertion',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        insert: async (key) => {
          await good.insert(key);
          return true;
        },
      })),
  },
  {
    promise: 'keys: a list shows what the caller may see and nothing else, in the order of the ids',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'keys', (good) => ({ list: (filter, page) => good.list(filter, page, SYSTEM_SCOPE) })),
  },
  {
    promise: 'keys: they are found by kind and by device, within what the caller may see',
    fault: 'ignores the caller when a device is named',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        list: (filter, page, caller) => good.list(filter, page, filter.deviceId === undefined ? caller : SYSTEM_SCOPE),
      })),
  },
  {
    promise: 'keys: they are found by the user they act as, within what the caller may see',
    fault: 'ignores the caller when a user is named',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        list: (filter, page, caller) => good.list(filter, page, filter.userId === undefined ? caller : SYSTEM_SCOPE),
      })),
  },
  {
    promise: 'keys: they are found by the user they act as, within what the caller may see',
    fault: 'ignores the user',
    of: (store) =>
      replace(store, 'keys', (good) => ({ list: ({ userId: _, ...filter }, page, caller) => good.list(filter, page, caller) })),
  },
  {
    promise: 'keys: revoked ones are listed only when asked for',
    fault: 'always lists them',
    of: (store) =>
      replace(store, 'keys', (good) => ({ list: (filter, page, caller) => good.list({ ...filter, includeRevoked: true }, page, caller) })),
  },
  {
    promise: 'keys: the time of last use is set and never moves back',
    fault: 'lets it move back',
    of: (store) => {
      const touched = new Map<KeyId, number>();
      return replace(store, 'keys', (good) => ({
        touch: async (id, at) => void touched.set(id, at),
        get: async (id, caller) => {
          const key = await good.get(id, caller);
          return key && { ...key, lastUsedAt: touched.get(id)! };
        },
      }));
    },
  },
  {
    promise: 'keys: each spending takes one use, until none is left',
    fault: 'always has one more',
    of: (store) => replace(store, 'keys', (good) => ({ spend: async (id) => (await good.spend(id)) || true })),
  },
  {
    promise: 'keys: one without a limit can always be spent and gets none',
    fault: 'takes no limit for none left',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        spend: async (id) => (await good.get(id, SYSTEM_SCOPE))?.remaining !== undefined && (await good.spend(id)),
      })),
  },
  {
    promise: 'keys: one that is revoked, unknown or not for enrolling has no use to spend',
    fault: 'spends revoked ones',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        spend: async (id) => (await good.spend(id)) || (await good.get(id, SYSTEM_SCOPE))?.revokedAt !== undefined,
      })),
  },
  {
    promise: 'keys: of twenty that want the last uses at one time only as many win as are left',
    fault: 'looks first and spends later',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        spend: async (id) => {
          const left = (await good.get(id, SYSTEM_SCOPE))?.remaining ?? 1;
          await good.spend(id);
          return left > 0;
        },
      })),
  },
  {
    promise: 'keys: revoking one marks it and leaves a revocation',
    fault: 'loses the revocation',
    of: (store) =>
      replace(store, 'revocations', (good) => ({
        listAfter: async (number) => (await good.listAfter(number)).filter(({ kind }) => kind !== 'key'),
      })),
  },
  {
    promise: 'keys: revoking one the caller may not see answers false and changes nothing',
    fault: 'ignores the caller',
    of: (store) => replace(store, 'keys', (good) => ({ revoke: (id, revocation) => good.revoke(id, revocation, SYSTEM_SCOPE) })),
  },
  {
    promise: 'keys: one is revoked once, also by many at one time, with one revocation',
    fault: 'looks first and revokes later',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        revoke: async (id, revocation, caller) => {
          const valid = (await good.get(id, caller))?.revokedAt === undefined;
          await good.revoke(id, revocation, caller);
          return valid;
        },
      })),
  },
  {
    promise: 'keys: the older keys of a device are revoked without a revocation, the kept one, newer ones and those of others stay',
    fault: 'revokes newer ones too',
    of: (store) =>
      replace(store, 'keys', (good) => ({
        revokeOlderOfDevice: (deviceId, _, at) => good.revokeOlderOfDevice(deviceId, keyIdOf(6), at),
      })),
  },
];
