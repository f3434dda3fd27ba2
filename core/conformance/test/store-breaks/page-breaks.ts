import type { Page, PageRequest, Store } from '@towline/contract';
import { isTowlineError } from '@towline/protocol';
import { type Break, replace } from './break.ts';

type Fetch = (page: PageRequest) => Promise<Page<never>>;
/** Fetches a page wrongly, by a way to fetch it rightly. */
type Fault = (good: Fetch, page: PageRequest) => Promise<Page<never>>;

/** Places of the lists: how a fault is put into each of them. */
const LISTS: Readonly<Record<string, (store: Store, fault: Fault) => Store>> = {
  devices: deviceList,
  registrations: (store, fault) =>
    replace(store, 'registrations', (good) => ({
      listPending: (filter, page, caller) => fault((asked) => good.listPending(filter, asked, caller) as Promise<Page<never>>, page),
    })),
  keys: (store, fault) =>
    replace(store, 'keys', (good) => ({
      list: (filter, page, caller) => fault((asked) => good.list(filter, asked, caller) as Promise<Page<never>>, page),
    })),
  sessions: sessionList,
  users: (store, fault) =>
    replace(store, 'users', (good) => ({
      list: (filter, page) => fault((asked) => good.list(filter, asked) as Promise<Page<never>>, page),
    })),
  organisations: (store, fault) =>
    replace(store, 'organisations', (good) => ({
      list: (page, caller) => fault((asked) => good.list(asked, caller) as Promise<Page<never>>, page),
    })),
  members: (store, fault) =>
    replace(store, 'organisations', (good) => ({
      listMembers: (id, page, caller) => fault((asked) => good.listMembers(id, asked, caller) as Promise<Page<never>>, page),
    })),
  secrets: secretList,
  'secrets of one scope': secretList,
  'entries of secrets': (store, fault) =>
    replace(store, 'secrets', (good) => ({
      listEntries: (filter, page, caller) => fault((asked) => good.listEntries(filter, asked, caller) as Promise<Page<never>>, page),
    })),
  'devices by owner and shares': deviceList,
  'sessions by owner and shares': sessionList,
  'audit, oldest first': auditList,
  'audit, newest first': auditList,
};

function deviceList(store: Store, fault: Fault): Store {
  return replace(store, 'devices', (good) => ({
    list: (filter, page, caller) => fault((asked) => good.list(filter, asked, caller) as Promise<Page<never>>, page),
  }));
}

function secretList(store: Store, fault: Fault): Store {
  return replace(store, 'secrets', (good) => ({
    list: (filter, page, caller) => fault((asked) => good.list(filter, asked, caller) as Promise<Page<never>>, page),
  }));
}

function sessionList(store: Store, fault: Fault): Store {
  return replace(store, 'sessions', (good) => ({
    list: (filter, page, caller) => fault((asked) => good.list(filter, asked, caller) as Promise<Page<never>>, page),
  }));
}

function auditList(store: Store, fault: Fault): Store {
  return replace(store, 'audit', (good) => ({
    list: (filter, order, page, caller) => fault((asked) => good.list(filter, order, asked, caller) as Promise<Page<never>>, page),
  }));
}

const dropLast: Fault = async (good, page) => {
  const { items, next } = await good(page);
  return { items: next === null ? items : items.slice(0, -1), next };
};

const countFromStart: Fault = async (good, { cursor, limit }) => {
  const { items } = await good({ limit: 500 });
  const end = Number(cursor ?? 0) + limit;
  return { items: items.slice(end - limit, end), next: end < items.length ? String(end) : null };
};

/** A list that only grows at its end is stable when counted from the start, but not from the end. */
const countFromEnd: Fault = async (good, { cursor, limit }) => {
  const { items } = await good({ limit: 500 });
  const begin = cursor === undefined ? 0 : items.length - Number(cursor);
  const left = items.length - begin - limit;
  return { items: items.slice(begin, begin + limit), next: left > 0 ? String(left) : null };
};

const beginAnew: Fault = (good, page) =>
  good(page).catch((error: unknown) => {
    if (page.cursor !== undefined && isTowlineError(error) && error.code === 'invalid_request') return good({ limit: page.limit });
    throw error;
  });

const clampLimit: Fault = (good, page) => good({ ...page, limit: Math.min(500, Math.max(1, Math.trunc(page.limit) || 1)) });

/** Stores that break one promise of the pages of one list. */
export const pageBreaks: readonly Break[] = [
  ...Object.entries(LISTS).flatMap(([name, put]): Break[] => [
    {
      promise: `pages of ${name}: each holds at most the limit, and together they hold every item once, in order`,
      fault: 'leaves the last item of a page out',
      of: (store) => put(store, dropLast),
    },
    {
      promise: `pages of ${name}: items that come and go between two pages make no other be left out or seen twice`,
      fault: 'counts where it was',
      of: (store) => put(store, name === 'audit, oldest first' ? countFromEnd : countFromStart),
    },
    {
      promise: `pages of ${name}: a cursor that the store did not make is invalid_request`,
      fault: 'begins anew',
      of: (store) => put(store, beginAnew),
    },
    {
      promise: `pages of ${name}: a limit that is no whole number from 1 to 500 is invalid_request`,
      fault: 'takes the nearest limit',
      of: (store) => put(store, clampLimit),
    },
  ]),
  {
    promise: 'pages: a cursor of one list is invalid_request in another',
    fault: 'takes any cursor for keys',
    of: (store) => LISTS.keys!(store, beginAnew),
  },
];
