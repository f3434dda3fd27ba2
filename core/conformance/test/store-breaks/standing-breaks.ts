import type { Standing, StandingQuery, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { keyIdOf, sampleUser } from '../../src/store/samples.ts';
import { type Break, replaceMember } from './break.ts';

function replaceStanding(store: Store, change: (query: StandingQuery) => Promise<Standing>): Store {
  return replaceMember(store, 'standing', change);
}

/** Stores that break one promise of the look-ups over the whole store. */
export const standingBreaks: readonly Break[] = [
  {
    promise: 'standing: of a user, key and organisations that are not there, nothing is told',
    fault: 'takes an organisation that is not there for a deleted one',
    of: (store) => replaceStanding(store, async (query) => ({ ...(await store.standing(query)), deletedOrgs: query.orgs })),
  },
  {
    promise: 'standing: of a user, key and organisations that are not there, nothing is told',
    fault: 'adds the user',
    of: (store) =>
      replaceStanding(store, async (query) => ({ ...(await store.standing(query)), user: sampleUser(1, { id: query.userId }) })),
  },
  {
    promise: 'standing: it tells the user, the key, the memberships of the address and which named organisations were deleted',
    fault: 'does not tell which were deleted',
    of: (store) => replaceStanding(store, async (query) => ({ ...(await store.standing(query)), deletedOrgs: [] })),
  },
  {
    promise: 'standing: it tells the user, the key, the memberships of the address and which named organisations were deleted',
    fault: 'tells the memberships of known users only',
    of: (store) =>
      replaceStanding(store, async (query) => {
        const standing = await store.standing(query);
        return standing.user ? standing : { ...standing, memberships: [] };
      }),
  },
  {
    promise: 'standing: it tells the user, the key, the memberships of the address and which named organisations were deleted',
    fault: 'tells some key where none was named',
    of: (store) => replaceStanding(store, (query) => store.standing({ keyId: keyIdOf(1), ...query })),
  },
  {
    promise: 'standing: without an address there are no memberships, also when one was noted for the user before',
    fault: 'takes the address noted before',
    of: (store) => replaceStanding(store, (query) => store.standing({ ...query, ofUser: true })),
  },
  {
    promise: 'standing: of a bounded credential the noted address counts, and the organisations of the claims',
    fault: 'looks at what the credential names only',
    of: (store) => replaceStanding(store, ({ ofUser: _, ...query }) => store.standing(query)),
  },
  {
    promise: 'standing: it shows what was acknowledged before',
    fault: 'remembers what it told',
    of: (store) => {
      const told = new Map<string, Promise<Standing>>();
      return replaceStanding(store, (query) => {
        const text = JSON.stringify(query);
        const standing = told.get(text) ?? store.standing(query);
        told.set(text, standing);
        return standing;
      });
    },
  },
  {
    promise: 'scopes: one is used by a device, a key, a scope of a key, a request to enrol, a share or a secret, and by nothing else',
    fault: 'looks at the owners of devices only',
    of: (store) =>
      replaceMember(store, 'isScopeUsed', async (owner) => {
        const { items } = await store.devices.list({ owner }, { limit: 1 }, SYSTEM_SCOPE);
        return items.length > 0;
      }),
  },
  {
    promise: 'scopes: one is used by a device, a key, a scope of a key, a request to enrol, a share or a secret, and by nothing else',
    fault: 'takes every organisation for used',
    of: (store) => replaceMember(store, 'isScopeUsed', async (scope) => scope.startsWith('org:') || store.isScopeUsed(scope)),
  },
  {
    promise: 'scopes: one is used by a device, a key, a scope of a key, a request to enrol, a share or a secret, and by nothing else',
    fault: 'does not count secrets',
    of: (store) =>
      replaceMember(store, 'isScopeUsed', async (scope) => (await store.secrets.count(scope)) === 0 && store.isScopeUsed(scope)),
  },
];
