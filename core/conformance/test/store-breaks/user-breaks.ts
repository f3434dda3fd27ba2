import { type Break, replace, without } from './break.ts';

const ALL = { limit: 500 };

/** Stores that break one promise of the users. */
export const userBreaks: readonly Break[] = [
  {
    promise: 'users: the first login adds one, and it is read back as it was noted, with revision 1',
    fault: 'takes no e-mail address for an empty one',
    of: (store) =>
      replace(store, 'users', (good) => ({
        get: async (id) => {
          const user = await good.get(id);
          return user && { ...user, email: user.email ?? '' };
        },
      })),
  },
  {
    promise: 'users: a later login sets what it tells, and raises the revision only when that is more than the time',
    fault: 'keeps an address that nobody vouches for any more',
    of: (store) =>
      replace(store, 'users', (good) => ({
        note: async (login) => {
          const known = await good.get(login.id);
          return good.note({ ...(known?.email !== undefined && { email: known.email }), ...login });
        },
      })),
  },
  {
    promise: 'users: a later login sets what it tells, and raises the revision only when that is more than the time',
    fault: 'counts every login',
    of: (store) => {
      let logins = 0;
      return replace(store, 'users', (good) => ({
        note: async (login) => {
          logins += 1;
          return { ...(await good.note(login)), revision: logins };
        },
      }));
    },
  },
  {
    promise: 'users: one that is disabled stays so at a login',
    fault: 'enables it',
    of: (store) =>
      replace(store, 'users', (good) => ({
        note: async (login) => {
          await good.enable(login.id);
          return good.note(login);
        },
      })),
  },
  {
    promise: 'users: they are found by their exact e-mail address and by whether they are disabled, in the order of the ids',
    fault: 'ignores upper and lower case',
    of: (store) =>
      replace(store, 'users', (good) => ({
        list: async ({ email, ...filter }) => {
          const { items, next } = await good.list(filter, ALL);
          return { items: items.filter((user) => email === undefined || user.email === email.toLowerCase()), next };
        },
      })),
  },
  {
    promise: 'users: they are found by their exact e-mail address and by whether they are disabled, in the order of the ids',
    fault: 'takes not disabled for not asked',
    of: (store) =>
      replace(store, 'users', (good) => ({
        list: ({ disabled, ...filter }, page) => good.list({ ...filter, ...(disabled && { disabled }) }, page),
      })),
  },
  {
    promise: 'users: disabling one marks it and leaves a revocation; enabling takes the mark away',
    fault: 'loses the revocation',
    of: (store) =>
      replace(store, 'revocations', (good) => ({
        listAfter: async (number) => (await good.listAfter(number)).filter(({ kind }) => kind !== 'user'),
      })),
  },
  {
    promise: 'users: disabling one marks it and leaves a revocation; enabling takes the mark away',
    fault: 'does not say who did it',
    of: (store) => replace(store, 'users', (good) => ({ get: async (id) => without(await good.get(id), 'disabledBy') })),
  },
  {
    promise: 'users: one is disabled once and enabled once, also by many at one time, with one revocation',
    fault: 'looks first and disables later',
    of: (store) =>
      replace(store, 'users', (good) => ({
        disable: async (id, by, notice) => {
          const free = (await good.get(id))?.disabledAt === undefined;
          await good.disable(id, by, notice);
          return free;
        },
      })),
  },
  {
    promise: 'users: one that is not there is neither disabled nor enabled',
    fault: 'answers true',
    of: (store) => replace(store, 'users', (good) => ({ enable: async (id) => (await good.enable(id)) || true })),
  },
  {
    promise: 'users: logins of one at one time leave one user, and each change is counted',
    fault: 'looks first and counts later',
    of: (store) =>
      replace(store, 'users', (good) => ({
        note: async (login) => {
          const revision = ((await good.get(login.id))?.revision ?? 0) + 1;
          return { ...(await good.note(login)), revision };
        },
      })),
  },
];
