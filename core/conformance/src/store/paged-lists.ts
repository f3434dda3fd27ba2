import type { Page, PageRequest, Store } from '@towline/contract';
import { ADA, idOf, keyIdOf, NOON, plain, sampleDevice, sampleKey, sampleRecords, sampleRegistration, sampleSession } from './samples.ts';

/** A list of the contract, in a form that lets one check serve all of them. */
export interface PagedList {
  readonly name: string;
  /** Adds items by their place in the list. Lists that only grow take the places 1, 2, 3, … */
  add(store: Store, places: readonly number[]): Promise<void>;
  /** Takes an item out of the list; absent where none can be. */
  readonly remove?: (store: Store, place: number) => Promise<unknown>;
  list(store: Store, page: PageRequest): Promise<Page<unknown>>;
  /** Place of an item that the list handed out. */
  placeOf(item: never): number;
}

const GONE = { at: NOON, code: 'gone', message: 'gone' };
const placeOfId = ({ id }: { readonly id: string }) => Number.parseInt(id, 16);

/** Every list of the contract. */
export const PAGED_LISTS: readonly PagedList[] = [
  {
    name: 'devices',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.devices.insert(sampleDevice(n))))),
    remove: (store, n) => store.devices.remove(idOf(n), GONE, [ADA]),
    list: (store, page) => store.devices.list({}, page, [ADA]),
    placeOf: placeOfId,
  },
  {
    name: 'registrations',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.registrations.insert(sampleRegistration(n))))),
    remove: (store, n) => store.registrations.decide(idOf(n), { state: 'rejected', decidedAt: NOON, decidedBy: 'ada' }, [ADA]),
    list: (store, page) => store.registrations.listPending({ now: NOON }, page, [ADA]),
    placeOf: placeOfId,
  },
  {
    name: 'keys',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.keys.insert(sampleKey(n))))),
    remove: (store, n) => store.keys.revoke(keyIdOf(n), GONE, [ADA]),
    list: (store, page) => store.keys.list({}, page, [ADA]),
    placeOf: placeOfId,
  },
  {
    name: 'sessions',
    add: async (store, places) => void (await Promise.all(places.map((n) => store.sessions.insert(sampleSession(n))))),
    remove: (store, n) => store.sessions.remove(idOf(n)),
    list: (store, page) => store.sessions.list({}, page, [ADA]),
    placeOf: placeOfId,
  },
  auditList('audit, oldest first', 'ascending'),
  auditList('audit, newest first', 'descending'),
];

function auditList(name: string, order: 'ascending' | 'descending'): PagedList {
  return {
    name,
    add: async (store, places) => store.audit.append(sampleRecords(plain(places.length), await store.audit.head())),
    list: (store, page) => store.audit.list({}, order, page, [ADA]),
    placeOf: ({ number }: { readonly number: number }) => number,
  };
}
