import type { Secret, Store } from '@towline/contract';
import { SYSTEM_SCOPE } from '@towline/contract/system-scope';
import { isTowlineError, type Scope } from '@towline/protocol';
import { type Break, replace } from './break.ts';

const ALL = { limit: 500 };
const READ_BACK = 'secrets: one is read back as it was inserted, with revision 1';
const FOREIGN = 'secrets: one whose scope the caller does not hold is answered like one that does not exist, and nothing is changed';
const LISTED = 'secrets: a list shows what the caller may see and nothing else, in the order of scope and name';
const ENTRIES = 'secrets: a list of entries is the same list, for the same callers, without the values';
const ONCE = 'secrets: a name stands once in a scope, and is another secret in another scope and in other letters';
const UPDATED = 'secrets: an update sets the value and its key, who made it and when, and nothing else; the revision grows';
const REFUSED = 'secrets: an update of another revision is store_conflict, one of a secret that is not there not_found; nothing is changed';
const RACE = 'secrets: of many that insert, update or remove one at one time exactly one wins';
const GONE = 'secrets: one that is removed while it is updated does not come back';
const COUNTED = 'secrets: those of a scope are counted';
const OTHER_KEYS = 'secrets: those under other keys are told, at most 100, until there are none';
const ORGANISATION = 'secrets: those of an organisation go with it, and no others';

type Secrets = Store['secrets'];
const breaking = (promise: string, fault: string, change: (good: Secrets) => Partial<Secrets>): Break => ({
  promise,
  fault,
  of: (store) => replace(store, 'secrets', change),
});
const there = async (good: Secrets, scope: Scope, name: string) => (await good.get(scope, name, SYSTEM_SCOPE)) !== null;

/** Stores that break one promise of the secrets. */
export const secretBreaks: readonly Break[] = [
  breaking(READ_BACK, 'keeps the revision that is passed', (good) => ({
    get: async (...args) => withChange(await good.get(...args), { revision: 7 }),
  })),
  breaking(READ_BACK, 'cuts long values', (good) => ({
    insert: (secret) => good.insert({ ...secret, sealed: secret.sealed.slice(0, 16_384) }),
  })),
  breaking(READ_BACK, 'takes the maker for the one who changed it last', (good) => ({
    insert: (secret) => good.insert({ ...secret, updatedBy: secret.createdBy }),
  })),
  breaking(FOREIGN, 'ignores the caller of get', (good) => ({ get: (scope, name) => good.get(scope, name, SYSTEM_SCOPE) })),
  breaking(FOREIGN, 'ignores the caller of list', (good) => ({ list: (filter, page) => good.list(filter, page, SYSTEM_SCOPE) })),
  breaking(FOREIGN, 'takes the scope asked for as the caller', (good) => ({
    list: (filter, page, caller) => good.list(filter, page, filter.scope === undefined ? caller : [filter.scope]),
  })),
  breaking(FOREIGN, 'ignores the caller of update', (good) => ({
    update: (scope, name, change, revision) => good.update(scope, name, change, revision, SYSTEM_SCOPE),
  })),
  breaking(FOREIGN, 'looks at the revision before the caller', (good) => ({
    update: async (scope, name, change, revision, caller) => {
      const present = await good.get(scope, name, SYSTEM_SCOPE);
      return good.update(scope, name, change, revision, present?.revision === revision ? caller : SYSTEM_SCOPE);
    },
  })),
  breaking(FOREIGN, 'ignores the caller of remove', (good) => ({ remove: (scope, name) => good.remove(scope, name, SYSTEM_SCOPE) })),
  breaking(FOREIGN, 'takes no scopes for all scopes', (good) => ({
    get: (scope, name, caller) => good.get(scope, name, caller !== SYSTEM_SCOPE && caller.length === 0 ? SYSTEM_SCOPE : caller),
  })),
  breaking(LISTED, 'orders by name alone', (good) => ({ list: sortedBy(good, ({ name, scope }) => [name, scope]) })),
  breaking(LISTED, 'orders without upper and lower case', (good) => ({
    list: sortedBy(good, ({ name, scope }) => [scope, name.toLowerCase(), name]),
  })),
  breaking(LISTED, 'passes the filter over', (good) => ({ list: (_, page, caller) => good.list({}, page, caller) })),
  breaking(LISTED, 'takes scopes that begin with the one asked for', (good) => ({
    list: async (filter, page, caller) => {
      const { items, next } = await good.list({}, page, caller);
      return { items: items.filter(({ scope }) => filter.scope === undefined || filter.scope.startsWith(scope)), next };
    },
  })),
  breaking(ENTRIES, 'has the values in it', (good) => ({ listEntries: good.list })),
  breaking(ENTRIES, 'ignores the caller', (good) => ({ listEntries: (filter, page) => good.listEntries(filter, page, SYSTEM_SCOPE) })),
  breaking(ENTRIES, 'passes the filter over', (good) => ({ listEntries: (_, page, caller) => good.listEntries({}, page, caller) })),
  breaking(ENTRIES, 'forgets who changed it last', (good) => ({
    listEntries: async (...args) => {
      const { items, next } = await good.listEntries(...args);
      return { items: items.map((entry) => ({ ...entry, updatedBy: entry.createdBy })), next };
    },
  })),
  breaking(ONCE, 'overwrites', (good) => ({
    insert: async (secret) => {
      await good.remove(secret.scope, secret.name, SYSTEM_SCOPE);
      return good.insert(secret);
    },
  })),
  breaking(ONCE, 'ignores upper and lower case', (good) => ({
    insert: async (secret) => !(await there(good, secret.scope, secret.name.toUpperCase())) && good.insert(secret),
  })),
  breaking(ONCE, 'takes a name once in all scopes', (good) => ({
    insert: async (secret) => {
      const { items } = await good.list({}, ALL, SYSTEM_SCOPE);
      return !items.some(({ name }) => name === secret.name) && good.insert(secret);
    },
  })),
  breaking(UPDATED, 'keeps the key', (good) => ({
    update: async (scope, name, { keyId: _, ...change }, ...rest) => {
      const { keyId } = (await good.get(scope, name, SYSTEM_SCOPE))!;
      return good.update(scope, name, { ...change, keyId }, ...rest);
    },
  })),
  breaking(UPDATED, 'does not let the revision grow', (good) => ({
    update: async (...args) => ({ ...(await good.update(...args)), revision: args[3] }),
  })),
  breaking(UPDATED, 'sets what may not change', (good) => ({
    update: async (scope, name, change, revision, caller) => {
      const updated = await good.update(scope, name, change, revision, caller);
      return { ...updated, ...('createdBy' in change && { createdBy: String(change.createdBy) }) };
    },
  })),
  breaking(UPDATED, 'forgets who made the last change when only the key is another', (good) => ({
    update: (scope, name, change, ...rest) => good.update(scope, name, { updatedBy: 'nobody', ...change }, ...rest),
  })),
  breaking(REFUSED, 'does not look at the revision', (good) => ({
    update: async (scope, name, change, _, caller) => {
      const present = await good.get(scope, name, caller);
      return good.update(scope, name, change, present?.revision ?? 1, caller);
    },
  })),
  breaking(REFUSED, 'changes first and looks later', (good) => ({
    update: async (scope, name, change, revision, caller) => {
      const present = await good.get(scope, name, caller);
      if (present !== null) await good.update(scope, name, change, present.revision, caller);
      return good.update(scope, name, change, revision, caller);
    },
  })),
  breaking(REFUSED, 'makes what is not there', (good) => ({
    update: async (scope, name, change, revision, caller) => {
      const [at, by] = [change.updatedAt ?? 0, change.updatedBy ?? ''];
      const made = { scope, name, sealed: change.sealed, keyId: change.keyId, createdAt: at, createdBy: by, updatedAt: at, updatedBy: by };
      return (await good.insert({ ...made, revision: 1 })) ? { ...made, revision: 1 } : good.update(scope, name, change, revision, caller);
    },
  })),
  breaking(RACE, 'looks first and inserts later', (good) => ({
    insert: async (secret) => {
      const taken = await there(good, secret.scope, secret.name);
      if (!taken) await good.insert(secret);
      return !taken;
    },
  })),
  breaking(RACE, 'looks at the revision first and updates later', (good) => ({
    update: async (scope, name, change, revision, caller) => {
      const present = await good.get(scope, name, caller);
      const fits = present?.revision === revision;
      return fits ? overwrite(good, { ...present, ...change }) : good.update(scope, name, change, revision, caller);
    },
  })),
  breaking(RACE, 'looks first and removes later', (good) => ({
    remove: async (scope, name, caller) => {
      const found = (await good.get(scope, name, caller)) !== null;
      await good.remove(scope, name, caller);
      return found;
    },
  })),
  breaking(GONE, 'writes the whole of it anew', (good) => ({
    update: async (scope, name, change, revision, caller) => {
      const present = await good.get(scope, name, caller);
      if (present === null) return good.update(scope, name, change, revision, caller);
      return overwrite(good, { ...present, ...change });
    },
  })),
  breaking(COUNTED, 'counts all', (good) => ({ count: async () => (await good.list({}, ALL, SYSTEM_SCOPE)).items.length })),
  breaking(COUNTED, 'counts what was removed', (good) => {
    const made: Scope[] = [];
    return {
      insert: (secret) => {
        made.push(secret.scope);
        return good.insert(secret);
      },
      count: async (scope) => made.filter((one) => one === scope).length,
    };
  }),
  breaking(OTHER_KEYS, 'tells all at once', (good) => ({
    listNotUnder: async (keyId) => (await good.list({}, ALL, SYSTEM_SCOPE)).items.filter((secret) => secret.keyId !== keyId),
  })),
  breaking(OTHER_KEYS, 'tells only of keys that sort before', (good) => ({
    listNotUnder: async (keyId) => (await good.listNotUnder(keyId)).filter((secret) => secret.keyId < keyId),
  })),
  breaking(OTHER_KEYS, 'ignores upper and lower case', (good) => ({
    listNotUnder: async (keyId) => (await good.listNotUnder(keyId)).filter((secret) => secret.keyId.toLowerCase() !== keyId),
  })),
  breaking(OTHER_KEYS, 'looks at the first hundred of all only', (good) => ({
    listNotUnder: async (keyId) => {
      const { items } = await good.list({}, { limit: 100 }, SYSTEM_SCOPE);
      return items.filter((secret) => secret.keyId !== keyId);
    },
  })),
  {
    promise: ORGANISATION,
    fault: 'keeps them',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        delete: async (id, notice, caller) => {
          const kept = (await store.secrets.list({}, ALL, SYSTEM_SCOPE)).items;
          const deleted = await good.delete(id, notice, caller);
          for (const secret of kept) await store.secrets.insert(secret);
          return deleted;
        },
      })),
  },
  removingMore('removes those of scopes that begin so', (scope, id) => scope.startsWith(`org:${id}`)),
  removingMore('takes a user for the organisation', (scope, id) => scope.endsWith(`:${id}`)),
  {
    promise: ORGANISATION,
    fault: 'removes them although it is not deleted',
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        delete: async (id, notice, caller) => {
          await removeWhere(store.secrets, ({ scope }) => scope === `org:${id}`);
          return good.delete(id, notice, caller);
        },
      })),
  },
];

function withChange(secret: Secret | null, change: Partial<Secret>): Secret | null {
  return secret === null ? null : { ...secret, ...change };
}

/** A list in an order of its own. */
function sortedBy(good: Secrets, keyOf: (secret: Secret) => readonly string[]): Secrets['list'] {
  const key = (secret: Secret) => keyOf(secret).join('\n');
  return async (...args) => {
    const { items, next } = await good.list(...args);
    return { items: items.toSorted((a, b) => (key(a) < key(b) ? -1 : 1)), next };
  };
}

/** Sets a secret whatever became of it meanwhile. */
async function overwrite(good: Secrets, secret: Secret): Promise<Secret> {
  for (;;) {
    const present = await good.get(secret.scope, secret.name, SYSTEM_SCOPE);
    if (present === null) {
      await good.insert(secret);
      continue;
    }
    try {
      await good.update(secret.scope, secret.name, secret, present.revision, SYSTEM_SCOPE);
      return { ...secret, revision: secret.revision + 1 };
    } catch (error) {
      if (!isTowlineError(error)) throw error;
    }
  }
}

async function removeWhere(secrets: Secrets, isMeant: (secret: Secret) => boolean): Promise<void> {
  for (const secret of (await secrets.list({}, ALL, SYSTEM_SCOPE)).items) {
    if (isMeant(secret)) await secrets.remove(secret.scope, secret.name, SYSTEM_SCOPE);
  }
}

function removingMore(fault: string, isMeant: (scope: Scope, id: string) => boolean): Break {
  return {
    promise: ORGANISATION,
    fault,
    of: (store) =>
      replace(store, 'organisations', (good) => ({
        delete: async (id, notice, caller) => {
          const deleted = await good.delete(id, notice, caller);
          if (deleted) await removeWhere(store.secrets, ({ scope }) => isMeant(scope, id));
          return deleted;
        },
      })),
  };
}
